//===- DifferentiableOpInterface.cpp - The table of cotangents ------------===//
#include "dialects/dit/DifferentiableOpInterface.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace dit;

#include "dialects/dit/DifferentiableOpInterface.cpp.inc"

/// fp32 for narrower types, the type itself otherwise.
static Type atLeastF32(Type element) {
  return element.getIntOrFloatBitWidth() < 32
             ? Float32Type::get(element.getContext())
             : element;
}

void Cotangents::activate(Value value, bool isWide) {
  assert(isa<FloatType>(getTensorType(value).getElementType()));
  entries[value].isWide |= isWide;
}

bool Cotangents::isWide(Value value) const {
  auto entry = entries.find(value);
  return entry != entries.end() && entry->second.isWide;
}

Type Cotangents::getElementType(Value value) const {
  Type element = getTensorType(value).getElementType();
  return isWide(value) ? atLeastF32(element) : element;
}

Value Cotangents::sumOf(Value a, Value b, Location loc) {
  Type left = atLeastF32(getTensorType(a).getElementType()),
       right = atLeastF32(getTensorType(b).getElementType());
  Type wider = left.getIntOrFloatBitWidth() < right.getIntOrFloatBitWidth()
                   ? right
                   : left;
  return arith::AddFOp::create(builder, loc, createCast(builder, loc, a, wider),
                               createCast(builder, loc, b, wider));
}

void Cotangents::add(Value value, Value contribution) {
  auto found = entries.find(value);
  if (found == entries.end())
    return;
  assert(getTensorType(value).getShape() ==
         getTensorType(contribution).getShape());
  Value &sum = found->second.sum;
  sum = sum ? sumOf(sum, contribution, value.getLoc()) : contribution;
}

void Cotangents::addSlice(Value value, Value contribution, int64_t dim,
                          int64_t offset) {
  auto found = entries.find(value);
  if (found == entries.end())
    return;
  int64_t size = getTensorType(contribution).getDimSize(dim);
  if (size)
    found->second.slices.push_back({contribution, dim, offset, offset + size});
}

/// Slices of one dimension that do not overlap, with zeros between them, as one
/// tensor of the shape of `like`.
Value Cotangents::place(ArrayRef<Slice> slices, Value like) {
  SmallVector<Slice> sorted(slices);
  llvm::sort(sorted,
             [](const Slice &a, const Slice &b) { return a.begin < b.begin; });
  Location loc = like.getLoc();
  RankedTensorType whole = getTensorType(like).clone(getElementType(like));
  int64_t dim = sorted.front().dim, at = 0;
  SmallVector<Value> parts;
  auto fillTo = [&](int64_t end) {
    if (at == end)
      return;
    SmallVector<int64_t> shape(whole.getShape());
    shape[dim] = end - at;
    parts.push_back(createSplat(builder, loc, whole.clone(shape), 0));
  };
  for (const Slice &slice : sorted) {
    fillTo(slice.begin);
    parts.push_back(
        createCast(builder, loc, slice.value, whole.getElementType()));
    at = slice.end;
  }
  fillTo(whole.getDimSize(dim));
  if (parts.size() == 1)
    return parts.front();
  return tensor::ConcatOp::create(builder, loc, whole, dim, parts);
}

Value Cotangents::get(Value value) {
  auto found = entries.find(value);
  if (found == entries.end())
    return {};
  Entry &entry = found->second;

  // First fit: a slice joins the first layer where its place is free.
  SmallVector<SmallVector<Slice>> layers;
  for (const Slice &slice : entry.slices) {
    auto hasRoom = [&](ArrayRef<Slice> layer) {
      return llvm::all_of(layer, [&](const Slice &other) {
        return other.dim == slice.dim &&
               (other.end <= slice.begin || slice.end <= other.begin);
      });
    };
    auto layer = llvm::find_if(layers, hasRoom);
    if (layer == layers.end())
      layers.push_back({slice});
    else
      layer->push_back(slice);
  }
  entry.slices.clear();
  for (ArrayRef<Slice> layer : layers)
    add(value, place(layer, value));

  if (entry.sum)
    entry.sum =
        createCast(builder, value.getLoc(), entry.sum, getElementType(value));
  return entry.sum;
}
