//===- OpsAttention.cpp - ONNX's Attention --------------------------------===//
//
// The op of operator set 23; files have it with any number (see the reader).
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;

namespace dit::onnx {

static ArrayRef<int64_t> shapeOf(Value value) {
  return getTensorType(value).getShape();
}
static int64_t rankOf(Value value) { return getTensorType(value).getRank(); }

/// The most negative finite number: a fully masked row stays finite.
static constexpr double masked = -3.4028234663852886e38;

/// An additive fp32 mask [B, H, Tq, Tk], dimensions of 1 where it repeats.
static llvm::Expected<Value> attentionMask(NodeBuilder &n, Value mask,
                                           ArrayRef<int64_t> full) {
  if (rankOf(mask) > 4)
    return n.malformed("its mask has rank " + llvm::Twine(rankOf(mask)));
  Shape shape(4 - rankOf(mask), 1);
  llvm::append_range(shape, shapeOf(mask));
  for (auto [size, wanted] : llvm::zip(shape, full))
    if (size != 1 && size != wanted)
      return n.malformed(
          "the shape of its mask is " + describeShape(shapeOf(mask)) +
          ", which does not broadcast to " + describeShape(full));
  mask = n.reshape(mask, shape);
  if (!getTensorType(mask).getElementType().isInteger(1))
    return n.cast(mask, n.builder.getF32Type());
  RankedTensorType type = n.tensor(shape, n.builder.getF32Type());
  Value zero = createSplat(n.builder, n.loc, type, 0),
        low = createSplat(n.builder, n.loc, type, masked);
  return n.make<arith::SelectOp>(mask, zero, low);
}

static Value causalMask(NodeBuilder &n, int64_t queries, int64_t keys) {
  std::vector<float> values;
  for (int64_t query = 0; query < queries; ++query)
    for (int64_t key = 0; key < keys; ++key)
      values.push_back(key > query ? masked : 0);
  return n.make<arith::ConstantOp>(DenseElementsAttr::get(
      n.tensor({1, 1, queries, keys}, n.builder.getF32Type()),
      ArrayRef<float>(values)));
}

static Outputs attention(NodeBuilder &n) {
  if (n.input(4) || n.input(5) || n.input(6))
    return n.unsupported("with past keys and values");
  if (n.number("softcap", 0) != 0 ||
      n.integer("qk_matmul_output_mode", 0) != 0 || n.has("softmax_precision"))
    return n.unsupported(
        "with softcap, softmax_precision or qk_matmul_output_mode");
  Type element = getTensorType(n.input(0)).getElementType();
  for (unsigned index = 0; index < 3; ++index)
    if (!isa<FloatType>(element) ||
        getTensorType(n.input(index)).getElementType() != element)
      return n.unsupported(
          "on operands that are not of one floating-point type");
  // To [B, T, H, d], from [B, H, T, d] or [B, T, H·d].
  Value parts[3];
  bool flat = rankOf(n.input(0)) == 3;
  for (unsigned index = 0; index < 3; ++index) {
    Value x = n.input(index);
    int64_t heads = n.integer(index ? "kv_num_heads" : "q_num_heads", 0);
    if (rankOf(x) != (flat ? 3 : 4) ||
        (flat && (heads < 1 || shapeOf(x)[2] % heads)))
      return n.malformed("query, key and value are not [batch, heads, tokens, "
                         "d], nor [batch, tokens, heads · d] with the "
                         "number of heads");
    parts[index] = flat ? n.reshape(x, {shapeOf(x)[0], shapeOf(x)[1], heads,
                                        shapeOf(x)[2] / heads})
                        : n.transpose(x, {0, 2, 1, 3});
  }
  ArrayRef<int64_t> q = shapeOf(parts[0]), k = shapeOf(parts[1]),
                    v = shapeOf(parts[2]);
  if (q[0] != k[0] || k.take_front(3) != v.take_front(3) || q[3] != k[3] ||
      !k[2] || q[2] % k[2])
    return n.malformed(
        "query, key and value contradict each other: " + describeShape(q) +
        ", " + describeShape(k) + " and " + describeShape(v));
  if (llvm::Error error = checkShape({q[0], q[1], q[2], v[3]}))
    return error;
  int64_t full[] = {q[0], q[2], q[1], k[1]};
  Value mask = n.input(3);
  if (mask) {
    llvm::Expected<Value> additive = attentionMask(n, mask, full);
    if (!additive)
      return additive.takeError();
    mask = *additive;
  }
  if (n.integer("is_causal", 0)) {
    if (q[1] > mostFolded / std::max<int64_t>(k[1], 1) * 256)
      return n.unsupported("a causal mask of more than 2^24 elements");
    SmallVector<Value> terms{causalMask(n, q[1], k[1])};
    if (mask)
      terms.push_back(mask);
    if (llvm::Error error = n.broadcast(terms))
      return error;
    mask = mask ? n.make<arith::AddFOp>(terms[0], terms[1]) : terms[0];
  }
  double scale = n.number("scale", 0)
                     ? n.number("scale", 0)
                     : 1 / std::sqrt(static_cast<double>(q[3]));
  Value result =
      AttentionOp::create(n.builder, n.loc, parts[0], parts[1], parts[2], mask,
                          n.builder.getF64FloatAttr(scale))
          .getResult();
  if (flat)
    return Values{n.reshape(result, {q[0], q[1], q[2] * v[3]})};
  return Values{n.transpose(result, {0, 2, 1, 3})};
}

ArrayRef<OpRow> attentionOps() {
  static const OpRow rows[] = {
      {"Attention", 3, 7, attention},
  };
  return rows;
}

} // namespace dit::onnx
