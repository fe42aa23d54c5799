//===- Packing.h - The packed layout of GEMM weights ------------*- C++ -*-===//
//
// A Linear's weight W [N, K] (out, in) is the B of C = A W^T. The CPU GEMM
// reads it in panels of `columns` outputs, the panel's K rows after each other:
//
//   vnni 1: [ceil(N / columns)][K][columns]
//   vnni 2: [ceil(N / columns)][ceil(K / 2)][columns][2]   (bf16 dot products)
//
// Padding (columns past N, the last odd k) is zero. Written by the compiler
// for weights inside the plan and by ditrun for weights from files.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_PLAN_PACKING_H
#define DIT_RUNTIME_PLAN_PACKING_H

#include "runtime/plan/ElementType.h"

#include <cstdint>

namespace dit::plan {

/// dit.proto.PackedLayout without protobuf; columns 0 means not packed.
struct PanelLayout {
  int64_t columns = 0;
  int64_t vnni = 1;

  bool isPacked() const { return columns != 0; }
};

/// The layout the CPU GEMM is fastest with for weights stored as `type`:
/// 32 columns, pairs of k for bf16. It does not depend on the machine: where
/// the CPU has no bf16 dot product, the kernel unpacks panels as it goes.
PanelLayout fastPanelLayout(ElementType type);

/// Elements of a packed [n, k] weight, padding included.
int64_t packedElements(PanelLayout layout, int64_t n, int64_t k);

/// Index of element (row, column) = (n, k) of the weight in the packed array.
int64_t packedIndex(PanelLayout layout, int64_t k, int64_t row, int64_t column);

/// Packs a row-major [n, k] weight of floating-point elements `fromType` into
/// `to` (packedElements elements of `toType`, all written), converting on the
/// way. `leadingDimension` is the distance of two rows, in elements.
void packPanels(PanelLayout layout, int64_t n, int64_t k, ElementType fromType,
                const void *from, int64_t leadingDimension, ElementType toType,
                void *to);

/// The inverse of packPanels: the row-major [n, k] weight again.
void unpackPanels(PanelLayout layout, int64_t n, int64_t k,
                  ElementType fromType, const void *from, ElementType toType,
                  void *to, int64_t leadingDimension);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_PACKING_H
