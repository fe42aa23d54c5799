//===- OpsNormalisation.cpp - Norms over the last dimensions, or channels -===//
//
// dit.layer_norm and dit.rms_norm normalise one last dimension; here several
// are made one for it. Scales of 1 and shifts of 0, which exporters write for
// norms without affine part, are left out.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace dit::onnx {

static ArrayRef<int64_t> shapeOf(Value value) {
  return getTensorType(value).getShape();
}

/// x · scale + shift, both broadcast by numpy's rule and optional.
static llvm::Expected<Value> affine(NodeBuilder &n, Value x, Value scale,
                                    Value shift) {
  Type element = getTensorType(x).getElementType();
  if (scale && getSplat(scale) != 1) {
    llvm::Expected<Value> wide =
        n.broadcast(n.cast(scale, element), shapeOf(x));
    if (!wide)
      return wide.takeError();
    x = n.make<arith::MulFOp>(x, *wide);
  }
  if (shift && getSplat(shift) != 0) {
    llvm::Expected<Value> wide =
        n.broadcast(n.cast(shift, element), shapeOf(x));
    if (!wide)
      return wide.takeError();
    x = n.make<arith::AddFOp>(x, *wide);
  }
  return x;
}

/// The norm `Op` of x's dimensions from `axis` on; further results (mean,
/// rstd) get dimensions of 1 there.
template <typename Op>
static Values normalise(NodeBuilder &n, Value x, int64_t axis, double eps) {
  Shape shape(shapeOf(x)), rows(shape.begin(), shape.begin() + axis),
      flat = rows, statistics = rows;
  int64_t lane = 1;
  for (int64_t size : llvm::drop_begin(shape, axis)) {
    lane *= size;
    statistics.push_back(1);
  }
  flat.push_back(lane);
  Operation *op = Op::create(n.builder, n.loc, n.reshape(x, flat),
                             n.builder.getF64FloatAttr(eps));
  Values results{n.reshape(op->getResult(0), shape)};
  for (Value result : llvm::drop_begin(op->getResults()))
    results.push_back(n.reshape(result, statistics));
  return results;
}

template <typename Op>
static Outputs lastDimensions(NodeBuilder &n) {
  Value x = n.input(0);
  if (llvm::Error error = n.wantFloat(x))
    return error;
  int64_t axis = n.axis(n.integer("axis", -1), getTensorType(x).getRank());
  double eps = n.number("epsilon", 1e-5);
  if (llvm::Error error = n.takeFailure())
    return error;
  Values results = normalise<Op>(n, x, axis, eps);
  llvm::Expected<Value> value = affine(n, results[0], n.input(1), n.input(2));
  if (!value)
    return value.takeError();
  results[0] = *value;
  return results;
}

/// com.microsoft: the norm of input + skip (+ bias), whose sum is output 3.
template <typename Op>
static Outputs skipNormalisation(NodeBuilder &n) {
  constexpr bool layer = std::is_same_v<Op, LayerNormOp>;
  Value gamma = n.input(2), beta = layer ? n.input(3) : Value(),
        bias = n.input(layer ? 4 : 3);
  SmallVector<Value> values{n.input(0), n.input(1)};
  if (bias)
    values.push_back(bias);
  if (llvm::Error error = n.wantFloat(values[0]))
    return error;
  if (llvm::Error error = n.broadcast(values))
    return error;
  if (getTensorType(values[0]).getRank() == 0)
    return n.malformed("its input is a scalar");
  Value sum = values[0];
  for (Value term : llvm::drop_begin(values))
    sum = n.make<arith::AddFOp>(sum, term);
  Values results = normalise<Op>(n, sum, getTensorType(sum).getRank() - 1,
                                 n.number("epsilon", 1e-12));
  llvm::Expected<Value> value = affine(n, results[0], gamma, beta);
  if (!value)
    return value.takeError();
  return Values{*value, Value(), Value(), sum};
}

/// [N, C, …]: a vector over channels as [C, 1, …].
static Value channels(NodeBuilder &n, Value vector, Value like) {
  if (!vector)
    return vector;
  Shape shape(getTensorType(like).getRank() - 1, 1);
  shape[0] = getTensorType(vector).getNumElements();
  return n.reshape(vector, shape);
}

/// Channels in `groups`; each group of a picture is normalised by itself.
static Outputs normaliseGroups(NodeBuilder &n, int64_t groups) {
  Value x = n.input(0);
  if (llvm::Error error = n.wantFloat(x))
    return error;
  Shape shape(shapeOf(x));
  if (shape.size() < 2 || groups < 1 || shape[1] % groups)
    return n.malformed(llvm::Twine(groups) +
                       " groups do not divide the channels of " +
                       describeShape(shape));
  Shape grouped{shape[0], groups,
                getTensorType(x).getNumElements() /
                    std::max<int64_t>(shape[0] * groups, 1)};
  Value norm = n.reshape(normalise<LayerNormOp>(n, n.reshape(x, grouped), 2,
                                                n.number("epsilon", 1e-5))[0],
                         shape);
  // Operator set 18 has one scale a group, later ones one a channel.
  Value scale = n.input(1), shift = n.input(2);
  for (Value *vector : {&scale, &shift}) {
    if (getTensorType(*vector).getRank() == 1 &&
        shapeOf(*vector)[0] == groups && groups != shape[1]) {
      int64_t each = shape[1] / groups;
      *vector = n.reshape(
          createBroadcast(n.builder, n.loc, *vector, {groups, each}, {0}),
          {shape[1]});
    }
    *vector = channels(n, *vector, x);
  }
  llvm::Expected<Value> value = affine(n, norm, scale, shift);
  if (!value)
    return value.takeError();
  return Values{*value};
}

static Outputs groupNormalisation(NodeBuilder &n) {
  return normaliseGroups(n, n.integer("num_groups", 0));
}

static Outputs instanceNormalisation(NodeBuilder &n) {
  ArrayRef<int64_t> shape = shapeOf(n.input(0));
  return normaliseGroups(n, shape.size() > 1 ? shape[1] : 0);
}

/// As in inference: the statistics are given.
static Outputs batchNormalisation(NodeBuilder &n) {
  Value x = n.input(0), scale = n.input(1), shift = n.input(2),
        mean = n.input(3), variance = n.input(4);
  if (n.integer("training_mode", 0))
    return n.unsupported(
        "it is in training mode; export the model in eval mode");
  if (llvm::Error error = n.wantFloat(x))
    return error;
  if (getTensorType(x).getRank() < 2)
    return n.malformed("its input has no channels");
  for (Value statistic : {scale, shift, mean, variance})
    if (getTensorType(statistic) != getTensorType(scale) ||
        !isa<FloatType>(getTensorType(scale).getElementType()))
      return n.malformed(
          "its scale, shift, mean and variance do not have one shape and type");
  Value stable = n.make<arith::AddFOp>(
      variance, n.splat(variance, n.number("epsilon", 1e-5)));
  Value factor = n.make<arith::DivFOp>(scale, n.make<math::SqrtOp>(stable));
  Value offset =
      n.make<arith::SubFOp>(shift, n.make<arith::MulFOp>(mean, factor));
  llvm::Expected<Value> value =
      affine(n, x, channels(n, factor, x), channels(n, offset, x));
  if (!value)
    return value.takeError();
  return Values{*value};
}

ArrayRef<OpRow> normalisationOps() {
  static const OpRow rows[] = {
      {"BatchNormalization", 5, 5, batchNormalisation},
      {"GroupNormalization", 3, 3, groupNormalisation},
      {"InstanceNormalization", 3, 3, instanceNormalisation},
      {"LayerNormalization", 2, 3, lastDimensions<LayerNormOp>},
      {"RMSNormalization", 2, 2, lastDimensions<RmsNormOp>},
      {"SimplifiedLayerNormalization", 2, 2, lastDimensions<RmsNormOp>},
      {"SkipLayerNormalization", 3, 5, skipNormalisation<LayerNormOp>,
       "com.microsoft"},
      {"SkipSimplifiedLayerNormalization", 3, 4, skipNormalisation<RmsNormOp>,
       "com.microsoft"},
  };
  return rows;
}

} // namespace dit::onnx
