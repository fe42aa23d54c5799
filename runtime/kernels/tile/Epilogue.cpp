//===- Epilogue.cpp - From the sums of a GEMM tile to C -------------------===//
//
// Row by row, a vector at a time: add the bias, apply the activation, multiply
// by the gate, add the residual and beta times C, round once, store. The bias
// and the gate's row are widened into fp32 buffers when they change, which is
// once a tile and once in rowsPerGate rows.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/tile/TileFunctions.h"
#include "runtime/kernels/tile/Vector.h"

namespace dit::runtime::DIT_INSTRUCTION_SET {

constexpr int64_t maximumColumns = 64;

template <Activation activation, int degree>
DIT_INLINE Float activate(Float x) {
  if constexpr (activation == Activation::GeluTanh)
    return geluTanh<degree>(x);
  else if constexpr (activation == Activation::GeluErf)
    return geluErf(x);
  else if constexpr (activation == Activation::Silu)
    return silu<degree>(x);
  else
    return x;
}

/// What one vector of C needs beside its sums.
template <ElementType type, Activation activation, bool gated>
DIT_INLINE Float finish(Float sums, const float *bias, const float *gate) {
  Float value =
      activate<activation, degreeFor(type)>(sums + loadUnaligned<Float>(bias));
  if constexpr (gated)
    value *= loadUnaligned<Float>(gate);
  return value;
}

template <ElementType type, Activation activation, bool gated, bool added>
static void finishRows(const EpilogueTile &tile, const float *bias) {
  float gate[maximumColumns] = {};
  int64_t gateRow = -1;
  for (int64_t row = 0; row != tile.rows; ++row) {
    if constexpr (gated) {
      int64_t wanted = (tile.firstRow + row) / tile.rowsPerGate;
      if (wanted != gateRow)
        widen(tile.gateType,
              static_cast<const char *>(tile.gate) +
                  wanted * tile.gateStride * bytesOf(tile.gateType),
              gate, tile.columns);
      gateRow = wanted;
    }
    const float *sums = tile.sums + row * tile.sumsStride;
    int64_t c = row * tile.cStride, residual = row * tile.residualStride;
    int64_t i = 0;
    for (; i + lanes <= tile.columns; i += lanes) {
      Float value = finish<type, activation, gated>(
          loadUnaligned<Float>(sums + i), bias + i, gate + i);
      if constexpr (added) {
        if (tile.residual)
          value += load<type>(tile.residual, residual + i);
        if (tile.beta != 0.0f)
          value =
              multiplyAdd(load<type>(tile.c, c + i), splat(tile.beta), value);
      }
      store<type>(tile.c, c + i, value);
    }
    int64_t left = tile.columns - i;
    if (left == 0)
      continue;
    Float value = finish<type, activation, gated>(
        loadUnaligned<Float>(sums + i), bias + i, gate + i);
    if constexpr (added) {
      if (tile.residual)
        value += loadFirst<type>(tile.residual, residual + i, left);
      if (tile.beta != 0.0f)
        value = multiplyAdd(loadFirst<type>(tile.c, c + i, left),
                            splat(tile.beta), value);
    }
    storeFirst<type>(tile.c, c + i, left, value);
  }
}

template <ElementType type, Activation activation>
static void finishTile(const EpilogueTile &tile, const float *bias) {
  bool added = tile.residual || tile.beta != 0.0f;
  if (tile.gate && added)
    finishRows<type, activation, true, true>(tile, bias);
  else if (tile.gate)
    finishRows<type, activation, true, false>(tile, bias);
  else if (added)
    finishRows<type, activation, false, true>(tile, bias);
  else
    finishRows<type, activation, false, false>(tile, bias);
}

template <ElementType type>
static void finishAs(const EpilogueTile &tile) {
  float bias[maximumColumns] = {};
  if (tile.bias)
    widen(tile.biasType, tile.bias, bias, tile.columns);
  switch (tile.activation) {
  case Activation::Identity:
    return finishTile<type, Activation::Identity>(tile, bias);
  case Activation::GeluTanh:
    return finishTile<type, Activation::GeluTanh>(tile, bias);
  case Activation::GeluErf:
    return finishTile<type, Activation::GeluErf>(tile, bias);
  case Activation::Silu:
    return finishTile<type, Activation::Silu>(tile, bias);
  }
}

void epilogue(const EpilogueTile &tile) {
  if (tile.cType == ElementType::F32)
    finishAs<ElementType::F32>(tile);
  else if (tile.cType == ElementType::BF16)
    finishAs<ElementType::BF16>(tile);
  else
    finishAs<ElementType::F16>(tile);
}

} // namespace dit::runtime::DIT_INSTRUCTION_SET
