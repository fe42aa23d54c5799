//===- DitParameters.cpp - DiT's parameters by name -----------------------===//
#include "frontends/builder/DitParameters.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

static constexpr double embeddingDeviation = 0.02;

/// Parameters before, in and after the blocks, in the state_dict's order.
static constexpr StringRef before[] = {"pos_embed",
                                       "x_embedder.proj.weight",
                                       "x_embedder.proj.bias",
                                       "t_embedder.mlp.0.weight",
                                       "t_embedder.mlp.0.bias",
                                       "t_embedder.mlp.2.weight",
                                       "t_embedder.mlp.2.bias",
                                       "y_embedder.embedding_table.weight"};
static constexpr StringRef inBlock[] = {
    "attn.qkv.weight",        "attn.qkv.bias",  "attn.proj.weight",
    "attn.proj.bias",         "mlp.fc1.weight", "mlp.fc1.bias",
    "mlp.fc2.weight",         "mlp.fc2.bias",   "adaLN_modulation.1.weight",
    "adaLN_modulation.1.bias"};
static constexpr StringRef after[] = {"final_layer.linear.weight",
                                      "final_layer.linear.bias",
                                      "final_layer.adaLN_modulation.1.weight",
                                      "final_layer.adaLN_modulation.1.bias"};

namespace {
/// A layer of diffusers: the name inside its block, or in the model.
struct Renaming {
  StringRef diffusers, original;
  int part = -1;
};
} // namespace

static constexpr Renaming blockLayers[] = {
    {"attn1.to_q", "attn.qkv", 0},         {"attn1.to_k", "attn.qkv", 1},
    {"attn1.to_v", "attn.qkv", 2},         {"attn1.to_out.0", "attn.proj"},
    {"ff.net.0.proj", "mlp.fc1"},          {"ff.net.2", "mlp.fc2"},
    {"norm1.linear", "adaLN_modulation.1"}};
/// Every block of diffusers has these; they are the model's.
static constexpr Renaming embedders[] = {
    {"norm1.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"},
    {"norm1.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"},
    {"norm1.emb.class_embedder.embedding_table", "y_embedder.embedding_table"}};
static constexpr Renaming modelLayers[] = {
    {"pos_embed.proj", "x_embedder.proj"},
    {"proj_out_1", "final_layer.adaLN_modulation.1"},
    {"proj_out_2", "final_layer.linear"}};

/// Splits "prefix.12.rest" into 12 and rest.
static std::optional<std::pair<int64_t, StringRef>>
splitBlock(StringRef name, StringRef prefix) {
  if (!name.consume_front(prefix))
    return std::nullopt;
  auto [digits, rest] = name.split('.');
  int64_t number = 0;
  if (digits.empty() || rest.empty() || digits.getAsInteger(10, number) ||
      number < 0)
    return std::nullopt;
  return std::pair(number, rest);
}

static const Renaming *findLayer(ArrayRef<Renaming> table, StringRef layer) {
  const auto *found = llvm::find_if(table, [&](const Renaming &renaming) {
    return renaming.diffusers == layer;
  });
  return found == table.end() ? nullptr : found;
}

DitParameter dit::getOriginalName(StringRef name) {
  auto [layer, leaf] = name.rsplit('.');
  std::string suffix = "." + leaf.str();
  if (name == "pos_embed.pos_embed")
    return {"pos_embed"};
  if (const Renaming *known = findLayer(modelLayers, layer))
    return {known->original.str() + suffix};
  auto block = splitBlock(layer, "transformer_blocks.");
  if (!block)
    return {name.str()};
  if (const Renaming *known = findLayer(embedders, block->second))
    return {known->original.str() + suffix};
  if (const Renaming *known = findLayer(blockLayers, block->second))
    return {"blocks." + std::to_string(block->first) + "." +
                known->original.str() + suffix,
            known->part};
  return {name.str()};
}

std::optional<int64_t> dit::getBlock(StringRef name) {
  if (auto block = splitBlock(name, "blocks."))
    return block->first;
  return std::nullopt;
}

std::optional<int64_t> dit::getParameterIndex(StringRef name, int64_t depth) {
  auto place = [](ArrayRef<StringRef> names, StringRef name,
                  int64_t first) -> std::optional<int64_t> {
    const StringRef *found = llvm::find(names, name);
    if (found == names.end())
      return std::nullopt;
    return first + (found - names.begin());
  };
  constexpr int64_t head = std::size(before), each = std::size(inBlock);
  if (auto block = splitBlock(name, "blocks.")) {
    if (block->first >= depth)
      return std::nullopt;
    return place(inBlock, block->second, head + each * block->first);
  }
  if (auto index = place(before, name, 0))
    return index;
  return place(after, name, head + each * depth);
}

/// Xavier's two numbers: inputs and outputs of the layer as the model has it,
/// whose q, k and v may be three layers or one.
static std::pair<int64_t, int64_t> getFans(ArrayRef<int64_t> shape) {
  int64_t in = 1;
  for (int64_t size : shape.drop_front())
    in *= size;
  return {in, shape.front()};
}

InitAttr dit::getDitInit(MLIRContext *context, const DitParameter &parameter,
                         ArrayRef<int64_t> shape, int64_t depth,
                         uint64_t seed) {
  StringRef name = parameter.name;
  std::optional<int64_t> index = getParameterIndex(name, depth);
  if (!index || shape.empty())
    return {};
  uint64_t stream = firstParameterStream + static_cast<uint64_t>(*index);
  if (parameter.part > 0)
    stream += partStreams * static_cast<uint64_t>(parameter.part);
  auto init = [&](InitKind kind, double value = 0, int64_t fanIn = 0,
                  int64_t fanOut = 0) {
    auto number = FloatAttr::get(Float64Type::get(context), value);
    return InitAttr::get(context, kind, number, fanIn, fanOut, seed, stream);
  };
  if (name == "pos_embed")
    return init(InitKind::Sincos2D);
  if (name.ends_with(".bias") || name.starts_with("final_layer.") ||
      name.contains(".adaLN_modulation."))
    return init(InitKind::Zeros);
  if (name.starts_with("t_embedder.") || name.starts_with("y_embedder."))
    return init(InitKind::Normal, embeddingDeviation);
  auto [fanIn, fanOut] = getFans(shape);
  return init(InitKind::XavierUniform, 0, fanIn, fanOut);
}
