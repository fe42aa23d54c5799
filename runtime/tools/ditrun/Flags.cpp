//===- Flags.cpp - How values of flags are read ---------------------------===//

#include "runtime/tools/ditrun/Flags.h"

#include "runtime/plan/Failure.h"

#include "llvm/Support/Format.h"

#include <cmath>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Error dit::runtime::usage(const llvm::Twine &message) {
  return failure(Exit::Usage, message + "; ditrun --help lists the flags");
}

llvm::Error dit::runtime::takeInteger(llvm::StringRef flag,
                                      llvm::StringRef text, int64_t least,
                                      int64_t most, int64_t &value) {
  if (!text.getAsInteger(10, value) && value >= least && value <= most)
    return llvm::Error::success();
  std::string range =
      most == anyInteger
          ? "of at least " + std::to_string(least)
          : "from " + std::to_string(least) + " to " + std::to_string(most);
  return usage(flag + " '" + plan::escaped(text) +
               "': must be a whole number " + range);
}

llvm::Error dit::runtime::takeSeed(llvm::StringRef flag, llvm::StringRef text,
                                   uint64_t &value) {
  if (!text.getAsInteger(10, value))
    return llvm::Error::success();
  return usage(flag + " '" + plan::escaped(text) +
               "': must be a whole number from 0 to 2^64 - 1");
}

llvm::Error dit::runtime::takeNumber(llvm::StringRef flag, llvm::StringRef text,
                                     double least, double most, double &value) {
  if (!text.getAsDouble(value) && std::isfinite(value) && value >= least &&
      value <= most)
    return llvm::Error::success();
  std::string range;
  llvm::raw_string_ostream(range)
      << (most == HUGE_VAL ? llvm::format("of at least %g", least)
                           : llvm::format("from %g", least));
  if (most != HUGE_VAL)
    llvm::raw_string_ostream(range) << llvm::format(" to %g", most);
  return usage(flag + " '" + plan::escaped(text) + "': must be a number " +
               (least == -HUGE_VAL ? std::string("that is finite") : range));
}
