//===- DitOps.cpp - Verifiers, types and folds of the dit dialect ---------===//
#include "dialects/dit/DitDialect.h"

#include "dialects/dit/ColumnSums.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

#define GET_OP_CLASSES
#include "dialects/dit/DitOps.cpp.inc"

void DitDialect::registerOperations() {
  addOperations<
#define GET_OP_LIST
#include "dialects/dit/DitOps.cpp.inc"
      >();
}

static RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Statistics of a row are fp32, or fp64 where the row is.
static Type statisticsType(Type element) {
  return element.isF64() ? element : Float32Type::get(element.getContext());
}

/// The shape without its last dimension.
static ArrayRef<int64_t> rowShape(RankedTensorType type) {
  return type.getShape().drop_back();
}

static LogicalResult verifyHasLane(Operation *op, RankedTensorType type) {
  if (type.getRank() == 0)
    return op->emitOpError("needs a last dimension, but its input is a scalar");
  return success();
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  auto from = tensorType(getInput()), to = tensorType(getResult());
  ArrayRef<int64_t> dims = getDims();
  if (static_cast<int64_t>(dims.size()) != from.getRank())
    return emitOpError("has ")
           << dims.size() << " dims for an input of rank " << from.getRank();
  for (auto [index, dim] : llvm::enumerate(dims)) {
    if (dim < 0 || dim >= to.getRank() || (index && dims[index - 1] >= dim))
      return emitOpError("dims must increase and lie below ") << to.getRank();
    if (from.getDimSize(index) != to.getDimSize(dim))
      return emitOpError("dimension ")
             << index << " of the input is " << from.getDimSize(index)
             << ", but dimension " << dim << " of the result is "
             << to.getDimSize(dim);
  }
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto splat = dyn_cast_if_present<SplatElementsAttr>(adaptor.getInput()))
    return SplatElementsAttr::get(cast<ShapedType>(getType()),
                                  splat.getSplatValue<Attribute>());
  return {};
}

namespace {
/// broadcast(broadcast(x)) is one broadcast.
struct MergeBroadcasts : OpRewritePattern<BroadcastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BroadcastOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<BroadcastOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "input is not a broadcast");
    SmallVector<int64_t> dims;
    for (int64_t dim : inner.getDims())
      dims.push_back(op.getDims()[dim]);
    rewriter.replaceOpWithNewOp<BroadcastOp>(op, op.getType(), inner.getInput(),
                                             dims);
    return success();
  }
};

/// transpose(transpose(x)) is one transpose.
struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "input is not a transpose");
    SmallVector<int64_t> permutation;
    for (int64_t dim : op.getPermutation())
      permutation.push_back(inner.getPermutation()[dim]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getInput(),
                                             permutation);
    return success();
  }
};
} // namespace

void BroadcastOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<MergeBroadcasts>(context);
}

void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<MergeTransposes>(context);
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  SmallVector<int64_t> shape;
  for (int64_t dim : adaptor.getPermutation()) {
    if (dim < 0 || dim >= input.getRank())
      return emitOptionalError(loc, "permutes dimension ", dim,
                               ", but the input has rank ", input.getRank());
    shape.push_back(input.getDimSize(dim));
  }
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult TransposeOp::verify() {
  SmallVector<int64_t> sorted(getPermutation());
  llvm::sort(sorted);
  if (static_cast<int64_t>(sorted.size()) != tensorType(getInput()).getRank() ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return emitOpError("permutation must name every dimension of the input, of "
                       "rank ")
           << tensorType(getInput()).getRank() << ", once";
  return success();
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (llvm::is_sorted(getPermutation()))
    return getInput();
  if (auto splat = dyn_cast_if_present<SplatElementsAttr>(adaptor.getInput()))
    return SplatElementsAttr::get(cast<ShapedType>(getType()),
                                  splat.getSplatValue<Attribute>());
  return {};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  SmallVector<int64_t> shape;
  for (int64_t dim = 0; dim < input.getRank(); ++dim)
    if (!llvm::is_contained(adaptor.getDims(), dim))
      shape.push_back(input.getDimSize(dim));
  types.push_back(input.clone(shape));
  return success();
}

LogicalResult ReduceOp::verify() {
  int64_t previous = -1;
  for (int64_t dim : getDims()) {
    if (dim <= previous || dim >= tensorType(getInput()).getRank())
      return emitOpError("dims must increase and lie below the input's rank ")
             << tensorType(getInput()).getRank();
    previous = dim;
  }
  return success();
}

OpFoldResult ReduceOp::fold(FoldAdaptor) {
  return getDims().empty() ? getInput() : Value();
}

void MatmulOp::build(OpBuilder &builder, OperationState &state, Type result,
                     Value lhs, Value rhs, Value bias, bool transposeRhs,
                     Activation activation) {
  build(builder, state, result, lhs, rhs, bias, /*gate=*/Value(),
        /*residual=*/Value(), /*transpose_lhs=*/false, transposeRhs,
        activation);
}

MatmulOp::Sizes MatmulOp::getSizes() {
  auto lhs = tensorType(getLhs()), rhs = tensorType(getRhs());
  int64_t leftRank = lhs.getRank(), rightRank = rhs.getRank();
  int64_t m = lhs.getDimSize(leftRank - (getTransposeLhs() ? 1 : 2));
  int64_t k = lhs.getDimSize(leftRank - (getTransposeLhs() ? 2 : 1));
  int64_t n = rhs.getDimSize(rightRank - (getTransposeRhs() ? 2 : 1));
  int64_t batch = 1;
  for (int64_t size : lhs.getShape().drop_back(2))
    batch *= size;
  if (rightRank == 2 && !getTransposeLhs())
    return {m * batch, n, k, 1};
  return {m, n, k, batch};
}

/// The operand and the result that only training's products have.
static LogicalResult verifyAux(MatmulOp op) {
  Type result = op.getResult().getType();
  bool readsAux = op.getActivation() == Activation::GeluTanhGrad;
  if (readsAux != static_cast<bool>(op.getAux()))
    return op.emitOpError("gelu_tanh_grad, and nothing else, needs aux");
  if (op.getAux() && op.getAux().getType() != result)
    return op.emitOpError("aux must be like the result");
  if (op.getSaved() && op.getActivation() != Activation::GeluTanh)
    return op.emitOpError("saves what gelu_tanh reads alone");
  if (op.getSaved() && op.getSaved().getType() != result)
    return op.emitOpError("saves a tensor that is not like the result");
  return success();
}

LogicalResult MatmulOp::verify() {
  auto lhs = tensorType(getLhs()), rhs = tensorType(getRhs()),
       result = tensorType(getResult());
  if (lhs.getRank() < 2 || rhs.getRank() < 2)
    return emitOpError("operands need rank 2 or more");
  if (lhs.getElementType() != rhs.getElementType())
    return emitOpError("multiplies ")
           << lhs.getElementType() << " with " << rhs.getElementType();
  if (rhs.getRank() != 2 &&
      rhs.getShape().drop_back(2) != lhs.getShape().drop_back(2))
    return emitOpError("rhs must be shared (rank 2) or have lhs's batch");
  Sizes sizes = getSizes();
  int64_t rightK = rhs.getDimSize(rhs.getRank() - (getTransposeRhs() ? 1 : 2));
  if (rightK != sizes.k)
    return emitOpError("depth is ")
           << sizes.k << " in lhs, but " << rightK << " in rhs";
  SmallVector<int64_t> shape(lhs.getShape().drop_back(2));
  shape.push_back(lhs.getDimSize(lhs.getRank() - (getTransposeLhs() ? 1 : 2)));
  shape.push_back(sizes.n);
  if (result.getShape() != ArrayRef(shape)) {
    InFlightDiagnostic diagnostic = emitOpError("result must have shape ");
    llvm::interleaveComma(shape, diagnostic);
    return diagnostic;
  }
  if (getBias() && tensorType(getBias()).getShape() != ArrayRef({sizes.n}))
    return emitOpError("bias must have ") << sizes.n << " elements";
  if (!getGate() != !getResidual() && getGate())
    return emitOpError("a gate needs a residual");
  if (getResidual() && getResidual().getType() != result)
    return emitOpError("residual must be like the result");
  if (getGate() &&
      tensorType(getGate()).getShape() != ArrayRef({shape.front(), sizes.n}))
    return emitOpError("gate must be ")
           << shape.front() << " rows of " << sizes.n << " elements";
  return verifyAux(*this);
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location>,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  types.push_back(input);
  ArrayRef<int64_t> rows = input.getRank() ? rowShape(input) : input.getShape();
  types.append(2, input.clone(rows, statisticsType(input.getElementType())));
  return success();
}

LogicalResult LayerNormOp::verify() {
  return verifyHasLane(*this, tensorType(getInput()));
}

LogicalResult RmsNormOp::inferReturnTypes(MLIRContext *,
                                          std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto input = cast<RankedTensorType>(adaptor.getInput().getType());
  types.push_back(input);
  ArrayRef<int64_t> rows = input.getRank() ? rowShape(input) : input.getShape();
  types.push_back(input.clone(rows, statisticsType(input.getElementType())));
  return success();
}

LogicalResult RmsNormOp::verify() {
  return verifyHasLane(*this, tensorType(getInput()));
}

LogicalResult SoftmaxOp::verify() {
  return verifyHasLane(*this, tensorType(getInput()));
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> loc,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto query = cast<RankedTensorType>(adaptor.getQuery().getType());
  auto value = cast<RankedTensorType>(adaptor.getValue().getType());
  if (query.getRank() != 4 || value.getRank() != 4)
    return emitOptionalError(loc, "query and value must be [batch, tokens, "
                                  "heads, dim]");
  int64_t batch = query.getDimSize(0), tokens = query.getDimSize(1),
          heads = query.getDimSize(2);
  types.push_back(query.clone({batch, tokens, heads, value.getDimSize(3)}));
  types.push_back(
      RankedTensorType::get({batch, heads, tokens}, Float32Type::get(context)));
  return success();
}

/// What query, key, value and mask of an attention must be.
static LogicalResult verifyAttention(Operation *op, Value queryValue,
                                     Value keyValue, Value valueValue,
                                     Value maskValue) {
  auto query = tensorType(queryValue), key = tensorType(keyValue),
       value = tensorType(valueValue);
  if (query.getRank() != 4 || key.getRank() != 4 || value.getRank() != 4)
    return op->emitOpError(
        "query, key and value must be [batch, tokens, heads, dim]");
  if (query.getElementType() != key.getElementType() ||
      query.getElementType() != value.getElementType())
    return op->emitOpError("query, key and value must have one element type");
  if (query.getDimSize(0) != key.getDimSize(0) ||
      key.getShape().take_front(3) != value.getShape().take_front(3))
    return op->emitOpError(
        "key and value must share batch, tokens and heads, and "
        "query the batch");
  if (query.getDimSize(3) != key.getDimSize(3))
    return op->emitOpError("query has head dimension ")
           << query.getDimSize(3) << ", but key " << key.getDimSize(3);
  if (key.getDimSize(2) == 0 || query.getDimSize(2) % key.getDimSize(2))
    return op->emitOpError("query has ")
           << query.getDimSize(2) << " heads, which the " << key.getDimSize(2)
           << " of key do not divide";
  if (!maskValue)
    return success();
  auto mask = tensorType(maskValue);
  int64_t full[] = {query.getDimSize(0), query.getDimSize(2),
                    query.getDimSize(1), key.getDimSize(1)};
  if (!mask.getElementType().isF32() || mask.getRank() != 4)
    return op->emitOpError("mask must be fp32 [batch, heads, queries, keys]");
  for (auto [dim, size] : llvm::enumerate(full))
    if (mask.getDimSize(dim) != 1 && mask.getDimSize(dim) != size)
      return op->emitOpError("dimension ")
             << dim << " of the mask is " << mask.getDimSize(dim)
             << ", not 1 or " << size;
  return success();
}

LogicalResult AttentionOp::verify() {
  return verifyAttention(*this, getQuery(), getKey(), getValue(), getMask());
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  auto table = cast<RankedTensorType>(adaptor.getTable().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  if (table.getRank() == 0)
    return emitOptionalError(loc, "the table is a scalar");
  SmallVector<int64_t> shape(indices.getShape());
  llvm::append_range(shape, table.getShape().drop_front());
  types.push_back(table.clone(shape));
  return success();
}

LogicalResult GatherOp::verify() {
  if (tensorType(getTable()).getRank() == 0)
    return emitOpError("the table is a scalar");
  if (tensorType(getTable()).getDimSize(0) == 0)
    return emitOpError("the table has no rows");
  return success();
}

LogicalResult RandomOp::verify() {
  auto pictures = tensorType(getPictures()), result = tensorType(getResult());
  if (!result.getElementType().isF32())
    return emitOpError("gives fp32");
  if (tensorType(getSeed()).getNumElements() != 1 ||
      tensorType(getStep()).getNumElements() != 1)
    return emitOpError("seed and step are one number each");
  if (pictures.getRank() != 1 || result.getRank() < 1 ||
      pictures.getDimSize(0) != result.getDimSize(0))
    return emitOpError("needs one picture number for each leading index of the "
                       "result");
  return success();
}

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

LogicalResult ScatterAddOp::verify() {
  auto indices = tensorType(getIndices()), updates = tensorType(getUpdates()),
       table = tensorType(getResult());
  if (table.getRank() == 0)
    return emitOpError("the table is a scalar");
  if (table.getDimSize(0) == 0)
    return emitOpError("the table has no rows");
  SmallVector<int64_t> shape(indices.getShape());
  llvm::append_range(shape, table.getShape().drop_front());
  if (updates.getShape() == ArrayRef(shape))
    return success();
  InFlightDiagnostic diagnostic = emitOpError("updates must have shape ");
  llvm::interleaveComma(shape, diagnostic);
  return diagnostic << ": one row of the table for each index";
}

LogicalResult AttentionGradOp::inferReturnTypes(MLIRContext *,
                                                std::optional<Location>,
                                                Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  types.append({adaptor.getQuery().getType(), adaptor.getKey().getType(),
                adaptor.getValue().getType()});
  return success();
}

LogicalResult AttentionGradOp::verify() {
  if (failed(
          verifyAttention(*this, getQuery(), getKey(), getValue(), getMask())))
    return failure();
  auto query = tensorType(getQuery());
  int64_t batch = query.getDimSize(0), tokens = query.getDimSize(1),
          heads = query.getDimSize(2);
  RankedTensorType output =
      query.clone({batch, tokens, heads, tensorType(getValue()).getDimSize(3)});
  if (getOutput().getType() != output || getCotangent().getType() != output)
    return emitOpError("output and cotangent must be ") << output;
  RankedTensorType statistics = RankedTensorType::get(
      {batch, heads, tokens}, Float32Type::get(getContext()));
  if (getLogSumExp().getType() != statistics)
    return emitOpError("log_sum_exp must be ") << statistics;
  return success();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

LogicalResult dit::verifyKernelResults(Operation *kernel, Block &body,
                                       ArrayRef<int64_t> space) {
  int64_t rows = 1;
  for (int64_t size : space.drop_back())
    rows *= size;
  int64_t points = rows * space.back();
  for (auto [index, value] :
       llvm::enumerate(body.getTerminator()->getOperands())) {
    int64_t elements = cast<RankedTensorType>(value.getType()).getNumElements();
    if (elements != points && elements != rows && !getColumnSum(value))
      return kernel->emitOpError("result ")
             << index << " has " << elements
             << " elements, which is neither the space's " << points
             << " nor its rows' " << rows;
  }
  return success();
}

LogicalResult KernelOp::verify() {
  if (getSpace().empty())
    return emitOpError("space has no lane");
  return success();
}

LogicalResult KernelOp::verifyRegions() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes())
    return emitOpError("the body's arguments must have the inputs' types");
  auto yield = cast<YieldOp>(block.getTerminator());
  if (yield.getValues().getTypes() != getResultTypes())
    return yield.emitOpError("must yield the kernel's result types");
  if (failed(verifyKernelResults(*this, block, getSpace())))
    return failure();
  for (Operation &op : block.without_terminator())
    if (!isMemoryEffectFree(&op) || op.getNumRegions())
      return op.emitOpError("cannot be inside a kernel: it must be a pure op "
                            "without regions");
  return success();
}
