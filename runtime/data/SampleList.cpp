//===- SampleList.cpp - The paths and classes in a dataset.json -----------===//
//
// A list may have millions of pairs, and LLVM's JSON tree of it would be fifty
// times the text: the list is walked over here, and LLVM parses one pair at a
// time.
//
//===----------------------------------------------------------------------===//

#include "runtime/data/SampleList.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/JsonCursor.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/JSON.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

/// Walks over the text.
class ListText : plan::JsonCursor {
public:
  ListText(llvm::StringRef text, SampleTaker takeSample)
      : JsonCursor{text}, takeSample(takeSample) {}
  llvm::Expected<bool> read();

private:
  llvm::Error malformed(const llvm::Twine &why, size_t offset) const {
    return failure(Exit::Malformed,
                   "byte " + llvm::Twine(offset) + ": " + why +
                       "; expected {\"labels\": [[\"PATH\", CLASS], ...]}");
  }
  llvm::Error expect(char c) {
    if (take(c))
      return llvm::Error::success();
    return malformed(llvm::Twine("there is no '") + llvm::Twine(c) + "'", at);
  }
  bool skipString();
  llvm::Expected<llvm::StringRef> takeValue(size_t mostDepth);
  llvm::Expected<llvm::json::Value> takeSmallValue();
  llvm::Error readPair();
  llvm::Error readPairs();

  SampleTaker takeSample;
};

} // namespace

/// Goes past a string's end; false where it has none.
bool ListText::skipString() {
  for (++at; at < text.size(); ++at)
    if (text[at] == '\\')
      ++at;
    else if (text[at] == '"') {
      ++at;
      return true;
    }
  return false;
}

/// The text of the value that comes next: strings are whole, and brackets in
/// balance, whichever they are, at most `mostDepth` within each other.
llvm::Expected<llvm::StringRef> ListText::takeValue(size_t mostDepth) {
  skipBlanks();
  size_t begin = at, depth = 0;
  while (at < text.size()) {
    char c = text[at];
    if (c == '"') {
      if (!skipString())
        break;
    } else if (c == '[' || c == '{') {
      ++at;
      if (++depth > mostDepth)
        return malformed("brackets nest too deep", begin);
    } else if (!depth) { // a number or a word
      at = std::min(text.find_first_of(" \t\r\n,:]}[{\"", at), text.size());
      if (at == begin)
        return malformed("there is no value", begin);
    } else {
      ++at;
      depth -= c == ']' || c == '}';
    }
    if (!depth)
      return text.slice(begin, at);
  }
  return malformed("the text ends within a value", text.size());
}

/// A member's name, or a pair of which the second may be a vector.
llvm::Expected<llvm::json::Value> ListText::takeSmallValue() {
  constexpr size_t mostDepth = 2; // LLVM's parser recurses
  constexpr size_t mostBytes = 1 << 16;
  llvm::Expected<llvm::StringRef> value = takeValue(mostDepth);
  if (!value)
    return value.takeError();
  size_t begin = value->data() - text.data();
  if (value->size() > mostBytes)
    return malformed("a pair has " + llvm::Twine(value->size()) + " bytes",
                     begin);
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(*value);
  if (!parsed) { // the parser's "[line:column, byte=offset]: " is the value's
    std::string why = llvm::toString(parsed.takeError());
    return malformed("no JSON: " + llvm::StringRef(why).split("]: ").second,
                     begin);
  }
  return parsed;
}

llvm::Error ListText::readPair() {
  skipBlanks();
  size_t begin = at;
  llvm::Expected<llvm::json::Value> value = takeSmallValue();
  if (!value)
    return value.takeError();
  const llvm::json::Array *pair = value->getAsArray();
  std::optional<llvm::StringRef> path;
  if (pair && pair->size() == 2)
    path = (*pair)[0].getAsString();
  if (path && (*pair)[1].getAsArray())
    return failure(Exit::Unsupported,
                   "byte " + llvm::Twine(begin) + ": '" + plan::escaped(*path) +
                       "' has a vector as its label, which is not supported; "
                       "give the number of its class");
  std::optional<int64_t> label;
  if (path)
    label = (*pair)[1].getAsInteger();
  if (!label)
    return malformed("this is no pair of a path and a class", begin);
  if (llvm::Error error = takeSample(*path, *label))
    return plan::within(std::move(error), "byte " + llvm::Twine(begin) + ", '" +
                                              plan::escaped(*path) + "'");
  return llvm::Error::success();
}

llvm::Error ListText::readPairs() {
  if (llvm::Error error = expect('['))
    return error;
  if (take(']'))
    return llvm::Error::success();
  do {
    if (llvm::Error error = readPair())
      return error;
  } while (take(','));
  return expect(']');
}

llvm::Expected<bool> ListText::read() {
  bool hasLabels = false;
  if (llvm::Error error = expect('{'))
    return std::move(error);
  if (!take('}')) {
    do {
      skipBlanks();
      size_t begin = at;
      llvm::Expected<llvm::json::Value> key = takeSmallValue();
      if (!key)
        return key.takeError();
      if (!key->getAsString())
        return malformed("this is no member's name", begin);
      if (llvm::Error error = expect(':'))
        return std::move(error);
      skipBlanks();
      bool isList = *key->getAsString() == "labels" &&
                    !text.substr(at).starts_with("null");
      if (isList && std::exchange(hasLabels, true))
        return malformed("there are labels for a second time", begin);
      llvm::Error error =
          isList ? readPairs()
                 : takeValue(std::numeric_limits<size_t>::max()).takeError();
      if (error)
        return std::move(error);
    } while (take(','));
    if (llvm::Error error = expect('}'))
      return std::move(error);
  }
  skipBlanks();
  if (at != text.size())
    return malformed("something follows the list", at);
  return hasLabels;
}

llvm::Expected<bool> dit::runtime::readSampleList(llvm::StringRef text,
                                                  SampleTaker take) {
  return ListText(text, take).read();
}
