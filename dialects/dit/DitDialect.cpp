//===- DitDialect.cpp - Registration of the dit dialect -------------------===//
#include "dialects/dit/DitDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

#include "dialects/dit/DitDialect.cpp.inc"

#include "dialects/dit/DitEnums.cpp.inc"

void dit::DitDialect::initialize() {
  registerAttributes();
  registerOperations();
}

Operation *dit::DitDialect::materializeConstant(OpBuilder &builder,
                                                Attribute value, Type type,
                                                Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}
