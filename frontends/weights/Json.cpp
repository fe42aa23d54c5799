//===- Json.cpp - JSON from outside ---------------------------------------===//
#include "frontends/weights/Json.h"

#include "frontends/onnx/ImportError.h"

using namespace dit;
using namespace llvm;

/// { name: { "shape": [ … ] } } is three deep.
static constexpr unsigned deepest = 4;

static Error malformed(const Twine &why) {
  return onnx::makeError(onnx::ErrorKind::Malformed, why);
}

/// The number of keys at the top; an error where the text nests too deep.
static Expected<size_t> countKeys(StringRef text) {
  unsigned depth = 0;
  size_t keys = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '{' || c == '[') {
      if (++depth > deepest)
        return malformed("nests deeper than " + Twine(deepest) +
                         " levels at byte " + Twine(at) + " of its JSON");
    } else if (c == '}' || c == ']') {
      if (depth == 0)
        return malformed("closes what is not open at byte " + Twine(at) +
                         " of its JSON");
      --depth;
    } else if (c == ':' && depth == 1) {
      ++keys;
    } else if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\')
          ++at;
    }
  }
  return keys;
}

Expected<json::Object> dit::parseJsonObject(StringRef text) {
  Expected<size_t> keys = countKeys(text);
  if (!keys)
    return keys.takeError();
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return malformed("has bad JSON: " + toString(value.takeError()));
  json::Object *object = value->getAsObject();
  if (!object)
    return malformed("has JSON that is no object");
  if (object->size() != *keys)
    return malformed("has the same key twice in its JSON");
  return std::move(*object);
}
