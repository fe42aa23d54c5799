//===- BuildDit.cpp - The DiT models --------------------------------------===//
//
// Peebles & Xie, "Scalable Diffusion Models with Transformers" (2023), written
// in the form that simplify gives imported models, so that a built model and
// an imported one are one program:
//
//     x = patches(x) W + b + position;  c = mlp(sinusoid(t)) + table[y]
//     a block: shift, scale, gate (twice) = Linear(SiLU(c))
//       x += gate · attention(LN(x)(1 + scale) + shift)
//       x += gate · mlp(LN(x)(1 + scale) + shift)
//     end: unpatch(Linear(LN(x)(1 + scale) + shift))
//
//===----------------------------------------------------------------------===//
#include "frontends/builder/BuildDit.h"

#include "frontends/builder/GraphBuilder.h"

#include <cmath>

using namespace mlir;
using namespace dit;

/// Length of the timestep's sinusoid, half of it cosines.
static constexpr int64_t sinusoidSize = 256;
static constexpr double sinusoidPeriod = 10000.0;
static constexpr double normEps = 1e-6;
static constexpr double embeddingDeviation = 0.02;

namespace {
/// Scale and shift of a norm, and the gate of what follows it: [batch, D].
struct Modulation {
  Tensor shift, scale, gate;
};

class DitBuilder {
public:
  DitBuilder(const DitConfig &config, int64_t batch, ModuleOp module,
             StringRef name, uint64_t seed);
  FailureOr<func::FuncOp> build();

private:
  InitAttr init(InitKind kind, double value = 0, int64_t fanIn = 0,
                int64_t fanOut = 0);
  InitAttr xavier(int64_t in, int64_t out) {
    return init(InitKind::XavierUniform, 0, in, out);
  }
  InitAttr normal() { return init(InitKind::Normal, embeddingDeviation); }
  InitAttr zeros() { return init(InitKind::Zeros); }

  /// Linear layer `name` with weight [out, in] drawn by `weightInit`.
  Tensor linear(StringRef name, Tensor x, int64_t out, InitAttr weightInit);
  Tensor embedPatches(Tensor position);
  Tensor embedTimestep();
  Tensor embedLabels();
  /// SiLU(c) projected to `count` vectors [batch, D].
  SmallVector<Tensor> modulate(StringRef name, Tensor silu, int64_t count);
  Tensor normalise(Tensor x, const Modulation &modulation);
  Tensor gated(Tensor x, Tensor branch, Tensor gate);
  Tensor attend(StringRef name, Tensor x);
  Tensor block(StringRef name, Tensor x, Tensor silu);
  Tensor unpatch(Tensor x);

  const DitConfig &config;
  int64_t batch, d, tokens;
  uint64_t seed;
  uint64_t parameters = 0; ///< so far, in the order of the state_dict
  MLIRContext *context;
  GraphBuilder graph;
};
} // namespace

static SmallVector<NamedType> inputs(const DitConfig &config, int64_t batch,
                                     MLIRContext *context) {
  Type f32 = Float32Type::get(context), i64 = IntegerType::get(context, 64);
  return {{"x", RankedTensorType::get(
                    {batch, config.channels, config.size, config.size}, f32)},
          {"t", RankedTensorType::get({batch}, i64)},
          {"y", RankedTensorType::get({batch}, i64)}};
}

DitBuilder::DitBuilder(const DitConfig &config, int64_t batch, ModuleOp module,
                       StringRef name, uint64_t seed)
    : config(config), batch(batch), d(config.hidden), tokens(config.tokens()),
      seed(seed), context(module.getContext()),
      graph(module, module.getLoc(), name, inputs(config, batch, context)) {}

InitAttr DitBuilder::init(InitKind kind, double value, int64_t fanIn,
                          int64_t fanOut) {
  return InitAttr::get(context, kind,
                       FloatAttr::get(Float64Type::get(context), value), fanIn,
                       fanOut, seed, firstParameterStream + parameters++);
}

Tensor DitBuilder::linear(StringRef name, Tensor x, int64_t out,
                          InitAttr weightInit) {
  if (!x)
    return x;
  std::string prefix = name.str();
  Tensor weight = graph.parameter(
      {prefix + ".weight", {out, x.getShape().back()}, weightInit});
  Tensor bias = graph.parameter({prefix + ".bias", {out}, zeros()});
  return graph.linear(x, weight, bias);
}

/// A convolution whose kernel is its stride is a matmul of patches.
Tensor DitBuilder::embedPatches(Tensor position) {
  graph.setScope("x_embedder");
  int64_t c = config.channels, p = config.patch, grid = config.grid();
  int64_t depth = c * p * p;
  Tensor x = graph.reshape(graph.input(0), {batch, c, grid, p, grid, p});
  x = graph.transpose(x, {0, 2, 4, 1, 3, 5});
  x = graph.reshape(x, {batch, tokens, depth});
  Tensor weight = graph.parameter(
      {"x_embedder.proj.weight", {d, c, p, p}, xavier(depth, d)});
  Tensor bias = graph.parameter({"x_embedder.proj.bias", {d}, zeros()});
  x = graph.linear(x, graph.reshape(weight, {d, depth}), bias);
  Tensor all = graph.broadcast(graph.reshape(position, {tokens, d}),
                               {batch, tokens, d}, {1, 2});
  return graph.add(x, all);
}

/// [cos(t f), sin(t f)] with f_i = period^(−i / half), through two layers.
Tensor DitBuilder::embedTimestep() {
  graph.setScope("t_embedder");
  int64_t half = sinusoidSize / 2;
  SmallVector<float> frequencies;
  // As PyTorch computes them: the exponent is rounded to fp32 first.
  float slope = static_cast<float>(-std::log(sinusoidPeriod));
  for (int64_t i = 0; i < half; ++i)
    frequencies.push_back(static_cast<float>(std::exp(static_cast<double>(
        slope * static_cast<float>(i) / static_cast<float>(half)))));
  Tensor t = graph.broadcast(graph.toFloat(graph.input(1)), {batch, half}, {0});
  Tensor f =
      graph.broadcast(graph.constant({half}, frequencies), {batch, half}, {1});
  Tensor angle = graph.mul(t, f);
  Tensor embedded =
      graph.concat({graph.cos(angle), graph.sin(angle)}, /*dim=*/1);
  Tensor hidden = linear("t_embedder.mlp.0", embedded, d, normal());
  return linear("t_embedder.mlp.2", graph.silu(hidden), d, normal());
}

Tensor DitBuilder::embedLabels() {
  graph.setScope("y_embedder");
  Tensor table = graph.parameter(
      {"y_embedder.embedding_table.weight", {config.classes + 1, d}, normal()});
  return graph.gather(table, graph.input(2));
}

SmallVector<Tensor> DitBuilder::modulate(StringRef name, Tensor silu,
                                         int64_t count) {
  Tensor all = linear(name, silu, count * d, zeros());
  SmallVector<Tensor> parts;
  for (int64_t part = 0; part < count; ++part)
    parts.push_back(graph.slice(all, 1, part * d, d));
  return parts;
}

Tensor DitBuilder::normalise(Tensor x, const Modulation &modulation) {
  Tensor factor = graph.add(modulation.scale, graph.splat(modulation.scale, 1));
  Tensor scaled =
      graph.mul(graph.layerNorm(x, normEps),
                graph.broadcast(factor, {batch, tokens, d}, {0, 2}));
  return graph.add(
      scaled, graph.broadcast(modulation.shift, {batch, tokens, d}, {0, 2}));
}

Tensor DitBuilder::gated(Tensor x, Tensor branch, Tensor gate) {
  return graph.add(
      x, graph.mul(graph.broadcast(gate, {batch, tokens, d}, {0, 2}), branch));
}

/// The projection's rows are q, k, v in the file and [head][q, k, v] here: what
/// one head needs lies together.
Tensor DitBuilder::attend(StringRef name, Tensor x) {
  int64_t heads = config.heads, headDim = d / heads;
  std::string prefix = name.str();
  Tensor weight = graph.parameter({prefix + ".qkv.weight",
                                   {3 * d, d},
                                   xavier(d, 3 * d),
                                   /*trainable=*/true,
                                   {3, heads, headDim, d},
                                   {1, 0, 2, 3},
                                   {3 * d, d}});
  Tensor bias = graph.parameter({prefix + ".qkv.bias",
                                 {3 * d},
                                 zeros(),
                                 /*trainable=*/true,
                                 {3, heads, headDim},
                                 {1, 0, 2},
                                 {3 * d}});
  Tensor qkv = graph.reshape(graph.linear(x, weight, bias),
                             {batch, tokens, heads, 3, headDim});
  auto part = [&](int64_t index) {
    return graph.reshape(graph.slice(qkv, 3, index, 1),
                         {batch, tokens, heads, headDim});
  };
  Tensor o = graph.attention(part(0), part(1), part(2),
                             1 / std::sqrt(static_cast<double>(headDim)));
  return linear(prefix + ".proj", graph.reshape(o, {batch, tokens, d}), d,
                xavier(d, d));
}

Tensor DitBuilder::block(StringRef name, Tensor x, Tensor silu) {
  graph.setScope(name);
  std::string prefix = name.str();
  // The state_dict has the adaLN layer last, the graph needs it first: the
  // numbers of the parameters are those of the state_dict.
  uint64_t first = parameters, adaLN = first + 8;
  parameters = adaLN;
  SmallVector<Tensor> m = modulate(prefix + ".adaLN_modulation.1", silu, 6);
  parameters = first;

  Modulation attention{m[0], m[1], m[2]}, mlp{m[3], m[4], m[5]};
  Tensor branch = attend(prefix + ".attn", normalise(x, attention));
  x = gated(x, branch, attention.gate);

  int64_t wide = config.mlpRatio * d;
  Tensor hidden =
      linear(prefix + ".mlp.fc1", normalise(x, mlp), wide, xavier(d, wide));
  hidden = graph.gelu(hidden, Approximate::Tanh);
  branch = linear(prefix + ".mlp.fc2", hidden, d, xavier(wide, d));
  parameters = adaLN + 2;
  return gated(x, branch, mlp.gate);
}

/// [batch, h w, p p C] → [batch, C, h p, w p].
Tensor DitBuilder::unpatch(Tensor x) {
  int64_t p = config.patch, grid = config.grid(), c = config.outChannels();
  x = graph.reshape(x, {batch, grid, grid, p, p, c});
  x = graph.transpose(x, {0, 5, 1, 3, 2, 4});
  return graph.reshape(x, {batch, c, config.size, config.size});
}

FailureOr<func::FuncOp> DitBuilder::build() {
  Tensor position = graph.parameter({"pos_embed",
                                     {1, tokens, d},
                                     init(InitKind::Sincos2D),
                                     /*trainable=*/false});
  Tensor x = embedPatches(position);
  Tensor t = embedTimestep();
  Tensor silu = graph.silu(graph.add(t, embedLabels()));
  for (int64_t index = 0; index < config.depth; ++index)
    x = block("blocks." + std::to_string(index), x, silu);

  graph.setScope("final_layer");
  uint64_t linearIndex = parameters;
  parameters += 2;
  SmallVector<Tensor> m = modulate("final_layer.adaLN_modulation.1", silu, 2);
  parameters = linearIndex;
  x = normalise(x, {m[0], m[1], Tensor()});
  x = linear("final_layer.linear", x,
             config.patch * config.patch * config.outChannels(), zeros());
  return graph.finish({{"sample", unpatch(x)}});
}

FailureOr<func::FuncOp> dit::buildDit(const DitConfig &config, int64_t batch,
                                      ModuleOp module, StringRef functionName,
                                      uint64_t seed) {
  return DitBuilder(config, batch, module, functionName, seed).build();
}
