//===- DifferentiableDitOps.cpp - Gradients of dit's ops ------------------===//
//
// In every rule g is the cotangent of the op's result. Statistics that the
// forward pass saved (mean, rstd, log Σ exp) are used again; what is cheap
// (a normalised row, a probability) is made again from them.
//
//===----------------------------------------------------------------------===//
#include "dialects/dit/Builders.h"
#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace dit;

//===----------------------------------------------------------------------===//
// Small pieces
//===----------------------------------------------------------------------===//

static Value mul(OpBuilder &builder, Location loc, Value a, Value b) {
  return arith::MulFOp::create(builder, loc, a, b);
}

static Value sub(OpBuilder &builder, Location loc, Value a, Value b) {
  return arith::SubFOp::create(builder, loc, a, b);
}

/// The dimensions [0, rank) that are not in `dims`.
static SmallVector<int64_t> otherDims(int64_t rank, ArrayRef<int64_t> dims) {
  SmallVector<int64_t> others;
  for (int64_t dim : llvm::seq<int64_t>(0, rank))
    if (!llvm::is_contained(dims, dim))
      others.push_back(dim);
  return others;
}

/// A row's number repeated along the last dimension of `shape`.
static Value repeatAlongRow(OpBuilder &builder, Location loc, Value value,
                            ArrayRef<int64_t> shape) {
  auto dims = llvm::to_vector(
      llvm::seq<int64_t>(0, static_cast<int64_t>(shape.size()) - 1));
  return createBroadcast(builder, loc, value, shape, dims);
}

/// Σ a · b along the last dimension, repeated along it.
static Value dotOfRow(OpBuilder &builder, Location loc, Value a, Value b) {
  RankedTensorType type = getTensorType(a);
  Value sum = ReduceOp::create(builder, loc, ReduceKind::Sum,
                               mul(builder, loc, a, b), {type.getRank() - 1});
  return repeatAlongRow(builder, loc, sum, type.getShape());
}

/// The last two dimensions exchanged.
static Value exchangeLast(OpBuilder &builder, Location loc, Value value) {
  int64_t rank = getTensorType(value).getRank();
  auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(permutation[rank - 2], permutation[rank - 1]);
  return TransposeOp::create(builder, loc, value, permutation);
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

/// Every copy contributes. A wide operand's sum is made in its own type.
LogicalResult BroadcastOp::buildVjp(OpBuilder &builder,
                                    Cotangents &cotangents) {
  Value g = createCast(builder, getLoc(), cotangents.get(getResult()),
                       cotangents.getElementType(getInput()));
  Value sum = ReduceOp::create(
      builder, getLoc(), ReduceKind::Sum, g,
      otherDims(getTensorType(getResult()).getRank(), getDims()));
  cotangents.add(getInput(), sum);
  return success();
}

LogicalResult TransposeOp::buildVjp(OpBuilder &builder,
                                    Cotangents &cotangents) {
  SmallVector<int64_t> inverse(getPermutation().size());
  for (auto [to, from] : llvm::enumerate(getPermutation()))
    inverse[from] = to;
  cotangents.add(getInput(),
                 TransposeOp::create(builder, getLoc(),
                                     cotangents.get(getResult()), inverse));
  return success();
}

LogicalResult GatherOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  RankedTensorType table = getTensorType(getTable());
  cotangents.add(
      getTable(),
      ScatterAddOp::create(builder, getLoc(),
                           table.clone(cotangents.getElementType(getTable())),
                           getIndices(), cotangents.get(getResult())));
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions and norms
//===----------------------------------------------------------------------===//

/// Sum: g for every element. Max and min: g for the element that was taken,
/// shared evenly where several were.
LogicalResult ReduceOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  RankedTensorType type = getTensorType(getInput());
  SmallVector<int64_t> kept = otherDims(type.getRank(), getDims());
  auto spread = [&](Value value) {
    return createBroadcast(builder, getLoc(), value, type.getShape(), kept);
  };
  Value g = cotangents.get(getResult());
  if (getKind() == ReduceKind::Sum) {
    cotangents.add(getInput(), spread(g));
    return success();
  }
  if (getKind() == ReduceKind::Prod)
    return emitOpError("is not differentiable: products have no rule");

  Value taken =
      arith::CmpFOp::create(builder, getLoc(), arith::CmpFPredicate::OEQ,
                            getInput(), spread(getResult()));
  Value zero = createSplat(builder, getLoc(), type, 0);
  Value ones = arith::SelectOp::create(
      builder, getLoc(), taken, createSplat(builder, getLoc(), type, 1), zero);
  Value count =
      ReduceOp::create(builder, getLoc(), ReduceKind::Sum, ones, getDims());
  Value share = arith::DivFOp::create(builder, getLoc(), g, count);
  cotangents.add(getInput(), arith::SelectOp::create(builder, getLoc(), taken,
                                                     spread(share), zero));
  return success();
}

/// The cotangent of a normalised row's input, in the statistics' type:
/// rstd · (g − mean(g) − n · mean(g · n)), n the normalised row; without
/// mean(g) where the row was not centred.
static Value createNormVjp(OpBuilder &builder, Location loc, Value g,
                           Value normalised, Value rstd, bool isCentred) {
  RankedTensorType type = getTensorType(normalised);
  int64_t lane = type.getRank() - 1;
  Value size = createSplat(builder, loc, getTensorType(rstd),
                           static_cast<double>(type.getDimSize(lane)));
  auto mean = [&](Value value) {
    Value sum = ReduceOp::create(builder, loc, ReduceKind::Sum, value, {lane});
    return repeatAlongRow(builder, loc,
                          arith::DivFOp::create(builder, loc, sum, size),
                          type.getShape());
  };
  Value along =
      mul(builder, loc, normalised, mean(mul(builder, loc, g, normalised)));
  Value inner = isCentred ? sub(builder, loc, g, mean(g)) : g;
  return mul(builder, loc, sub(builder, loc, inner, along),
             repeatAlongRow(builder, loc, rstd, type.getShape()));
}

LogicalResult LayerNormOp::buildVjp(OpBuilder &builder,
                                    Cotangents &cotangents) {
  if (cotangents.get(getMean()) || cotangents.get(getRstd()))
    return emitOpError("is not differentiable through its mean and rstd");
  Type wide = getTensorType(getRstd()).getElementType();
  ArrayRef<int64_t> shape = getTensorType(getInput()).getShape();
  Value g = createCast(builder, getLoc(), cotangents.get(getResult()), wide);
  Value x = createCast(builder, getLoc(), getInput(), wide);
  Value centred = sub(builder, getLoc(), x,
                      repeatAlongRow(builder, getLoc(), getMean(), shape));
  Value normalised = mul(builder, getLoc(), centred,
                         repeatAlongRow(builder, getLoc(), getRstd(), shape));
  cotangents.add(getInput(), createNormVjp(builder, getLoc(), g, normalised,
                                           getRstd(), /*isCentred=*/true));
  return success();
}

LogicalResult RmsNormOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  if (cotangents.get(getRstd()))
    return emitOpError("is not differentiable through its rstd");
  Type wide = getTensorType(getRstd()).getElementType();
  ArrayRef<int64_t> shape = getTensorType(getInput()).getShape();
  Value g = createCast(builder, getLoc(), cotangents.get(getResult()), wide);
  Value x = createCast(builder, getLoc(), getInput(), wide);
  Value normalised = mul(builder, getLoc(), x,
                         repeatAlongRow(builder, getLoc(), getRstd(), shape));
  cotangents.add(getInput(), createNormVjp(builder, getLoc(), g, normalised,
                                           getRstd(), /*isCentred=*/false));
  return success();
}

/// y · (g − Σ g · y), in fp32 or wider.
LogicalResult SoftmaxOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  Type element = getTensorType(getInput()).getElementType();
  Type wide = element.isF64() ? element : builder.getF32Type();
  Value g = createCast(builder, getLoc(), cotangents.get(getResult()), wide);
  Value y = createCast(builder, getLoc(), getResult(), wide);
  Value inner = sub(builder, getLoc(), g, dotOfRow(builder, getLoc(), g, y));
  cotangents.add(getInput(), mul(builder, getLoc(), y, inner));
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static Value createMatmul(OpBuilder &builder, Location loc,
                          RankedTensorType result, Value lhs, Value rhs,
                          bool transposeLhs, bool transposeRhs) {
  return MatmulOp::create(builder, loc, result, lhs, rhs, /*bias=*/Value(),
                          /*gate=*/Value(), /*residual=*/Value(), transposeLhs,
                          transposeRhs, Activation::Identity);
}

/// [batch…, M, K] as one matrix [batch… · M, K].
static Value flattenRows(OpBuilder &builder, Location loc, Value value) {
  RankedTensorType type = getTensorType(value);
  int64_t columns = type.getShape().back(), rows = 1;
  for (int64_t size : type.getShape().drop_back())
    rows *= size;
  return createReshape(builder, loc, value, {rows, columns});
}

/// g rhsᵀ, whose rows are lhs's.
static Value createLhsVjp(OpBuilder &builder, MatmulOp op, Value g,
                          Type element) {
  RankedTensorType rows = getTensorType(op.getResult());
  SmallVector<int64_t> shape(rows.getShape());
  shape.back() = op.getSizes().k;
  Value product =
      createMatmul(builder, op.getLoc(), RankedTensorType::get(shape, element),
                   g, op.getRhs(), /*transposeLhs=*/false,
                   /*transposeRhs=*/!op.getTransposeRhs());
  return op.getTransposeLhs() ? exchangeLast(builder, op.getLoc(), product)
                              : product;
}

/// lhsᵀ g, or gᵀ lhs where rhs is [N, K]. A shared rhs, as a Linear's weight
/// is, gets the sum over the batch: one product of flat matrices.
static Value createRhsVjp(OpBuilder &builder, MatmulOp op, Value g,
                          Type element) {
  Location loc = op.getLoc();
  Value lhs = op.getLhs();
  bool isLhsTransposed = op.getTransposeLhs();
  if (getTensorType(op.getRhs()).getRank() == 2) {
    if (isLhsTransposed && getTensorType(lhs).getRank() > 2) {
      lhs = exchangeLast(builder, loc, lhs);
      isLhsTransposed = false;
    }
    if (!isLhsTransposed)
      lhs = flattenRows(builder, loc, lhs);
    g = flattenRows(builder, loc, g);
  }
  RankedTensorType type = getTensorType(op.getRhs()).clone(element);
  if (op.getTransposeRhs())
    return createMatmul(builder, loc, type, g, lhs, /*transposeLhs=*/true,
                        /*transposeRhs=*/isLhsTransposed);
  return createMatmul(builder, loc, type, lhs, g,
                      /*transposeLhs=*/!isLhsTransposed,
                      /*transposeRhs=*/false);
}

/// Operands and g are multiplied in the operands' type; sums are in fp32 and
/// the products have the cotangents' types: fp32 for a bf16 weight.
LogicalResult MatmulOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  if (getGate() || getResidual() || getActivation() != Activation::Identity)
    return emitOpError("is not differentiable with an epilogue: differentiate "
                       "before fusion");
  Value g = cotangents.get(getResult());
  if (cotangents.needs(getLhs()) || cotangents.needs(getRhs())) {
    Value factor = createCast(builder, getLoc(), g,
                              getTensorType(getLhs()).getElementType());
    if (cotangents.needs(getLhs()))
      cotangents.add(getLhs(),
                     createLhsVjp(builder, *this, factor,
                                  cotangents.getElementType(getLhs())));
    if (cotangents.needs(getRhs()))
      cotangents.add(getRhs(),
                     createRhsVjp(builder, *this, factor,
                                  cotangents.getElementType(getRhs())));
  }
  if (getBias() && cotangents.needs(getBias())) {
    int64_t rank = getTensorType(g).getRank();
    Value terms =
        createCast(builder, getLoc(), g, cotangents.getElementType(getBias()));
    cotangents.add(getBias(),
                   ReduceOp::create(builder, getLoc(), ReduceKind::Sum, terms,
                                    otherDims(rank, {rank - 1})));
  }
  return success();
}

LogicalResult AttentionOp::buildVjp(OpBuilder &builder,
                                    Cotangents &cotangents) {
  if (cotangents.get(getLogSumExp()))
    return emitOpError("is not differentiable through its log_sum_exp");
  if (getMask() && cotangents.needs(getMask()))
    return emitOpError("is not differentiable by its mask");
  auto gradient = AttentionGradOp::create(
      builder, getLoc(), getQuery(), getKey(), getValue(), getResult(),
      getLogSumExp(), cotangents.get(getResult()), getMask(), getScaleAttr());
  cotangents.add(getQuery(), gradient.getQueryGrad());
  cotangents.add(getKey(), gradient.getKeyGrad());
  cotangents.add(getValue(), gradient.getValueGrad());
  return success();
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

LogicalResult GeluOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  cotangents.add(getInput(), GeluGradOp::create(builder, getLoc(), getInput(),
                                                cotangents.get(getResult()),
                                                getApproximate()));
  return success();
}

/// g · y · (1 − y).
LogicalResult SigmoidOp::buildVjp(OpBuilder &builder, Cotangents &cotangents) {
  Value y = getResult();
  Value one = createSplat(builder, getLoc(), getTensorType(y), 1);
  Value slope = mul(builder, getLoc(), y, sub(builder, getLoc(), one, y));
  cotangents.add(getInput(),
                 mul(builder, getLoc(), cotangents.get(getResult()), slope));
  return success();
}
