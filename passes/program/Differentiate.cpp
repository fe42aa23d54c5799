//===- Differentiate.cpp - Reverse-mode differentiation -------------------===//
//
// 1. Forwards: a float value is active where it depends on what we
//    differentiate by. It is wide (its cotangent at least fp32) where it is one
//    of those values, or a view or cast of one: else a parameter's gradient
//    would be rounded on its way through a reshape or a master's cast.
// 2. Backwards from the loss: an op whose result has a cotangent contributes to
//    its operands. Ops that the loss does not depend on never get one.
//
//===----------------------------------------------------------------------===//
#include "passes/program/Differentiate.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/program/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "passes/program/Passes.h.inc"
} // namespace dit

using namespace dit;

static bool isFloatTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && isa<FloatType>(type.getElementType());
}

/// True where the result holds the first operand's elements, cast or moved.
static bool isViewOrCast(Operation *op) {
  return isa<arith::ExtFOp, arith::TruncFOp, TransposeOp, tensor::ExpandShapeOp,
             tensor::CollapseShapeOp, tensor::ExtractSliceOp>(op);
}

/// True where `op`, or an op inside it, uses an active value.
static bool usesActive(Operation *op, const Cotangents &cotangents) {
  WalkResult result = op->walk([&](Operation *inner) {
    bool uses = llvm::any_of(inner->getOperands(), [&](Value operand) {
      return cotangents.needs(operand);
    });
    return uses ? WalkResult::interrupt() : WalkResult::advance();
  });
  return result.wasInterrupted();
}

/// The ops of `block` from its start up to `last`, itself among them.
static SmallVector<Operation *> getOpsUpTo(Operation *last) {
  SmallVector<Operation *> ops;
  for (Operation &op : *last->getBlock()) {
    ops.push_back(&op);
    if (&op == last)
      break;
  }
  return ops;
}

static void activate(ArrayRef<Operation *> ops, Cotangents &cotangents) {
  for (Operation *op : ops) {
    if (isa<StopGradientOp>(op) || !usesActive(op, cotangents))
      continue;
    bool isWide = isViewOrCast(op) && cotangents.isWide(op->getOperand(0));
    for (Value result : op->getResults())
      if (isFloatTensor(result))
        cotangents.activate(result, isWide);
  }
}

static LogicalResult propagate(OpBuilder &builder, ArrayRef<Operation *> ops,
                               Cotangents &cotangents) {
  for (Operation *op : llvm::reverse(ops)) {
    bool hasCotangent = llvm::any_of(op->getResults(), [&](Value result) {
      return cotangents.get(result) != Value();
    });
    if (!hasCotangent || !usesActive(op, cotangents))
      continue;
    auto rule = dyn_cast<DifferentiableOpInterface>(op);
    if (!rule)
      return op->emitOpError("is not differentiable: it has no rule");
    if (failed(rule.buildVjp(builder, cotangents)))
      return failure();
  }
  return success();
}

FailureOr<SmallVector<Value>> dit::differentiate(OpBuilder &builder, Value loss,
                                                 ValueRange wrt, Value seed) {
  assert(llvm::all_of(wrt, isFloatTensor) && "only floats have gradients");
  if (!isFloatTensor(loss) || getTensorType(loss).getNumElements() != 1)
    return emitError(loss.getLoc())
           << "the loss must be one floating-point number, but is "
           << loss.getType();
  SmallVector<Operation *> ops;
  if (Operation *last = loss.getDefiningOp())
    ops = getOpsUpTo(last);

  Cotangents cotangents(builder);
  for (Value value : wrt)
    cotangents.activate(value, /*isWide=*/true);
  activate(ops, cotangents);
  if (cotangents.needs(loss))
    cotangents.add(loss, seed ? seed
                              : createSplat(builder, loss.getLoc(),
                                            getTensorType(loss), 1));
  if (failed(propagate(builder, ops, cotangents)))
    return failure();

  SmallVector<Value> gradients;
  for (Value value : wrt)
    gradients.push_back(cotangents.get(value));
  for (Operation *op : ops)
    if (auto stop = dyn_cast<StopGradientOp>(op);
        stop && stop != loss.getDefiningOp()) {
      stop.getResult().replaceAllUsesWith(stop.getInput());
      stop.erase();
    }
  return gradients;
}

namespace {
struct Differentiate : dit::impl::DifferentiateBase<Differentiate> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr("dit.loss") || function->hasAttr("dit.wrt"))
        if (failed(addGradients(function)))
          return signalPassFailure();
  }

  static LogicalResult addGradients(func::FuncOp function);
};
} // namespace

LogicalResult Differentiate::addGradients(func::FuncOp function) {
  auto lossIndex = function->getAttrOfType<IntegerAttr>("dit.loss");
  auto wrtIndices = function->getAttrOfType<DenseI64ArrayAttr>("dit.wrt");
  if (!lossIndex || !wrtIndices || function.isExternal())
    return function.emitOpError("needs a body, 'dit.loss', the index of a "
                                "result, and 'dit.wrt', indices of arguments");
  int64_t loss = lossIndex.getInt();
  if (loss < 0 || loss >= function.getNumResults())
    return function.emitOpError("has no result ") << loss << " to be the loss";
  SmallVector<Value> wrt;
  for (int64_t index : wrtIndices.asArrayRef()) {
    if (index < 0 || index >= function.getNumArguments())
      return function.emitOpError("has no argument ") << index;
    wrt.push_back(function.getArgument(index));
    if (!isFloatTensor(wrt.back()))
      return function.emitOpError("has no gradient by argument ")
             << index << ", a " << wrt.back().getType();
  }

  Operation *end = function.getBody().front().getTerminator();
  OpBuilder builder(end);
  auto gradients = differentiate(builder, end->getOperand(loss), wrt);
  if (failed(gradients))
    return failure();
  SmallVector<Type> results(function.getResultTypes());
  for (auto [value, gradient] : llvm::zip(wrt, *gradients)) {
    if (!gradient)
      gradient = createSplat(builder, end->getLoc(), getTensorType(value), 0);
    results.push_back(gradient.getType());
  }
  end->insertOperands(end->getNumOperands(), *gradients);
  function.setType(
      builder.getFunctionType(function.getArgumentTypes(), results));
  function->removeAttr("dit.loss");
  function->removeAttr("dit.wrt");
  return success();
}
