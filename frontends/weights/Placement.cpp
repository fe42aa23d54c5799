//===- Placement.cpp - How a tensor of a file lies in a global ------------===//
#include "frontends/weights/Placement.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

Placement Placement::of(PieceAttr piece) {
  auto copy = [](DenseI64ArrayAttr array) {
    return SmallVector<int64_t>(array.asArrayRef());
  };
  return {copy(piece.getView()), copy(piece.getPermutation()),
          copy(piece.getTarget()), copy(piece.getOffset())};
}

bool Placement::transpose(int64_t rows) {
  int64_t rank = view.size(), split = 0;
  for (int64_t product = 1; split < rank && product < rows; ++split)
    product *= view[split];
  int64_t product = 1;
  for (int64_t dim = 0; dim < split; ++dim)
    product *= view[dim];
  if (product != rows)
    return false;
  std::rotate(view.begin(), view.begin() + split, view.end());
  for (int64_t &dim : permutation)
    dim = dim < split ? dim + rank - split : dim - split;
  return true;
}

bool Placement::takePart(int64_t index, int64_t count) {
  if (view.empty() || view[0] % count)
    return false;
  auto place = llvm::find(permutation, 0) - permutation.begin();
  if (target[place] != view[0] || offset[place] != 0)
    return false;
  if (view[0] != count) {
    // Make the parts a dimension of their own: [N, …] as [count, N / count, …].
    int64_t size = view[0] / count;
    view[0] = size;
    view.insert(view.begin(), count);
    for (int64_t &dim : permutation)
      ++dim;
    permutation.insert(permutation.begin() + place, 0);
    target[place] = size;
    target.insert(target.begin() + place, count);
    offset.insert(offset.begin() + place, 0);
  }
  view[0] = 1;
  offset[place] = index;
  return true;
}

PieceAttr Placement::getPiece(StringRef name, RankedTensorType file,
                              Attribute source) const {
  MLIRContext *context = file.getContext();
  auto array = [&](ArrayRef<int64_t> values) {
    return DenseI64ArrayAttr::get(context, values);
  };
  return PieceAttr::get(context, name, file, array(view), array(permutation),
                        array(target), array(offset), source);
}
