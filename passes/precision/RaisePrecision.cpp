//===- RaisePrecision.cpp - Compute in fp32 what the file has in 16 bits --===//
#include "passes/precision/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RAISEPRECISION
#include "passes/precision/Passes.h.inc"
} // namespace dit

using namespace dit;

static bool isHalf(Type element) { return element.isF16() || element.isBF16(); }

/// `type` with fp32 elements where it has 16-bit floats.
static Type raise(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (tensor && isHalf(tensor.getElementType()))
    return tensor.clone(Float32Type::get(type.getContext()));
  return isHalf(type) ? Float32Type::get(type.getContext()) : type;
}

/// A truncf that only extfs use rounds on purpose.
static bool isRounding(arith::TruncFOp op) {
  return !op->use_empty() && llvm::all_of(op->getUsers(), [](Operation *user) {
    return isa<arith::ExtFOp>(user);
  });
}

static float toFloat(APFloat value) {
  bool losesInfo;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToFloat();
}

/// The values of `elements` as fp32; null where they are in an unknown form.
static ElementsAttr raiseElements(ElementsAttr elements) {
  auto type = cast<RankedTensorType>(raise(elements.getType()));
  if (auto splat = dyn_cast<SplatElementsAttr>(elements))
    return SplatElementsAttr::get(type,
                                  toFloat(splat.getSplatValue<APFloat>()));
  SmallVector<float> values;
  values.reserve(type.getNumElements());
  if (auto dense = dyn_cast<DenseElementsAttr>(elements)) {
    for (const APFloat &value : dense.getValues<APFloat>())
      values.push_back(toFloat(value));
    return DenseElementsAttr::get(type, ArrayRef(values));
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(elements);
  const AsmResourceBlob *blob =
      resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob)
    return {};
  auto element = cast<FloatType>(elements.getElementType());
  for (uint16_t bits : blob->getDataAs<uint16_t>())
    values.push_back(
        toFloat(APFloat(element.getFloatSemantics(), APInt(16, bits))));
  return DenseElementsAttr::get(type, ArrayRef(values));
}

/// The bits of a 16-bit float have no meaning once it is computed in fp32.
static LogicalResult refuseBitcasts(func::FuncOp function) {
  WalkResult walk = function.walk([](arith::BitcastOp op) {
    if (raise(op.getIn().getType()) == op.getIn().getType() &&
        raise(op.getType()) == op.getType())
      return WalkResult::advance();
    op.emitOpError("looks at the bits of a 16-bit float, which is computed in "
                   "fp32");
    return WalkResult::interrupt();
  });
  return failure(walk.wasInterrupted());
}

/// Gives the results of `op` their raised types, and a constant its values.
static LogicalResult raiseOperation(Operation *op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op);
      constant && raise(constant.getType()) != constant.getType()) {
    auto elements = dyn_cast<ElementsAttr>(constant.getValue());
    ElementsAttr raised = elements ? raiseElements(elements) : ElementsAttr();
    if (!raised)
      return op->emitOpError("has values in a form that cannot be converted");
    constant.setValueAttr(raised);
  }
  for (OpResult result : op->getResults())
    result.setType(raise(result.getType()));
  return success();
}

static LogicalResult raiseFunction(func::FuncOp function) {
  if (failed(refuseBitcasts(function)))
    return failure();
  llvm::SmallPtrSet<Operation *, 8> roundings;
  function.walk([&](arith::TruncFOp op) {
    if (isRounding(op))
      roundings.insert(op);
  });
  for (BlockArgument argument : function.getArguments())
    argument.setType(raise(argument.getType()));
  WalkResult walk = function.walk([&](Operation *op) {
    if (op == function || roundings.contains(op))
      return WalkResult::advance();
    return WalkResult(raiseOperation(op));
  });
  if (walk.wasInterrupted())
    return failure();

  function.walk([](Operation *op) {
    if (isa<arith::ExtFOp, arith::TruncFOp>(op) &&
        op->getOperand(0).getType() == op->getResult(0).getType()) {
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      op->erase();
    }
  });
  Operation *end = function.getBody().back().getTerminator();
  function.setType(FunctionType::get(function.getContext(),
                                     function.getBody().getArgumentTypes(),
                                     end->getOperandTypes()));
  return success();
}

namespace {
struct RaisePrecision : dit::impl::RaisePrecisionBase<RaisePrecision> {
  void runOnOperation() override {
    for (auto global : getOperation().getOps<GlobalOp>())
      global.setType(cast<RankedTensorType>(raise(global.getTensorType())));
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(raiseFunction(function)))
        return signalPassFailure();
  }
};
} // namespace
