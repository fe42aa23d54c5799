//===- DitParameters.h - DiT's parameters by name ---------------*- C++ -*-===//
//
// What the names of the original state_dict say: a parameter's place in it, its
// first values, and which names diffusers has for it.
//
//===----------------------------------------------------------------------===//
#ifndef FRONTENDS_BUILDER_DITPARAMETERS_H
#define FRONTENDS_BUILDER_DITPARAMETERS_H

#include "dialects/dit/DitDialect.h"

#include <optional>
#include <string>

namespace dit {

/// The first Philox stream of parameters; parameter i of the state_dict is
/// drawn from stream firstParameterStream + i, so that sampling's streams and
/// the parameters' never meet.
inline constexpr uint64_t firstParameterStream = 8;
/// Added for k, twice for v, where they are parameters of their own.
inline constexpr uint64_t partStreams = 16384;

/// A parameter of the original model, or a third of one.
struct DitParameter {
  std::string name; ///< in the original state_dict
  int part = -1;    ///< 0, 1, 2: q, k, v of a qkv parameter; -1: all of it
};

/// The original's name for `name`, which diffusers gave; `name` itself where it
/// is none of diffusers'.
DitParameter getOriginalName(llvm::StringRef name);

/// The number of the block that the original's `name` lies in; nothing outside.
std::optional<int64_t> getBlock(llvm::StringRef name);

/// The place of the original's `name` in the state_dict of a model with `depth`
/// blocks; nothing for names that DiT does not have.
std::optional<int64_t> getParameterIndex(llvm::StringRef name, int64_t depth);

/// The first values of a parameter, as DiT's training code draws them, for
/// `shape` as PyTorch has it (a Linear's weight is [out, in]; a part's is the
/// part's shape). Null for names that DiT does not have.
InitAttr getDitInit(mlir::MLIRContext *context, const DitParameter &parameter,
                    llvm::ArrayRef<int64_t> shape, int64_t depth,
                    uint64_t seed);

} // namespace dit

#endif // FRONTENDS_BUILDER_DITPARAMETERS_H
