//===- GlobalLayout.cpp - Moving a view into a global's pieces ------------===//
#include "passes/simplify/GlobalLayout.h"

using namespace mlir;
using namespace dit;

namespace {

/// One dimension of a piece's target: what the piece covers of it, and which
/// dimension of the piece's view it is (-1: none, of size 1).
struct Part {
  int64_t full, start, size;
  int64_t viewDim;
};

/// A piece's parts, in the order of the target. `dims[i]` is the dimension of
/// the global that part i lies in.
struct Box {
  SmallVector<Part> parts;
  SmallVector<int64_t> dims;
};

} // namespace

/// Splits the piece's target where the dimensions of `shape` end.
static std::optional<Box> splitTarget(PieceAttr piece,
                                      ArrayRef<int64_t> shape) {
  Box box;
  ArrayRef<int64_t> target = piece.getTarget().asArrayRef(),
                    offset = piece.getOffset().asArrayRef(),
                    view = piece.getView().asArrayRef(),
                    permutation = piece.getPermutation().asArrayRef();
  size_t dim = 0;
  int64_t left = shape.empty() ? 1 : shape[0];
  for (size_t i = 0; i < target.size(); ++i) {
    int64_t rest = target[i], start = offset[i], size = view[permutation[i]];
    bool first = true;
    while (rest > 1 || first) {
      while (left == 1 && rest > 1 && dim + 1 < shape.size())
        left = shape[++dim];
      int64_t full;
      if (rest % left == 0)
        full = left;
      else if (left % rest == 0)
        full = rest;
      else
        return std::nullopt;
      if (rest == 1)
        full = 1;
      int64_t inner = rest / full;
      Part part{full, start / inner, 1, permutation[i]};
      if (size % inner == 0 && start % inner == 0) {
        part.size = size / inner;
        start = 0;
        size = inner;
      } else if (start / inner == (start + size - 1) / inner) {
        start %= inner;
      } else {
        return std::nullopt;
      }
      box.parts.push_back(part);
      box.dims.push_back(dim);
      rest = inner;
      left /= full;
      first = false;
    }
  }
  return box;
}

/// The piece whose target is the box's parts in the given order; the parts'
/// order in the view stays the file's.
static PieceAttr makePiece(PieceAttr piece, const Box &box,
                           ArrayRef<size_t> order) {
  // The view's dimensions, in the file's order: parts of one dimension of the
  // old view keep their order, which `box` has.
  SmallVector<size_t> inFile(box.parts.size());
  for (size_t i = 0; i < inFile.size(); ++i)
    inFile[i] = i;
  llvm::stable_sort(inFile, [&](size_t a, size_t b) {
    return box.parts[a].viewDim < box.parts[b].viewDim;
  });
  SmallVector<int64_t> view, permutation, target, offset;
  for (size_t part : inFile)
    view.push_back(box.parts[part].size);
  for (size_t part : order) {
    permutation.push_back(llvm::find(inFile, part) - inFile.begin());
    target.push_back(box.parts[part].full);
    offset.push_back(box.parts[part].start);
  }
  MLIRContext *context = piece.getContext();
  auto array = [&](ArrayRef<int64_t> values) {
    return DenseI64ArrayAttr::get(context, values);
  };
  return PieceAttr::get(context, piece.getName(), piece.getFile(), array(view),
                        array(permutation), array(target), array(offset),
                        piece.getSource());
}

std::optional<PieceAttr> dit::transposePiece(PieceAttr piece,
                                             ArrayRef<int64_t> shape,
                                             ArrayRef<int64_t> permutation) {
  auto box = splitTarget(piece, shape);
  if (!box)
    return std::nullopt;
  SmallVector<size_t> order;
  for (int64_t dim : permutation)
    for (size_t part = 0; part < box->parts.size(); ++part)
      if (box->dims[part] == dim)
        order.push_back(part);
  return makePiece(piece, *box, order);
}

std::optional<PieceAttr> dit::interleavePiece(PieceAttr piece,
                                              ArrayRef<int64_t> shape,
                                              int64_t index, int64_t count) {
  auto box = splitTarget(piece, shape);
  if (!box)
    return std::nullopt;
  SmallVector<size_t> order;
  // A view dimension of 1 can stand anywhere in the file's order: in front.
  box->parts.push_back({count, index, 1, -1});
  box->dims.push_back(-1);
  bool placed = false;
  for (size_t part = 0; part + 1 < box->parts.size(); ++part) {
    if (box->dims[part] > 0 && !placed) {
      order.push_back(box->parts.size() - 1);
      placed = true;
    }
    order.push_back(part);
  }
  if (!placed)
    order.push_back(box->parts.size() - 1);
  return makePiece(piece, *box, order);
}

std::optional<PieceAttr> dit::joinPiece(PieceAttr piece,
                                        ArrayRef<int64_t> shape, int64_t dim,
                                        int64_t offset, int64_t total) {
  auto box = splitTarget(piece, shape);
  if (!box)
    return std::nullopt;
  SmallVector<size_t> order;
  Part *joined = nullptr;
  for (size_t part = 0; part < box->parts.size(); ++part) {
    order.push_back(part);
    if (box->dims[part] != dim)
      continue;
    // A dimension in several parts would have to be split at `offset` too.
    if (joined)
      return std::nullopt;
    joined = &box->parts[part];
  }
  if (!joined)
    return std::nullopt;
  joined->full = total;
  joined->start += offset;
  return makePiece(piece, *box, order);
}
