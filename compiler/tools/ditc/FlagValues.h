//===- FlagValues.h - What flags may be set to ------------------*- C++ -*-===//
//
// The text behind a flag as a value. Errors are Exit::Usage, and name the flag.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_TOOLS_DITC_FLAGVALUES_H
#define COMPILER_TOOLS_DITC_FLAGVALUES_H

#include "compiler/Pipeline.h"

#include <cstdint>
#include <string>

namespace dit {

/// The whole of `text` as a number in [low, high].
llvm::Expected<int64_t> parseNumber(llvm::StringRef flag, llvm::StringRef text,
                                    int64_t low, int64_t high);
llvm::Expected<double> parseReal(llvm::StringRef flag, llvm::StringRef text,
                                 double low, double high);

/// "80GB", "512MiB", "1000000" of --memory: bytes.
llvm::Expected<uint64_t> parseSize(llvm::StringRef text);

/// `value` if it is one of `choices`, separated by spaces; else the error names
/// the nearest.
llvm::Expected<std::string> choose(llvm::StringRef flag, llvm::StringRef value,
                                   llvm::StringRef choices);

/// Sets what --timestep-sampling says: "uniform" or "logit-normal[:MEAN,STD]".
llvm::Error parseTimestepSampling(llvm::StringRef text,
                                  TrainingOptions &training);

} // namespace dit

#endif // COMPILER_TOOLS_DITC_FLAGVALUES_H
