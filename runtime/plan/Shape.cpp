//===- Shape.cpp - Sizes of tensors, without overflow ---------------------===//

#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit::plan;

std::optional<int64_t> dit::plan::elementCount(llvm::ArrayRef<int64_t> shape) {
  __int128 count = 1;
  // A zero anywhere makes the product zero, but no dimension may be absurd.
  for (int64_t size : shape) {
    if (size < 0 || size > largestExtent)
      return std::nullopt;
    count *= size;
    if (count > largestExtent)
      return std::nullopt;
  }
  return static_cast<int64_t>(count);
}

std::optional<int64_t> dit::plan::tensorBytes(const proto::Tensor &tensor) {
  std::optional<int64_t> count = elementCount(dimensions(tensor.shape()));
  int64_t size = elementBytes(elementType(tensor.type()));
  if (!count || size == 0)
    return std::nullopt;
  return *count * size;
}

std::string dit::plan::printShape(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(shape, os);
  os << ']';
  return text;
}

std::string dit::plan::printTensor(const proto::Tensor &tensor) {
  return std::string(elementName(elementType(tensor.type()))) +
         printShape(dimensions(tensor.shape()));
}
