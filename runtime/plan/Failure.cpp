//===- Failure.cpp - An error that knows its exit code --------------------===//

#include "runtime/plan/Failure.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit::plan;

char Failure::ID = 0;

void Failure::log(llvm::raw_ostream &os) const { os << message; }

std::error_code Failure::convertToErrorCode() const {
  return llvm::inconvertibleErrorCode();
}

llvm::Error dit::plan::failure(Exit code, const llvm::Twine &message) {
  return llvm::make_error<Failure>(code, message.str());
}

std::pair<Exit, std::string> dit::plan::describe(llvm::Error error) {
  Exit code = Exit::Done;
  std::string text;
  llvm::handleAllErrors(std::move(error), [&](const llvm::ErrorInfoBase &info) {
    if (code == Exit::Done)
      code = info.isA<Failure>() ? static_cast<const Failure &>(info).exitCode()
                                 : Exit::Internal;
    if (!text.empty())
      text += '\n';
    text += info.message();
  });
  return {code, std::move(text)};
}

llvm::Error dit::plan::within(llvm::Error error, const llvm::Twine &context) {
  if (!error)
    return llvm::Error::success();
  auto [code, text] = describe(std::move(error));
  return failure(code, context + ": " + text);
}

std::string dit::plan::escaped(llvm::StringRef name, size_t limit) {
  std::string result;
  llvm::raw_string_ostream os(result);
  for (unsigned char c : name.take_front(limit)) {
    if (c >= 0x20 && c < 0x7f && c != '\\')
      os << c;
    else
      os << "\\x" << llvm::hexdigit(c >> 4) << llvm::hexdigit(c & 15);
  }
  if (name.size() > limit)
    os << "...";
  return result;
}
