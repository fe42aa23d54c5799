//===- Placement.h - From a file's tensors to a global's bytes ------------===//
#ifndef DIT_RUNTIME_PLAN_PLACEMENT_H
#define DIT_RUNTIME_PLAN_PLACEMENT_H

#include "runtime/plan/plan.pb.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace dit::plan {

/// Puts a piece's values (row-major, of piece.file's type and size) into the
/// row-major tensor of its global, converting between floating-point types:
/// the file's tensor is seen as `view`, permuted, and put at `target_offset`
/// of the global seen as `target_view`. The piece must be valid (validate()).
/// Exit::Unsupported for a conversion that is not between floats.
llvm::Error placePiece(const proto::Piece &piece, const proto::Global &global,
                       llvm::ArrayRef<uint8_t> values,
                       llvm::MutableArrayRef<uint8_t> tensor);

/// The inverse: the piece's values out of the global's row-major tensor.
llvm::Error extractPiece(const proto::Piece &piece, const proto::Global &global,
                         llvm::ArrayRef<uint8_t> tensor,
                         llvm::MutableArrayRef<uint8_t> values);

/// A global's bytes as a plan stores them (packed where it is, global.bytes
/// long, what no piece covers zero). `values` gives a piece's values.
llvm::Expected<std::vector<uint8_t>>
assembleGlobal(const proto::Global &global,
               llvm::function_ref<llvm::Expected<llvm::ArrayRef<uint8_t>>(
                   const proto::Piece &piece)>
                   values);

/// Writes the stored form of a global's row-major tensor, global.bytes long:
/// packed where it is, padded with zeros.
void storeTensor(const proto::Global &global, llvm::ArrayRef<uint8_t> tensor,
                 llvm::MutableArrayRef<uint8_t> stored);

/// The row-major tensor of a global's stored bytes: the inverse.
std::vector<uint8_t> loadTensor(const proto::Global &global,
                                llvm::ArrayRef<uint8_t> stored);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_PLACEMENT_H
