//===- Costs.cpp - Operations and bytes of instructions -------------------===//
//
// Estimates for people: throughput, inspect, --dry-run. A multiply-add counts
// as two; a transcendental function as what a polynomial of it costs.
//
//===----------------------------------------------------------------------===//
#include "dialects/plan/PlanDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;
using namespace dit::plan;

static int64_t countElements(Value value) {
  return cast<RankedTensorType>(value.getType()).getNumElements();
}

/// Floating-point operations for one element of what `op` walks.
static int64_t costOfElement(Operation &op) {
  return llvm::TypeSwitch<Operation *, int64_t>(&op)
      .Case<arith::ConstantOp, BroadcastOp, TransposeOp, GatherOp,
            tensor::ExpandShapeOp, tensor::CollapseShapeOp,
            tensor::ExtractSliceOp, tensor::ConcatOp, YieldOp>(
          [](Operation *) { return 0; })
      .Case<LayerNormOp>([](Operation *) { return 7; })
      .Case<RmsNormOp>([](Operation *) { return 4; })
      .Case<SoftmaxOp, SigmoidOp>([](Operation *) { return 14; })
      .Case<GeluOp>([](Operation *) { return 20; })
      .Case<RandomOp>([](Operation *) { return 40; })
      .Default([](Operation *other) {
        return isa<math::MathDialect>(other->getDialect()) ? 10 : 1;
      });
}

int64_t plan::KernelOp::getFlops() {
  int64_t flops = 0;
  for (Operation &op : getBody().front()) {
    if (op.getNumResults() == 0)
      continue;
    // A reduction walks its input, the rest their result.
    Value walked = isa<ReduceOp>(op) ? op.getOperand(0) : op.getResult(0);
    flops += costOfElement(op) * countElements(walked);
  }
  return flops;
}

/// Bytes of an input that are read: of a table the rows that are looked up, of
/// what is sliced the slices, else all.
static int64_t countRead(BlockArgument input) {
  int64_t all = plan::getTensorBytes(input.getType()), read = 0;
  for (OpOperand &use : input.getUses()) {
    Operation *user = use.getOwner();
    bool part = isa<tensor::ExtractSliceOp>(user) ||
                (isa<GatherOp>(user) && use.getOperandNumber() == 0);
    read += part ? plan::getTensorBytes(user->getResult(0).getType()) : all;
  }
  return std::min(read, all);
}

int64_t plan::KernelOp::getBytesMoved() {
  int64_t bytes = 0;
  for (BlockArgument input : getBody().front().getArguments())
    bytes += countRead(input);
  for (Type type : getResultTypes())
    bytes += getTensorBytes(type);
  return bytes;
}

int64_t LaunchOp::getFlops() {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<plan::KernelOp>(
      *this, getKernelAttr());
  return kernel.getFlops();
}

int64_t GemmOp::getFlops() { return 2 * getM() * getN() * getK() * getBatch(); }

int64_t plan::AttentionOp::getFlops() {
  ArrayRef<int64_t> sizes = getSizes();
  int64_t scores = sizes[0] * sizes[1] * sizes[2] * sizes[3];
  return 2 * scores * (sizes[4] + sizes[5]);
}

/// Five products: the scores again, dP, dV, dQ and dK.
int64_t plan::AttentionGradOp::getFlops() {
  ArrayRef<int64_t> sizes = getSizes();
  int64_t scores = sizes[0] * sizes[1] * sizes[2] * sizes[3];
  return 2 * scores * (3 * sizes[4] + 2 * sizes[5]);
}

int64_t CopyOp::getFlops() { return 0; }
int64_t FillOp::getFlops() { return 0; }

int64_t plan::FunctionOp::getFlops() {
  int64_t flops = 0;
  for (auto instruction : getOps<InstructionInterface>())
    flops += instruction.getFlops();
  return flops;
}
