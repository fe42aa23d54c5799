//===- SinCosTable.h - Position tables by their values ----------*- C++ -*-===//
#ifndef PASSES_SIMPLIFY_SINCOSTABLE_H
#define PASSES_SIMPLIFY_SINCOSTABLE_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>

namespace dit {

/// True where `values`, [tokens, width] row by row, are sines and cosines of
/// positions, to `tolerance`: parts of the width, each [sin | cos] or
/// [cos | sin] over ω_i = 10000^(-i / half the part), of the token's number in
/// one part (a sequence), or of its two coordinates in some grid in two parts
/// (pictures; either coordinate first), as DiT, ViT and PixArt lay them out.
bool isSinCosTable(llvm::ArrayRef<float> values, int64_t tokens, int64_t width,
                   double tolerance);

} // namespace dit

#endif // PASSES_SIMPLIFY_SINCOSTABLE_H
