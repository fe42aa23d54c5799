//===- GlobalValues.cpp - The numbers in globals and constants ------------===//
#include "test/passes/program/differentiate/GlobalValues.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

using Point = SmallVector<int64_t>;
using Shape = ArrayRef<int64_t>;

static Point pointOf(int64_t position, Shape shape) {
  Point point(shape.size());
  for (size_t dim = shape.size(); dim-- > 0; position /= shape[dim])
    point[dim] = position % shape[dim];
  return point;
}

static int64_t positionOf(Shape point, Shape shape) {
  int64_t position = 0;
  for (size_t dim = 0; dim < shape.size(); ++dim)
    position = position * shape[dim] + point[dim];
  return position;
}

Numbers dit::toNumbers(ElementsAttr attribute) {
  Type element = attribute.getElementType();
  if (auto resource = dyn_cast<DenseF32ResourceElementsAttr>(attribute)) {
    auto values = resource.tryGetAsArrayRef();
    return values ? Numbers(values->begin(), values->end()) : Numbers();
  }
  Numbers numbers;
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (dense && isa<FloatType>(element))
    for (const APFloat &value : dense.getValues<APFloat>())
      numbers.push_back(value.convertToDouble());
  else if (dense)
    for (const APInt &value : dense.getValues<APInt>())
      numbers.push_back(element.isInteger(1)
                            ? static_cast<double>(value.getZExtValue())
                            : static_cast<double>(value.getSExtValue()));
  return numbers;
}

/// Calls `visit(file, place)` for every element of `piece`: its index in the
/// file's tensor and in the global, in the order of the global.
static void forEach(PieceAttr piece,
                    llvm::function_ref<void(int64_t, int64_t)> visit) {
  Shape view = piece.getView().asArrayRef(),
        permutation = piece.getPermutation().asArrayRef();
  Point permuted;
  for (int64_t dim : permutation)
    permuted.push_back(view[dim]);
  for (int64_t n = 0; n < piece.getFile().getNumElements(); ++n) {
    Point point = pointOf(n, permuted), file(view.size());
    for (auto [dim, source] : llvm::enumerate(permutation))
      file[source] = point[dim];
    for (auto [index, offset] :
         llvm::zip(point, piece.getOffset().asArrayRef()))
      index += offset;
    visit(positionOf(file, view),
          positionOf(point, piece.getTarget().asArrayRef()));
  }
}

Numbers dit::getValues(GlobalOp global) {
  Numbers values(global.getTensorType().getNumElements());
  for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
    auto source = dyn_cast<ElementsAttr>(piece.getSource());
    Numbers file = source ? toNumbers(source) : Numbers();
    if (static_cast<int64_t>(file.size()) != piece.getFile().getNumElements()) {
      ADD_FAILURE() << "no values for " << piece.getName().str();
      return values;
    }
    forEach(piece, [&](int64_t from, int64_t to) { values[to] = file[from]; });
  }
  return values;
}

Numbers dit::takePiece(PieceAttr piece, const Numbers &global) {
  Numbers taken;
  forEach(piece,
          [&](int64_t, int64_t place) { taken.push_back(global[place]); });
  return taken;
}
