//===- FormKernels.cpp - Everything between GEMMs becomes kernels ---------===//
//
// KernelPlan decides; this file rewrites. Launches are put in order by need:
// for every anchor, in program order, first the kernels whose results it reads,
// so that a value is made shortly before it is used.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "passes/fusion/KernelName.h"
#include "passes/fusion/KernelPlan.h"
#include "passes/fusion/OpKinds.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_FORMKERNELS
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
class KernelEmitter {
public:
  KernelEmitter(Block &block, const KernelPlan &plan, bool report)
      : block(block), plan(plan), report(report),
        builder(block.getTerminator()) {}

  void run();

private:
  void place(Operation *op);
  void provide(Value value);
  void emit(const PlannedKernel &kernel);
  KernelOp create(const PlannedKernel &kernel, ArrayRef<Operation *> body,
                  ArrayRef<Value> inputs);

  Block &block;
  const KernelPlan &plan;
  bool report;
  OpBuilder builder;
  DenseSet<Operation *> placed;
};
} // namespace

/// The space as people read it: the shape of a result where that ends in the
/// lane.
static SmallVector<int64_t> spellSpace(const PlannedKernel &kernel) {
  for (Value result : kernel.results) {
    SmallVector<int64_t> space(
        cast<RankedTensorType>(result.getType()).getShape());
    if (!space.empty() && RowSpace::of(space) == kernel.space)
      return space;
    space.push_back(kernel.space.lane);
    if (RowSpace::of(space) == kernel.space)
      return space;
  }
  return {kernel.space.rows, kernel.space.lane};
}

static Location locate(MLIRContext *context, const PlannedKernel &kernel) {
  llvm::SetVector<Location> locations;
  for (OpResult result : kernel.results)
    locations.insert(result.getLoc());
  return FusedLoc::get(context, locations.getArrayRef());
}

/// Says what went into a kernel, at the op that makes its first result.
static void reportFused(const PlannedKernel &kernel, ArrayRef<Operation *> body,
                        KernelOp made) {
  SmallVector<std::string> names;
  for (Operation *op : body)
    if (!isa<arith::ConstantOp>(op) && !isViewOp(op) && !isa<BroadcastOp>(op))
      names.push_back(getShortName(op));
  if (names.size() < 2)
    return;
  OpResult first = kernel.results.front();
  first.getOwner()->emitRemark("fused ")
      << llvm::join(names, ", ") << " into '" << made.getName() << "', "
      << made.getInputs().size() << " in, " << made.getNumResults() << " out";
}

KernelOp KernelEmitter::create(const PlannedKernel &kernel,
                               ArrayRef<Operation *> body,
                               ArrayRef<Value> inputs) {
  SmallVector<Type> types;
  for (Value result : kernel.results)
    types.push_back(result.getType());
  auto made =
      KernelOp::create(builder, locate(builder.getContext(), kernel), types,
                       nameKernel(body), spellSpace(kernel), inputs);
  Block *inside = builder.createBlock(&made.getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, inside->addArgument(input.getType(), input.getLoc()));
  for (Operation *op : body)
    builder.clone(*op, mapping);
  SmallVector<Value> yielded;
  for (Value result : kernel.results)
    yielded.push_back(mapping.lookup(result));
  YieldOp::create(builder, made.getLoc(), yielded);
  builder.setInsertionPoint(block.getTerminator());
  return made;
}

void KernelEmitter::emit(const PlannedKernel &kernel) {
  std::vector<Operation *> body = plan.getBody(kernel);
  DenseSet<Operation *> inside(body.begin(), body.end());
  // What it reads must be there first; that may replace the body's operands.
  for (Operation *op : body)
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      if (!inside.contains(op->getOperand(i).getDefiningOp()))
        provide(op->getOperand(i));
  llvm::SetVector<Value> inputs;
  for (Operation *op : body)
    for (Value operand : op->getOperands())
      if (!inside.contains(operand.getDefiningOp()))
        inputs.insert(operand);

  KernelOp made = create(kernel, body, inputs.getArrayRef());
  placed.insert(made);
  if (report)
    reportFused(kernel, body, made);
  for (auto [result, replacement] :
       llvm::zip_equal(kernel.results, made.getResults()))
    Value(result).replaceAllUsesWith(replacement);
}

/// Makes `value` available at the end of what is placed.
void KernelEmitter::provide(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || placed.contains(op))
    return;
  if (const PlannedKernel *kernel = plan.getProducer(value))
    emit(*kernel);
  else
    place(op);
}

/// Moves an anchor, or a view that an anchor reads, behind its operands.
void KernelEmitter::place(Operation *op) {
  if (placed.contains(op))
    return;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    provide(op->getOperand(i));
  if (!op->hasTrait<OpTrait::IsTerminator>())
    op->moveBefore(block.getTerminator());
  placed.insert(op);
}

void KernelEmitter::run() {
  SmallVector<Operation *> anchors;
  for (Operation &op : block)
    if (plan.isLive(&op) && !isa<ReadOp>(op))
      anchors.push_back(&op);
  for (Operation *anchor : anchors)
    place(anchor);
  // What is left went into kernels, or nobody needs it.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (!placed.contains(&op))
      op.erase();
}

namespace {
struct FormKernels : dit::impl::FormKernelsBase<FormKernels> {
  using FormKernelsBase::FormKernelsBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    if (!function.getBody().hasOneBlock()) {
      function.emitOpError("has several blocks; step functions have one");
      return signalPassFailure();
    }
    Block &block = function.getBody().front();
    KernelPlan plan(block, repeatFlops);
    if (const auto &failure = plan.getFailure()) {
      failure->op->emitOpError("cannot be computed by a kernel: ")
          << failure->text;
      return signalPassFailure();
    }
    if (report)
      for (const FusionNote &note : plan.getNotes())
        note.op->emitRemark(note.text);
    KernelEmitter(block, plan, report).run();
    // The order holds now.
    for (auto after : llvm::make_early_inc_range(block.getOps<AfterOp>())) {
      after.replaceAllUsesWith(after.getInput());
      after.erase();
    }
  }
};
} // namespace
