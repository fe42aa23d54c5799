//===- ImportError.cpp - Why a model cannot be imported -------------------===//

#include "frontends/onnx/ImportError.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace dit::onnx {

char ImportError::ID = 0;

void ImportError::log(llvm::raw_ostream &stream) const { stream << sentence; }

std::error_code ImportError::convertToErrorCode() const {
  return llvm::inconvertibleErrorCode();
}

llvm::Error makeError(ErrorKind kind, const llvm::Twine &message) {
  return llvm::make_error<ImportError>(kind, message.str());
}

llvm::Error addContext(llvm::Error error, const llvm::Twine &context) {
  return llvm::handleErrors(
      std::move(error), [&](const ImportError &cause) -> llvm::Error {
        return makeError(cause.getKind(), context + ": " + cause.getMessage());
      });
}

std::string quote(llvm::StringRef name) {
  constexpr size_t longest = 120;
  std::string text = "'";
  for (char c : name.take_front(longest)) {
    if (llvm::isPrint(c) && c != '\'' && c != '\\') {
      text += c;
      continue;
    }
    text += "\\x";
    text += llvm::hexdigit(static_cast<unsigned char>(c) >> 4);
    text += llvm::hexdigit(c & 15);
  }
  return text + (name.size() > longest ? "…'" : "'");
}

} // namespace dit::onnx
