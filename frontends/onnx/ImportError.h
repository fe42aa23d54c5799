//===- ImportError.h - Why a model cannot be imported -----------*- C++ -*-===//
//
// One error class for everything the frontend refuses: a sentence, and the
// exit code that the tools return for this kind of trouble.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_IMPORTERROR_H
#define DIT_FRONTENDS_ONNX_IMPORTERROR_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include <string>

namespace dit::onnx {

/// The kinds of trouble; the values are the documented exit codes of ditc.
enum class ErrorKind : int {
  Malformed = 65,     ///< The file is not what the format says.
  Missing = 66,       ///< A file is not there or cannot be read.
  Unsupported = 69,   ///< Valid, but we cannot do it.
  Refused = 77,       ///< Not done for safety: path escape, pickle.
  Contradiction = 78, ///< Options contradict the model or each other.
};

/// An error that knows its exit code.
class ImportError : public llvm::ErrorInfo<ImportError> {
public:
  static char ID;

  /// `message` is one or more whole sentences, names already escaped.
  ImportError(ErrorKind kind, std::string message)
      : kind(kind), sentence(std::move(message)) {}

  /// What went wrong, as a kind and as the exit code of the tools.
  ErrorKind getKind() const { return kind; }
  int exitCode() const { return static_cast<int>(kind); }
  /// The text without any prefix.
  llvm::StringRef getMessage() const { return sentence; }

  void log(llvm::raw_ostream &stream) const override;
  std::error_code convertToErrorCode() const override;

private:
  ErrorKind kind;
  std::string sentence;
};

/// An ImportError of this kind as an llvm::Error.
llvm::Error makeError(ErrorKind kind, const llvm::Twine &message);

/// The same error with "`context`: " in front of its message.
llvm::Error addContext(llvm::Error error, const llvm::Twine &context);

/// A name from a file, made safe to print: quoted, control and non-ASCII bytes
/// as \xNN, cut after 120 characters.
std::string quote(llvm::StringRef name);

} // namespace dit::onnx

#endif
