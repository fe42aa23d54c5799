//===- ReduceAlongLane.cpp - Reductions along the last dimension ----------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_REDUCEALONGLANE
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Moves the reduced dimensions to the end and makes them one.
static void reduceLast(ReduceOp op) {
  RankedTensorType type = getTensorType(op.getInput());
  ArrayRef<int64_t> dims = op.getDims();
  SmallVector<int64_t> order, shape;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (!llvm::is_contained(dims, dim)) {
      order.push_back(dim);
      shape.push_back(type.getDimSize(dim));
    }
  int64_t kept = static_cast<int64_t>(order.size()), width = 1;
  for (int64_t dim : dims) {
    order.push_back(dim);
    width *= type.getDimSize(dim);
  }
  shape.push_back(width);

  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value input = op.getInput();
  if (!llvm::is_sorted(order))
    input = TransposeOp::create(builder, loc, input, order);
  input = createReshape(builder, loc, input, shape);
  Value result = ReduceOp::create(builder, loc, op.getKind(), input, {kept});
  op.replaceAllUsesWith(result);
  op.erase();
}

namespace {
struct ReduceAlongLane : dit::impl::ReduceAlongLaneBase<ReduceAlongLane> {
  void runOnOperation() override {
    SmallVector<ReduceOp> reductions;
    getOperation().walk([&](ReduceOp op) {
      int64_t last = getTensorType(op.getInput()).getRank() - 1;
      if (op.getDims() != ArrayRef<int64_t>({last}))
        reductions.push_back(op);
    });
    for (ReduceOp op : reductions)
      reduceLast(op);
  }
};
} // namespace
