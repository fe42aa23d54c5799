//===- ExpandScatterAdd.cpp - Add rows into a table by a product ----------===//
#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/fusion/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_EXPANDSCATTERADD
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
/// One dit.scatter_add, with indices [count] and updates [count, columns].
class Expansion {
public:
  explicit Expansion(ScatterAddOp op)
      : op(op), builder(op), loc(op.getLoc()),
        result(cast<RankedTensorType>(op.getResult().getType())) {}

  void run() {
    int64_t count = getTensorType(op.getIndices()).getNumElements();
    int64_t rows = result.getDimSize(0),
            columns = result.getNumElements() / rows;
    // Sums are in fp32: what is narrower is widened, which is exact.
    Value updates = createCast(
        builder, loc,
        createReshape(builder, loc, op.getUpdates(), {count, columns}),
        builder.getF32Type());
    auto product = MatmulOp::create(
        builder, loc,
        RankedTensorType::get({rows, columns}, builder.getF32Type()),
        createOneHot(count, rows), updates, /*bias=*/Value(),
        /*transposeRhs=*/false);
    product.setTransposeLhs(true);
    Value table = createReshape(builder, loc, product, result.getShape());
    op.replaceAllUsesWith(
        createCast(builder, loc, table, result.getElementType()));
    op.erase();
  }

private:
  Value splat(Value like, int64_t value) {
    return createSplat(builder, loc, getTensorType(like),
                       static_cast<double>(value));
  }
  /// The row that dit.gather reads for each index.
  Value clampIndices(int64_t count, int64_t rows) {
    Value index = createCast(
        builder, loc, createReshape(builder, loc, op.getIndices(), {count}),
        builder.getI64Type());
    Value isNegative = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::slt, index, splat(index, 0));
    Value fromEnd =
        arith::AddIOp::create(builder, loc, index, splat(index, rows));
    index = arith::SelectOp::create(builder, loc, isNegative, fromEnd, index);
    index = arith::MaxSIOp::create(builder, loc, index, splat(index, 0));
    return arith::MinSIOp::create(builder, loc, index, splat(index, rows - 1));
  }
  /// [count, rows], 1 where the index is the row.
  Value createOneHot(int64_t count, int64_t rows) {
    SmallVector<int64_t> numbers(rows);
    for (int64_t row = 0; row != rows; ++row)
      numbers[row] = row;
    Value all = arith::ConstantOp::create(
        builder, loc,
        DenseElementsAttr::get(
            RankedTensorType::get({rows}, builder.getI64Type()),
            ArrayRef(numbers)));
    SmallVector<int64_t> shape{count, rows};
    Value isRow = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::eq,
        createBroadcast(builder, loc, clampIndices(count, rows), shape, {0}),
        createBroadcast(builder, loc, all, shape, {1}));
    return createCast(builder, loc, isRow, builder.getF32Type());
  }

  ScatterAddOp op;
  OpBuilder builder;
  Location loc;
  RankedTensorType result;
};

struct ExpandScatterAdd : dit::impl::ExpandScatterAddBase<ExpandScatterAdd> {
  void runOnOperation() override {
    for (auto op : llvm::make_early_inc_range(
             getOperation().getBody().front().getOps<ScatterAddOp>()))
      Expansion(op).run();
  }
};
} // namespace
