//===- ParameterNames.cpp - What PyTorch called a weight ------------------===//

#include "frontends/onnx/ParameterNames.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

namespace dit::onnx {

bool ParameterNames::isGenerated(llvm::StringRef name) {
  // TorchScript: onnx::Add_713, /blocks.0/Constant_output_0. onnxsim: _v_806.
  if (name.contains("::") || name.contains('/') || name.starts_with("_v_") ||
      name.starts_with("const_"))
    return true;
  // Dynamo: val_51, unsqueeze_1, scalar_tensor_default; a parameter of a model
  // without submodules (pos_embed, cls_token) does not end in a number.
  if (name.contains('.'))
    return false;
  return name.starts_with("scalar_tensor") || name.empty() ||
         llvm::isDigit(name.back());
}

/// "/blocks.0/attn/to_out/to_out.0/MatMul" → "blocks.0.attn.to_out.0". The
/// children of a Sequential repeat its name.
static std::string pathOfNode(llvm::StringRef name) {
  if (!name.starts_with("/"))
    return "";
  llvm::SmallVector<llvm::StringRef> parts;
  name.drop_front().split(parts, '/');
  parts.pop_back(); // the op's own name
  std::string path;
  for (auto [index, part] : llvm::enumerate(parts)) {
    bool repeated = index + 1 < parts.size() &&
                    parts[index + 1].starts_with((part + ".").str());
    if (!repeated)
      path += (path.empty() ? "" : ".") + part.str();
  }
  return path;
}

/// "['', 'blocks.0', 'blocks.0.attn', 'blocks.0.attn.to_q', 'linear_3']" →
/// "blocks.0.attn.to_q".
static std::string pathOfScopes(llvm::ArrayRef<Property> metadata) {
  std::optional<llvm::StringRef> scopes =
      findProperty(metadata, "pkg.torch.onnx.name_scopes");
  if (!scopes)
    return "";
  llvm::SmallVector<llvm::StringRef> parts;
  scopes->trim("[]").split(parts, ',');
  return parts.size() < 3 ? "" : parts[parts.size() - 2].trim(" '").str();
}

/// A parameter's name as dynamo's calls spell it: "blocks.0.adaLN.bias" is
/// blocks_0_adaln_bias.
static std::string mangle(llvm::StringRef name) {
  std::string text = name.lower();
  for (char &c : text)
    c = llvm::isAlnum(c) ? c : '_';
  return text;
}

/// The parameters that PyTorch passed to the op of `node`, as dynamo writes
/// them down: "…(args = (%add_1, %p_blocks_1_fc1_weight, …" has
/// blocks_1_fc1_weight.
static llvm::SmallVector<llvm::StringRef> passedTo(const Node &node) {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::StringRef call =
      findProperty(node.metadata, "pkg.torch.onnx.fx_node").value_or("");
  constexpr llvm::StringLiteral mark = "%p_";
  for (size_t at = call.find(mark); at != llvm::StringRef::npos;
       at = call.find(mark)) {
    call = call.drop_front(at + mark.size());
    names.push_back(
        call.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; }));
  }
  return names;
}

static bool isPassed(llvm::StringRef name, const Node &node) {
  return !name.empty() && llvm::is_contained(passedTo(node), mangle(name));
}

ParameterNames::ParameterNames(const Graph &graph) {
  for (const Property &kind : graph.kinds)
    kinds[kind.key] = kind.value;
  for (const Node &node : graph.nodes)
    for (llvm::StringRef name : node.inputs)
      if (auto [entry, added] = users.try_emplace(name, &node); !added)
        entry->second = nullptr;
  for (const Tensor &tensor : graph.initializers)
    mangled.insert(mangle(tensor.name));
  findWrapper(graph);
  nameAfterFirstUse(graph);
}

void ParameterNames::findWrapper(const Graph &graph) {
  unsigned count = 0;
  for (const Tensor &tensor : graph.initializers) {
    if (!isFloat(tensor.type) || isGenerated(tensor.name))
      continue;
    auto [first, rest] = llvm::StringRef(tensor.name).split('.');
    // A list of modules ("blocks.0.…") does not wrap a model.
    bool wraps = !rest.empty() && !llvm::isDigit(rest.front());
    if (!wraps || (count && wrapper != (first + ".").str())) {
      wrapper.clear();
      return;
    }
    wrapper = (first + ".").str();
    ++count;
  }
  if (count < 4) // Too few to tell.
    wrapper.clear();
}

/// True if the dotted paths differ in numbers only: the same module in another
/// block.
static bool differInNumbers(llvm::StringRef lhs, llvm::StringRef rhs) {
  llvm::SmallVector<llvm::StringRef> left, right;
  lhs.split(left, '.');
  rhs.split(right, '.');
  return left.size() == right.size() &&
         llvm::all_of(llvm::zip(left, right), [](auto pair) {
           auto [a, b] = pair;
           return a == b || (llvm::all_of(a, llvm::isDigit) &&
                             llvm::all_of(b, llvm::isDigit));
         });
}

/// Dynamo calls a module that several blocks share by its last name; PyTorch's
/// state and the scopes of the first node that uses it say the first.
void ParameterNames::nameAfterFirstUse(const Graph &graph) {
  llvm::DenseSet<llvm::StringRef> pending;
  for (const Tensor &tensor : graph.initializers)
    if (!isGenerated(tensor.name))
      pending.insert(tensor.name);
  for (const Node &node : graph.nodes) {
    std::string path = pathOfScopes(node.metadata);
    for (llvm::StringRef name : node.inputs) {
      if (!pending.erase(name))
        continue;
      auto [owner, leaf] = name.rsplit('.');
      if (!path.empty() && owner != path && differInNumbers(owner, path))
        renamed[name] = path + "." + leaf.str();
    }
  }
}

std::string ParameterNames::recoverWeight(const Node &user) const {
  auto fromBias = [](llvm::StringRef name) {
    return !isGenerated(name) && name.consume_back(".bias")
               ? (name + ".weight").str()
               : "";
  };
  if (user.opType == "Gemm" && user.inputs.size() > 2)
    if (std::string name = fromBias(user.inputs[2]); !name.empty())
      return name;
  // The Add may come behind a Reshape, where an optimiser made the MatMul 2-D.
  const Node *next =
      user.outputs.empty() ? nullptr : users.lookup(user.outputs.front());
  if (next && next->opType == "Reshape")
    next =
        next->outputs.empty() ? nullptr : users.lookup(next->outputs.front());
  if (next && next->opType == "Add")
    for (llvm::StringRef input : next->inputs)
      if (std::string name = fromBias(input); !name.empty())
        return name;
  if (std::string path = pathOfScopes(user.metadata); !path.empty())
    return path + ".weight";
  if (std::string path = pathOfNode(user.name); !path.empty())
    return path + ".weight";
  return "";
}

/// True for inputs that say how an op works, rather than what it works on.
static bool isSetting(const Tensor &tensor, const Node &user,
                      unsigned operand) {
  bool hasSettings = llvm::is_contained(
      {"Clip", "Dropout", "OneHot", "Pad", "Pow", "Range", "Resize"},
      user.opType);
  return (hasSettings && (operand > 0 || user.opType == "Range")) ||
         (tensor.dims.empty() && !tensor.name.contains('.'));
}

bool ParameterNames::isParameter(const Tensor &tensor, bool isWeight) const {
  if (!isFloat(tensor.type))
    return false;
  // A table that was computed from buffers still has no kind of its own.
  if (auto kind = kinds.find(tensor.name); kind != kinds.end())
    return kind->second == "PARAMETER" || isWeight;
  // What dynamo computed is called after the op, as exp, and has no kind.
  if (!kinds.empty() && !tensor.name.contains('.'))
    return isWeight;
  // Diffusers' table of positions is a buffer.
  if (tensor.name.ends_with("pos_embed.pos_embed"))
    return false;
  // TorchScript writes constants as nodes, so onnx:: was once a parameter.
  return !isGenerated(tensor.name) || isWeight ||
         (tensor.name.starts_with("onnx::") && tensor.size() > 1);
}

/// The name that `tensor` had where `user` was made of it, if dynamo gave it
/// that of an equal one; else ''.
std::string ParameterNames::ownName(const Tensor &tensor, const Node &user,
                                    unsigned operand) const {
  std::string path = pathOfScopes(user.metadata);
  if (path.empty() ||
      (!isGenerated(tensor.name) && isPassed(tensor.name, user)))
    return "";
  // Norms have a weight of one dimension, too: before their bias, or multiplied
  // where they are spelled out.
  bool isNormWeight =
      user.opType == "Mul" ||
      (operand == 1 && llvm::StringRef(user.opType).ends_with("Normalization"));
  bool isBias = tensor.dims.size() == 1 && !isNormWeight;
  std::string name = path + (isBias ? ".bias" : ".weight");
  return isPassed(name, user) ? name : "";
}

bool ParameterNames::isStandIn(const Tensor &tensor, const Node &user,
                               unsigned operand) const {
  return !isGenerated(tensor.name) && !passedTo(user).empty() &&
         !isPassed(tensor.name, user) && ownName(tensor, user, operand).empty();
}

/// True for a Gemm or Conv that adds no bias.
static bool isBare(const Node &user) {
  return (user.opType == "Gemm" || user.opType == "Conv") &&
         user.domain.empty() && user.inputs.size() == 2;
}

std::string ParameterNames::droppedBias(const Node &user) const {
  if (!isBare(user))
    return "";
  std::string path = pathOfScopes(user.metadata);
  return !path.empty() && isPassed(path + ".bias", user) ? path + ".bias" : "";
}

bool ParameterNames::lacksUnknownBias(const Node &user) const {
  return isBare(user) && droppedBias(user).empty() &&
         llvm::any_of(passedTo(user), [&](llvm::StringRef name) {
           return name.ends_with("_bias") && !mangled.contains(name);
         });
}

ParameterNames::Identity ParameterNames::identify(const Tensor &tensor,
                                                  const Node &user,
                                                  unsigned operand,
                                                  bool literally) const {
  Identity identity;
  auto other = renamed.find(tensor.name);
  identity.name = other == renamed.end() ? tensor.name.str() : other->second;
  bool product = user.opType == "MatMul" || user.opType == "Gemm" ||
                 user.opType == "FusedMatMul";
  bool weight = product && operand == 1 && tensor.dims.size() == 2;
  identity.isParameter =
      !isSetting(tensor, user, operand) && isParameter(tensor, weight);
  if (!identity.isParameter)
    return identity;
  // DiT's table of positions is fixed, whatever it is called inside.
  identity.isTrainable = !tensor.name.ends_with("pos_embed");
  bool generated = isGenerated(tensor.name);
  std::string own = literally ? "" : ownName(tensor, user, operand);
  if (own.empty() && generated && weight)
    own = recoverWeight(user);
  if (!own.empty()) {
    const NodeAttribute *transposed = user.find("transB");
    identity.isTransposed = weight && !(transposed && transposed->integer);
    identity.name = own;
  } else if (generated && user.opType == "Add" && tensor.dims.size() == 3 &&
             tensor.dims[0] == 1) {
    // PixArt's table, which TorchScript unsqueezed.
    std::string path = pathOfNode(user.name);
    identity.name =
        path.empty() ? "scale_shift_table" : path + ".scale_shift_table";
  }
  if (!wrapper.empty() && llvm::StringRef(identity.name).starts_with(wrapper))
    identity.name.erase(0, wrapper.size());
  return identity;
}

} // namespace dit::onnx
