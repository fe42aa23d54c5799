//===- Inflate.h - zlib's inflate on more than 4 GB -------------*- C++ -*-===//
#ifndef DIT_RUNTIME_DATA_INFLATE_H
#define DIT_RUNTIME_DATA_INFLATE_H

#include "llvm/ADT/ArrayRef.h"

#include <zlib.h>

namespace dit::runtime {

/// One call of inflate() on what is left of `packed` behind `taken` bytes, into
/// what is left of `result` behind `given`; both are moved on. zlib counts in
/// 32 bits, so a call may stop before either ends. zlib's status.
int inflatePiece(z_stream &stream, llvm::ArrayRef<uint8_t> packed,
                 size_t &taken, llvm::MutableArrayRef<uint8_t> result,
                 size_t &given);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_INFLATE_H
