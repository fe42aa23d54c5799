//===- Packing.cpp - The packed layout of GEMM weights --------------------===//
//
// Row by row: a row of W is converted into a contiguous buffer and its
// elements dealt to one column of a panel. Rows of one panel are near each
// other in memory, so the scattered stores stay in the cache.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Packing.h"

#include <cassert>
#include <cstring>
#include <vector>

using namespace dit::plan;

PanelLayout dit::plan::fastPanelLayout(ElementType type) {
  return {32, type == ElementType::BF16 ? 2 : 1};
}

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int64_t dit::plan::packedElements(PanelLayout layout, int64_t n, int64_t k) {
  return roundUp(n, layout.columns) * roundUp(k, layout.vnni);
}

int64_t dit::plan::packedIndex(PanelLayout layout, int64_t k, int64_t row,
                               int64_t column) {
  int64_t panel =
      row / layout.columns * layout.columns * roundUp(k, layout.vnni);
  return panel + column / layout.vnni * layout.columns * layout.vnni +
         row % layout.columns * layout.vnni + column % layout.vnni;
}

/// Deals one row of k elements of `Element` into its column of a panel.
template <typename Element>
static void dealRow(PanelLayout layout, int64_t k, const Element *row,
                    Element *column) {
  int64_t step = layout.columns * layout.vnni;
  for (int64_t i = 0; i != k; ++i)
    column[i / layout.vnni * step + i % layout.vnni] = row[i];
}

template <typename Element>
static void collectRow(PanelLayout layout, int64_t k, const Element *column,
                       Element *row) {
  int64_t step = layout.columns * layout.vnni;
  for (int64_t i = 0; i != k; ++i)
    row[i] = column[i / layout.vnni * step + i % layout.vnni];
}

void dit::plan::packPanels(PanelLayout layout, int64_t n, int64_t k,
                           ElementType fromType, const void *from,
                           int64_t leadingDimension, ElementType toType,
                           void *to) {
  assert(layout.isPacked() && isFloat(fromType) && isFloat(toType));
  int64_t fromBytes = elementBytes(fromType), toBytes = elementBytes(toType);
  std::memset(to, 0,
              static_cast<size_t>(packedElements(layout, n, k) * toBytes));
  std::vector<uint64_t> buffer(static_cast<size_t>(k));
  for (int64_t row = 0; row != n; ++row) {
    convertFloats(fromType,
                  static_cast<const char *>(from) +
                      row * leadingDimension * fromBytes,
                  toType, buffer.data(), k);
    char *column =
        static_cast<char *>(to) + packedIndex(layout, k, row, 0) * toBytes;
    if (toBytes == 2)
      dealRow(layout, k, reinterpret_cast<uint16_t *>(buffer.data()),
              reinterpret_cast<uint16_t *>(column));
    else if (toBytes == 4)
      dealRow(layout, k, reinterpret_cast<uint32_t *>(buffer.data()),
              reinterpret_cast<uint32_t *>(column));
    else
      dealRow(layout, k, buffer.data(), reinterpret_cast<uint64_t *>(column));
  }
}

void dit::plan::unpackPanels(PanelLayout layout, int64_t n, int64_t k,
                             ElementType fromType, const void *from,
                             ElementType toType, void *to,
                             int64_t leadingDimension) {
  assert(layout.isPacked() && isFloat(fromType) && isFloat(toType));
  int64_t fromBytes = elementBytes(fromType), toBytes = elementBytes(toType);
  std::vector<uint64_t> buffer(static_cast<size_t>(k));
  for (int64_t row = 0; row != n; ++row) {
    const char *column = static_cast<const char *>(from) +
                         packedIndex(layout, k, row, 0) * fromBytes;
    if (fromBytes == 2)
      collectRow(layout, k, reinterpret_cast<const uint16_t *>(column),
                 reinterpret_cast<uint16_t *>(buffer.data()));
    else if (fromBytes == 4)
      collectRow(layout, k, reinterpret_cast<const uint32_t *>(column),
                 reinterpret_cast<uint32_t *>(buffer.data()));
    else
      collectRow(layout, k, reinterpret_cast<const uint64_t *>(column),
                 buffer.data());
    convertFloats(fromType, buffer.data(), toType,
                  static_cast<char *>(to) + row * leadingDimension * toBytes,
                  k);
  }
}
