//===- ApplyWeights.cpp - Values from a file for a model's parameters -----===//
#include "frontends/weights/ApplyWeights.h"

#include "dialects/dit/DitDialect.h"
#include "frontends/builder/DitParameters.h"
#include "frontends/onnx/ImportError.h"
#include "frontends/weights/Placement.h"
#include "frontends/weights/WeightNames.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace dit;

static constexpr int parts = 3; // q, k, v

/// The element type that safetensors' `type` spells; null if it has no float.
static Type getFloatType(MLIRContext *context, StringRef type) {
  if (type == "F32")
    return Float32Type::get(context);
  if (type == "F16")
    return Float16Type::get(context);
  if (type == "BF16")
    return BFloat16Type::get(context);
  if (type == "F64")
    return Float64Type::get(context);
  return {};
}

/// The shape as PyTorch has it.
static SmallVector<int64_t> getTorchShape(ArrayRef<int64_t> shape,
                                          bool transposed) {
  SmallVector<int64_t> result(shape);
  if (transposed)
    std::reverse(result.begin(), result.end());
  return result;
}

static std::string describeShape(ArrayRef<int64_t> shape) {
  return "[" +
         llvm::join(
             llvm::map_range(shape,
                             [](int64_t size) { return std::to_string(size); }),
             ", ") +
         "]";
}

namespace {
/// Fills one module.
class Application {
public:
  Application(ModuleOp module, ArrayRef<StoredTensor> tensors)
      : module(module), tensors(tensors), names(tensors) {}
  llvm::Error run();

private:
  bool fill(GlobalOp global, PieceAttr piece, SmallVectorImpl<Attribute> &to);
  void fillWith(GlobalOp global, PieceAttr piece, const StoredTensor &tensor,
                int part, SmallVectorImpl<Attribute> &to);
  void findUnexpected();
  llvm::Error report();

  ModuleOp module;
  ArrayRef<StoredTensor> tensors;
  WeightNames names;
  llvm::StringSet<llvm::MallocAllocator>
      filled; ///< original names of the module's parameters
  llvm::DenseMap<Operation *, bool> lieTransposed; ///< after the change
  std::vector<std::string> missing, unexpected, misshaped;
};
} // namespace

/// A third of `tensor`, whose rows are three parts.
static StoredTensor takeRows(const StoredTensor &tensor, int part) {
  StoredTensor rows = tensor;
  rows.shape[0] /= parts;
  size_t bytes = tensor.bytes.size() / parts;
  rows.bytes = tensor.bytes.substr(part * bytes, bytes);
  return rows;
}

/// Adds the piece of `global` that `tensor` fills: all of `piece`, or part
/// `part` of it. Records what does not fit.
void Application::fillWith(GlobalOp global, PieceAttr piece,
                           const StoredTensor &tensor, int part,
                           SmallVectorImpl<Attribute> &to) {
  MLIRContext *context = module.getContext();
  bool lies = global->hasAttr("dit.transposed");
  SmallVector<int64_t> wanted = getTorchShape(piece.getFile().getShape(), lies);
  if (part >= 0)
    wanted[0] /= parts;
  SmallVector<int64_t> given = getTorchShape(tensor.shape, tensor.transposed);
  Type element = getFloatType(context, tensor.type);
  if (given != wanted || !element) {
    misshaped.push_back(onnx::quote(tensor.name) + " is " + tensor.type + " " +
                        describeShape(given) + ", the model needs " +
                        describeShape(wanted));
    return;
  }
  Placement placement = Placement::of(piece);
  bool fits = true;
  if (lies)
    fits = placement.transpose(piece.getFile().getDimSize(0));
  if (fits && part >= 0)
    fits = placement.takePart(part, parts);
  if (fits && tensor.transposed)
    fits = placement.transpose(given[0]);
  if (!fits) {
    misshaped.push_back(onnx::quote(tensor.name) +
                        " lies in the model in a way that it cannot be split");
    return;
  }
  auto file = RankedTensorType::get(tensor.shape, element);
  std::shared_ptr<const void> owner = tensor.owner;
  AsmResourceBlob blob(
      ArrayRef<char>(tensor.bytes.data(), tensor.bytes.size()),
      /*dataAlignment=*/1, [owner](void *, size_t, size_t) {},
      /*dataIsMutable=*/false);
  auto source =
      DenseResourceElementsAttr::get(file, tensor.name, std::move(blob));
  StringRef name = part < 0 ? piece.getName() : StringRef(tensor.name);
  to.push_back(placement.getPiece(name, file, source));
  lieTransposed[global] = tensor.transposed;
}

/// Adds what fills `piece`; false if the file has nothing for it.
bool Application::fill(GlobalOp global, PieceAttr piece,
                       SmallVectorImpl<Attribute> &to) {
  DitParameter wanted = getOriginalName(piece.getName());
  filled.insert(wanted.name);
  if (const StoredTensor *tensor = names.find(piece.getName(), wanted)) {
    fillWith(global, piece, *tensor, -1, to);
    return true;
  }
  if (wanted.part >= 0) {
    // A part of a whole; rows of a transposed one do not lie together.
    const StoredTensor *whole = names.find("", {wanted.name, -1});
    if (!whole || whole->transposed || whole->shape.empty() ||
        whole->shape[0] % parts)
      return false;
    fillWith(global, piece, takeRows(*whole, wanted.part), -1, to);
    return true;
  }
  // A whole of parts.
  for (int part = 0; part < parts; ++part) {
    const StoredTensor *tensor = names.find("", {wanted.name, part});
    if (!tensor)
      return false;
    fillWith(global, piece, *tensor, part, to);
  }
  return true;
}

/// Tensors that no parameter took. Copies of one that was taken are as good.
void Application::findUnexpected() {
  for (const StoredTensor &tensor : tensors) {
    if (names.isUsed(tensor))
      continue;
    DitParameter original = getOriginalName(tensor.name);
    const StoredTensor *first = names.find("", original);
    // The position table may be a constant of the model's graph.
    if (original.name == "pos_embed" ||
        (first && first != &tensor && filled.contains(original.name) &&
         first->bytes == tensor.bytes))
      continue;
    unexpected.push_back(onnx::quote(tensor.name));
  }
}

llvm::Error Application::report() {
  std::string text;
  auto list = [&](StringRef what, ArrayRef<std::string> names) {
    constexpr size_t most = 20;
    if (names.empty())
      return;
    text +=
        "\n  " + what.str() + ": " + llvm::join(names.take_front(most), ", ");
    if (names.size() > most)
      text += " and " + std::to_string(names.size() - most) + " more";
  };
  list("the model's parameters without weights", missing);
  list("weights without a parameter", unexpected);
  list("other shapes", misshaped);
  if (text.empty())
    return llvm::Error::success();
  return onnx::makeError(onnx::ErrorKind::Contradiction,
                         "the weights do not fit the model:" + text);
}

llvm::Error Application::run() {
  SmallVector<std::pair<GlobalOp, SmallVector<Attribute>>, 0> changes;
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() != Role::Parameter)
      continue;
    SmallVector<Attribute> pieces;
    for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
      if (fill(global, piece, pieces))
        continue;
      pieces.push_back(piece);
      if (getOriginalName(piece.getName()).name != "pos_embed")
        missing.push_back(onnx::quote(piece.getName()));
    }
    changes.emplace_back(global, pieces);
  }
  findUnexpected();
  if (llvm::Error error = report())
    return error;
  Builder builder(module.getContext());
  for (auto &[global, pieces] : changes) {
    global.setPiecesAttr(builder.getArrayAttr(pieces));
    auto transposed = lieTransposed.find(global);
    if (transposed == lieTransposed.end())
      continue;
    global->removeAttr("dit.transposed");
    if (transposed->second)
      global->setAttr("dit.transposed", builder.getUnitAttr());
  }
  return llvm::Error::success();
}

llvm::Error dit::applyWeights(ModuleOp module, ArrayRef<StoredTensor> tensors) {
  return Application(module, tensors).run();
}
