//===- MaterializeViews.cpp - Views that their users can read -------------===//
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/lowering/MatrixView.h"
#include "passes/lowering/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_MATERIALIZEVIEWS
#include "passes/lowering/Passes.h.inc"
} // namespace dit

using namespace dit;

static bool isContiguousView(Value value) {
  std::optional<StridedView> view = getStridedView(value);
  return view && view->isContiguous();
}

/// Kernels read 16 bytes at a time, so that their inputs begin at multiples of
/// it, as buffers and globals do.
static bool isKernelInput(Value value) {
  std::optional<StridedView> view = getStridedView(value);
  int64_t size = plan::getElementBytes(
      cast<RankedTensorType>(value.getType()).getElementType());
  return view && view->isContiguous() && view->offset * size % 16 == 0;
}

/// Clones the views that make `value` at the builder's place, from the first
/// tensor that a kernel can read on, which becomes `source`; `argument` stands
/// for it.
static Value cloneViews(OpBuilder &builder, Value value,
                        function_ref<Value(Value source)> argument) {
  if (isKernelInput(value) || !isViewOp(value.getDefiningOp()))
    return argument(value);
  Operation *op = value.getDefiningOp();
  IRMapping mapping;
  mapping.map(op->getOperand(0),
              cloneViews(builder, op->getOperand(0), argument));
  return builder.clone(*op, mapping)->getResult(0);
}

/// Moves the views that the kernel cannot read into it.
static void sinkViews(KernelOp kernel) {
  if (llvm::all_of(kernel.getInputs(), isKernelInput))
    return;
  OpBuilder builder(kernel);
  Block &body = kernel.getBody().front();
  SmallVector<Value> inputs;
  OpBuilder inside = OpBuilder::atBlockBegin(&body);
  unsigned count = kernel.getInputs().size();
  // One argument a source; the old arguments, which come first, then go.
  DenseMap<Value, Value> arguments;
  auto argument = [&](Value source) {
    Value &known = arguments[source];
    if (!known) {
      inputs.push_back(source);
      known = body.addArgument(source.getType(), source.getLoc());
    }
    return known;
  };
  for (unsigned index = 0; index < count; ++index)
    body.getArgument(index).replaceAllUsesWith(
        cloneViews(inside, kernel.getInputs()[index], argument));
  body.eraseArguments(0, count);
  kernel.getInputsMutable().assign(inputs);
}

/// The space of a kernel that makes a tensor: its shape, a scalar as [1].
static SmallVector<int64_t> spaceOf(Value value) {
  SmallVector<int64_t> space(
      cast<RankedTensorType>(value.getType()).getShape());
  if (space.empty())
    space.push_back(1);
  return space;
}

namespace {
struct MaterializeViews : dit::impl::MaterializeViewsBase<MaterializeViews> {
  using MaterializeViewsBase::MaterializeViewsBase;

  void runOnOperation() override {
    SmallVector<Operation *> users;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<KernelOp, MatmulOp, dit::AttentionOp, dit::AttentionGradOp,
              WriteOp>(op))
        users.push_back(op);
      return isa<KernelOp>(op) ? WalkResult::skip() : WalkResult::advance();
    });
    for (Operation *op : users)
      llvm::TypeSwitch<Operation *>(op)
          .Case<KernelOp>(sinkViews)
          .Case<MatmulOp, dit::AttentionOp, dit::AttentionGradOp, WriteOp>(
              [&](auto user) { prepare(user); });
  }

private:
  /// Puts a kernel between the operand and its view.
  void materialize(OpOperand &operand, StringRef reason) {
    Operation *user = operand.getOwner();
    Value value = operand.get();
    if (report)
      user->emitRemark("copies its operand ")
          << operand.getOperandNumber() << ": " << reason;
    OpBuilder builder(user);
    auto copy = KernelOp::create(builder, user->getLoc(), value.getType(),
                                 "copy_view", spaceOf(value), ValueRange());
    Block &body = copy.getBody().emplaceBlock();
    OpBuilder inside = OpBuilder::atBlockBegin(&body);
    Value source;
    Value view = cloneViews(inside, value, [&](Value contiguous) {
      source = contiguous;
      return body.addArgument(contiguous.getType(), contiguous.getLoc());
    });
    YieldOp::create(inside, user->getLoc(), view);
    copy.getInputsMutable().assign(source);
    operand.set(copy.getResult(0));
  }

  void materializeUnlessContiguous(OpOperand &operand, StringRef reason) {
    if (!isContiguousView(operand.get()))
      materialize(operand, reason);
  }

  void prepare(WriteOp op) {
    materializeUnlessContiguous(op.getValueMutable(),
                                "a write needs contiguous bytes");
  }

  void prepare(MatmulOp op) {
    for (MutableOperandRange range : {op.getBiasMutable(), op.getGateMutable()})
      for (OpOperand &operand : range) {
        std::optional<StridedView> view = getStridedView(operand.get());
        if (!view || (view->sizes.back() != 1 && view->strides.back() != 1))
          materialize(operand, "a row must be contiguous");
      }
    OpOperand *culprit = nullptr;
    while (!getMatmulViews(op, culprit))
      materialize(*culprit, "a matrix needs a contiguous dimension and one "
                            "stride for its batch and rows");
  }

  /// The mask may have any strides, every other operand any of its rows.
  void prepareAttention(Operation *op, Value mask) {
    for (OpOperand &operand : op->getOpOperands()) {
      std::optional<StridedView> view = getStridedView(operand.get());
      bool isMask = operand.get() == mask;
      if (!view ||
          (!isMask && view->sizes.back() != 1 && view->strides.back() != 1))
        materialize(operand, "the head dimension must be contiguous");
    }
  }

  void prepare(dit::AttentionOp op) { prepareAttention(op, op.getMask()); }

  void prepare(dit::AttentionGradOp op) {
    materializeUnlessContiguous(op.getLogSumExpMutable(),
                                "log_sum_exp must be contiguous");
    prepareAttention(op, op.getMask());
  }
};
} // namespace
