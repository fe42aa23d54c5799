//===- Failure.h - An error that knows its exit code ----------------------===//
//
// Libraries return llvm::Error; what the process exits with is part of the
// error, so that no tool has to guess it from a text. Context is added going
// up and the innermost code is kept.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_PLAN_FAILURE_H
#define DIT_RUNTIME_PLAN_FAILURE_H

#include "llvm/Support/Error.h"

#include <string>

namespace dit::plan {

/// The documented exit codes of ditc and ditrun.
enum class Exit : int {
  Done = 0,
  Differs = 1,        // compared or verified, and it differs
  Diverged = 3,       // non-finite results
  Usage = 64,         // a flag that is unknown or malformed
  Malformed = 65,     // an input file is not what it should be
  Missing = 66,       // an input is missing or unreadable
  Unsupported = 69,   // valid, but not supported here
  Internal = 70,      // we are wrong
  Memory = 71,        // out of host or device memory
  CannotCreate = 73,  // the output cannot be created
  InputOutput = 74,   // I/O error, disk full
  Stopped = 75,       // stopped on request
  Refused = 77,       // refused for safety
  Contradiction = 78, // flags contradict each other or the model
};

/// One sentence for the user and the exit code that belongs to it.
class Failure : public llvm::ErrorInfo<Failure> {
public:
  static char ID;

  Failure(Exit code, std::string message)
      : code(code), message(std::move(message)) {}

  Exit exitCode() const { return code; }
  void log(llvm::raw_ostream &os) const override;
  std::error_code convertToErrorCode() const override;

private:
  Exit code;
  std::string message;
};

/// Makes a Failure.
llvm::Error failure(Exit code, const llvm::Twine &message);

/// Puts `context: ` in front of an error's text and keeps its exit code;
/// errors of other kinds become Exit::Internal.
llvm::Error within(llvm::Error error, const llvm::Twine &context);

/// Takes an error apart for main(): its text, and the exit code (of several
/// joined errors, the first one's).
std::pair<Exit, std::string> describe(llvm::Error error);

/// A name from a file made safe to print: control characters and bytes that
/// are not ASCII become \xNN, and no more than `limit` characters are kept.
std::string escaped(llvm::StringRef name, size_t limit = 200);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_FAILURE_H
