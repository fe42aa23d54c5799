//===- Flags.h - One flag of ditrun, and how its value is read ------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_FLAGS_H
#define DIT_RUNTIME_TOOLS_DITRUN_FLAGS_H

#include "runtime/tools/ditrun/Options.h"

#include <functional>
#include <limits>

namespace dit::runtime {

/// The sections of --help.
enum class FlagGroup {
  What,
  How,
  Where,
  Training,
  Checkpoints,
  Watching,
  Forward,
  Inside,
  Machine
};

/// Puts a flag's value into the options, or says what is wrong with it.
using FlagSetter = std::function<llvm::Error(Options &, llvm::StringRef)>;

/// One flag. `value` is empty for flags without one.
struct Flag {
  const char *name;
  const char *value;
  FlagGroup group;
  const char *help;
  FlagSetter set;
};

constexpr int64_t anyInteger = std::numeric_limits<int64_t>::max();

/// Exit::Usage, with where to find help.
llvm::Error usage(const llvm::Twine &message);

/// A whole number in [least, most].
llvm::Error takeInteger(llvm::StringRef flag, llvm::StringRef text,
                        int64_t least, int64_t most, int64_t &value);

/// A whole number from 0 to 2^64 - 1.
llvm::Error takeSeed(llvm::StringRef flag, llvm::StringRef text,
                     uint64_t &value);

/// A finite number in [least, most].
llvm::Error takeNumber(llvm::StringRef flag, llvm::StringRef text, double least,
                       double most, double &value);

/// The flags of train plans.
std::vector<Flag> trainingFlags();

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_FLAGS_H
