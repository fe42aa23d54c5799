//===- VerifyPrecision.cpp - What holds after the precision phase ---------===//
#include "passes/precision/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYPRECISION
#include "passes/precision/Passes.h.inc"
} // namespace dit

using namespace dit;

static bool isHalf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor &&
         (tensor.getElementType().isF16() || tensor.getElementType().isBF16());
}

/// May have 16-bit operands or results.
static bool mayBeHalf(Operation *op) {
  return isa<ReadOp, MatmulOp, AttentionOp, BroadcastOp, TransposeOp,
             arith::ConstantOp, arith::TruncFOp, arith::ExtFOp,
             tensor::ExpandShapeOp, tensor::CollapseShapeOp,
             tensor::ExtractSliceOp, tensor::ConcatOp>(op);
}

static LogicalResult verifyOperation(Operation *op, Type low) {
  for (Type type :
       llvm::concat<const Type>(SmallVector<Type>(op->getOperandTypes()),
                                SmallVector<Type>(op->getResultTypes()))) {
    if (!isHalf(type))
      continue;
    if (!mayBeHalf(op))
      return op->emitOpError("computes in ")
             << type << "; only matmuls and attention may";
    Type element = cast<RankedTensorType>(type).getElementType();
    if (element != low && !isa<arith::TruncFOp, arith::ExtFOp>(op))
      return op->emitOpError("has type ")
             << type << ", which is not of the module's precision";
  }
  auto matmul = dyn_cast<MatmulOp>(op);
  if (matmul && matmul.getBias() && isHalf(matmul.getBias().getType()))
    return op->emitOpError("has a bias of ")
           << matmul.getBias().getType() << ", but biases are fp32";
  return success();
}

namespace {
struct VerifyPrecision : dit::impl::VerifyPrecisionBase<VerifyPrecision> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    ModuleOp module = getOperation();
    auto precision = module->getAttrOfType<StringAttr>("dit.precision");
    if (!precision) {
      module.emitOpError("has no 'dit.precision'");
      return signalPassFailure();
    }
    Type low;
    if (precision != "fp32")
      low = precision == "bf16" ? Type(BFloat16Type::get(&getContext()))
                                : Type(Float16Type::get(&getContext()));
    WalkResult walk = module.walk([&](func::FuncOp function) {
      for (Operation &op : function.getBody().front())
        if (failed(verifyOperation(&op, low)))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
