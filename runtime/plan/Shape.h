//===- Shape.h - Sizes of tensors, without overflow -----------------------===//
#ifndef DIT_RUNTIME_PLAN_SHAPE_H
#define DIT_RUNTIME_PLAN_SHAPE_H

#include "runtime/plan/ElementType.h"
#include "runtime/plan/Packing.h"
#include "runtime/plan/plan.pb.h"

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <optional>
#include <string>

namespace dit::plan {

/// No dimension, stride or count of a plan is larger: products of two then fit
/// 128 bits with room, and a byte count fits 64.
constexpr int64_t largestExtent = int64_t(1) << 42;

/// The element type without protobuf; Unspecified for numbers from outside
/// that are no element type.
inline ElementType elementType(proto::ElementType type) {
  return proto::ElementType_IsValid(type) ? static_cast<ElementType>(type)
                                          : ElementType::Unspecified;
}

/// The packed layout without protobuf.
inline PanelLayout panelLayout(const proto::PackedLayout &layout) {
  return {layout.columns(), layout.vnni()};
}

/// A repeated int64 field as an ArrayRef.
inline llvm::ArrayRef<int64_t>
dimensions(const google::protobuf::RepeatedField<int64_t> &field) {
  return {field.data(), static_cast<size_t>(field.size())};
}

/// The number of elements; nothing where a dimension is negative or the
/// product exceeds largestExtent.
std::optional<int64_t> elementCount(llvm::ArrayRef<int64_t> shape);

/// Elements times the element's size; nothing as elementCount, or for an
/// unknown type.
std::optional<int64_t> tensorBytes(const proto::Tensor &tensor);

/// "f32[8, 64, 192]"
std::string printTensor(const proto::Tensor &tensor);

/// "[8, 64, 192]"
std::string printShape(llvm::ArrayRef<int64_t> shape);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_SHAPE_H
