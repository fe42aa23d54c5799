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

#include "frontends/builder/DitParameters.h"
#include "frontends/builder/GraphBuilder.h"

#include <cmath>

using namespace mlir;
using namespace dit;

/// Length of the timestep's sinusoid, half of it cosines.
static constexpr int64_t sinusoidSize = 256;
static constexpr double sinusoidPeriod = 10000.0;
static constexpr double normEps = 1e-6;

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
  /// The parameter `name`, drawn as DiT does.
  Parameter parameter(const std::string &name, std::vector<int64_t> shape) {
    return {name, shape,
            getDitInit(context, {name}, shape, config.depth, seed)};
  }
  /// Linear layer `name` with weight [out, in].
  Tensor linear(StringRef name, Tensor x, int64_t out);
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
  MLIRContext *context;
  GraphBuilder graph;
};
} // namespace

static SmallVector<NamedType> inputs(const DitConfig &config, int64_t batch,
                                     MLIRContext *context) {
  Type f32 = Float32Type::get(context), i64 = IntegerType::get(context, 64);
  return {{"x", RankedTensorType::get(
                    {batch, config.channels, config.size, config.size}, f32)},
          {"t", RankedTensorType::get({batch}, config.realTime ? f32 : i64)},
          {"y", RankedTensorType::get({batch}, i64)}};
}

DitBuilder::DitBuilder(const DitConfig &config, int64_t batch, ModuleOp module,
                       StringRef name, uint64_t seed)
    : config(config), batch(batch), d(config.hidden), tokens(config.tokens()),
      seed(seed), context(module.getContext()),
      graph(module, module.getLoc(), name, inputs(config, batch, context)) {}

Tensor DitBuilder::linear(StringRef name, Tensor x, int64_t out) {
  if (!x)
    return x;
  std::string prefix = name.str();
  int64_t in = x.getShape().back();
  Tensor weight = graph.parameter(parameter(prefix + ".weight", {out, in}));
  Tensor bias = graph.parameter(parameter(prefix + ".bias", {out}));
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
  Tensor weight =
      graph.parameter(parameter("x_embedder.proj.weight", {d, c, p, p}));
  Tensor bias = graph.parameter(parameter("x_embedder.proj.bias", {d}));
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
  Tensor f = graph.broadcast(
      graph.constant("t_embedder.frequencies", {half}, frequencies),
      {batch, half}, {1});
  Tensor angle = graph.mul(t, f);
  Tensor embedded =
      graph.concat({graph.cos(angle), graph.sin(angle)}, /*dim=*/1);
  Tensor hidden = linear("t_embedder.mlp.0", embedded, d);
  return linear("t_embedder.mlp.2", graph.silu(hidden), d);
}

Tensor DitBuilder::embedLabels() {
  graph.setScope("y_embedder");
  Tensor table = graph.parameter(
      parameter("y_embedder.embedding_table.weight", {config.classes + 1, d}));
  return graph.gather(table, graph.input(2));
}

SmallVector<Tensor> DitBuilder::modulate(StringRef name, Tensor silu,
                                         int64_t count) {
  Tensor all = linear(name, silu, count * d);
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
  Parameter weight = parameter(prefix + ".qkv.weight", {3 * d, d});
  weight.view = {3, heads, headDim, d};
  weight.permutation = {1, 0, 2, 3};
  weight.stored = {3 * d, d};
  Parameter bias = parameter(prefix + ".qkv.bias", {3 * d});
  bias.view = {3, heads, headDim};
  bias.permutation = {1, 0, 2};
  bias.stored = {3 * d};
  Tensor qkv = graph.linear(x, graph.parameter(weight), graph.parameter(bias));
  qkv = graph.reshape(qkv, {batch, tokens, heads, 3, headDim});
  auto part = [&](int64_t index) {
    return graph.reshape(graph.slice(qkv, 3, index, 1),
                         {batch, tokens, heads, headDim});
  };
  Tensor o = graph.attention(part(0), part(1), part(2),
                             1 / std::sqrt(static_cast<double>(headDim)));
  return linear(prefix + ".proj", graph.reshape(o, {batch, tokens, d}), d);
}

Tensor DitBuilder::block(StringRef name, Tensor x, Tensor silu) {
  graph.setScope(name);
  std::string prefix = name.str();
  SmallVector<Tensor> m = modulate(prefix + ".adaLN_modulation.1", silu, 6);
  Modulation attention{m[0], m[1], m[2]}, mlp{m[3], m[4], m[5]};
  Tensor branch = attend(prefix + ".attn", normalise(x, attention));
  x = gated(x, branch, attention.gate);

  Tensor hidden =
      linear(prefix + ".mlp.fc1", normalise(x, mlp), config.mlpRatio * d);
  hidden = graph.gelu(hidden, Approximate::Tanh);
  branch = linear(prefix + ".mlp.fc2", hidden, d);
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
  Parameter table = parameter("pos_embed", {1, tokens, d});
  table.trainable = false;
  Tensor position = graph.parameter(table);
  Tensor x = embedPatches(position);
  Tensor t = embedTimestep();
  Tensor silu = graph.silu(graph.add(t, embedLabels()));
  for (int64_t index = 0; index < config.depth; ++index)
    x = block("blocks." + std::to_string(index), x, silu);

  graph.setScope("final_layer");
  SmallVector<Tensor> m = modulate("final_layer.adaLN_modulation.1", silu, 2);
  x = normalise(x, {m[0], m[1], Tensor()});
  x = linear("final_layer.linear", x,
             config.patch * config.patch * config.outChannels());
  return graph.finish({{"sample", unpatch(x)}});
}

FailureOr<func::FuncOp> dit::buildDit(const DitConfig &config, int64_t batch,
                                      ModuleOp module, StringRef functionName,
                                      uint64_t seed) {
  return DitBuilder(config, batch, module, functionName, seed).build();
}
