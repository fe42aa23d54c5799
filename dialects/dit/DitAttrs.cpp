//===- DitAttrs.cpp - Attributes of the dit dialect -----------------------===//
#include "dialects/dit/DitDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <numeric>

using namespace mlir;

#define GET_ATTRDEF_CLASSES
#include "dialects/dit/DitAttrs.cpp.inc"

void dit::DitDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/dit/DitAttrs.cpp.inc"
      >();
}

static int64_t product(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t(1),
                         std::multiplies<>());
}

LogicalResult
dit::PieceAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                       StringRef name, RankedTensorType file,
                       DenseI64ArrayAttr view, DenseI64ArrayAttr permutation,
                       DenseI64ArrayAttr target, DenseI64ArrayAttr offset,
                       Attribute source) {
  if (product(view) != file.getNumElements())
    return emitError() << "piece '" << name << "' has " << file.getNumElements()
                       << " elements, but its view " << product(view);
  int64_t rank = view.size();
  if (permutation.size() != rank || target.size() != rank ||
      offset.size() != rank)
    return emitError() << "view, permutation, target and offset of piece '"
                       << name << "' must have one rank";
  SmallVector<int64_t> sorted(permutation.asArrayRef());
  llvm::sort(sorted);
  for (int64_t dim = 0; dim < rank; ++dim)
    if (sorted[dim] != dim)
      return emitError() << "permutation of piece '" << name
                         << "' is not a permutation";
  for (int64_t dim = 0; dim < rank; ++dim) {
    int64_t size = view[permutation[dim]];
    if (offset[dim] < 0 || offset[dim] + size > target[dim])
      return emitError() << "piece '" << name << "' reaches from "
                         << offset[dim] << " to " << offset[dim] + size
                         << " in dimension " << dim << " of size "
                         << target[dim];
  }
  return success();
}

dit::PieceAttr dit::PieceAttr::getIdentity(StringRef name,
                                           RankedTensorType type,
                                           Attribute source) {
  MLIRContext *context = type.getContext();
  SmallVector<int64_t> order(type.getRank());
  std::iota(order.begin(), order.end(), 0);
  SmallVector<int64_t> zeros(type.getRank(), 0);
  auto shape = DenseI64ArrayAttr::get(context, type.getShape());
  return get(context, name, type, shape, DenseI64ArrayAttr::get(context, order),
             shape, DenseI64ArrayAttr::get(context, zeros), source);
}

bool dit::PieceAttr::isIdentity() {
  auto order = getPermutation().asArrayRef();
  return llvm::is_sorted(order) && getView() == getTarget();
}
