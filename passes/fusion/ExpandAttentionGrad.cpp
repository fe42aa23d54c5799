//===- ExpandAttentionGrad.cpp - fp32 gradients that no library has -------===//
#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/fusion/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_EXPANDATTENTIONGRAD
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
/// The gradient of one attention, spelled out with heads before tokens.
class Expansion {
public:
  explicit Expansion(AttentionGradOp op)
      : op(op), builder(op), loc(op.getLoc()) {}

  void run();

private:
  Value byHead(Value value) {
    return TransposeOp::create(builder, loc, value,
                               ArrayRef<int64_t>{0, 2, 1, 3});
  }
  /// lhs · rhs of every head, each as it is or transposed.
  Value multiply(Value lhs, bool transposeLhs, Value rhs, bool transposeRhs) {
    RankedTensorType left = getTensorType(lhs), right = getTensorType(rhs);
    SmallVector<int64_t> shape(left.getShape());
    shape[2] = left.getDimSize(transposeLhs ? 3 : 2);
    shape[3] = right.getDimSize(transposeRhs ? 2 : 3);
    auto matmul = MatmulOp::create(builder, loc, left.clone(shape), lhs, rhs,
                                   /*bias=*/Value(), transposeRhs);
    matmul.setTransposeLhs(transposeLhs);
    return matmul.getResult();
  }
  /// A number for each query, repeated for all keys.
  Value perQuery(Value value) {
    return createBroadcast(builder, loc, value, scores.getShape(), {0, 1, 2});
  }
  Value scale(Value value) {
    return arith::MulFOp::create(
        builder, loc, value,
        createSplat(builder, loc, scores, op.getScale().convertToDouble()));
  }
  Value probabilities(Value query, Value key);

  AttentionGradOp op;
  OpBuilder builder;
  Location loc;
  RankedTensorType scores; // [batch, heads, queries, keys]
};
} // namespace

Value Expansion::probabilities(Value query, Value key) {
  Value exponent = scale(multiply(query, false, key, true));
  if (op.getMask())
    exponent = arith::AddFOp::create(
        builder, loc, exponent,
        createNumpyBroadcast(builder, loc, op.getMask(), scores.getShape()));
  exponent = arith::SubFOp::create(builder, loc, exponent,
                                   perQuery(op.getLogSumExp()));
  return math::ExpOp::create(builder, loc, exponent);
}

void Expansion::run() {
  Value query = byHead(op.getQuery()), key = byHead(op.getKey()),
        value = byHead(op.getValue()), cotangent = byHead(op.getCotangent());
  SmallVector<int64_t> shape(getTensorType(query).getShape());
  shape[3] = getTensorType(key).getDimSize(2);
  scores = getTensorType(query).clone(shape);

  Value p = probabilities(query, key);
  Value products =
      arith::MulFOp::create(builder, loc, op.getCotangent(), op.getOutput());
  Value delta = ReduceOp::create(builder, loc, ReduceKind::Sum, products,
                                 ArrayRef<int64_t>{3});
  delta = TransposeOp::create(builder, loc, delta, ArrayRef<int64_t>{0, 2, 1});
  Value dp = multiply(cotangent, false, value, true);
  Value ds = arith::SubFOp::create(builder, loc, dp, perQuery(delta));
  ds = scale(arith::MulFOp::create(builder, loc, p, ds));
  op->replaceAllUsesWith(
      ValueRange{byHead(multiply(ds, false, key, false)),
                 byHead(multiply(ds, true, query, false)),
                 byHead(multiply(p, true, cotangent, false))});
  op.erase();
}

namespace {
struct ExpandAttentionGrad
    : dit::impl::ExpandAttentionGradBase<ExpandAttentionGrad> {
  void runOnOperation() override {
    SmallVector<AttentionGradOp> gradients;
    getOperation().walk([&](AttentionGradOp op) {
      bool ownKeys = getTensorType(op.getQuery()).getDimSize(2) ==
                     getTensorType(op.getKey()).getDimSize(2);
      if (getTensorType(op.getQuery()).getElementType().isF32() && ownKeys)
        gradients.push_back(op);
    });
    for (AttentionGradOp op : gradients)
      Expansion(op).run();
  }
};
} // namespace
