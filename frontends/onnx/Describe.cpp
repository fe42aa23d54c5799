//===- Describe.cpp - What a model takes and gives ------------------------===//
//
// Names decide only where type and rank leave a choice. The batch symbol is
// that of the leading dimension of the first input that has one.
//
//===----------------------------------------------------------------------===//

#include "frontends/onnx/Import.h"
#include "llvm/ADT/STLExtras.h"

namespace dit::onnx {

bool ModelInterface::isDenoiser() const {
  auto has = [&](InputKind kind) {
    return llvm::any_of(inputs, [=](const ValueInterface &input) {
      return input.kind == kind;
    });
  };
  return has(InputKind::Picture) && has(InputKind::Timestep) &&
         (has(InputKind::Labels) || has(InputKind::Text));
}

/// True if one of the words is in `name`, whatever its case.
static bool contains(llvm::StringRef name,
                     std::initializer_list<llvm::StringRef> words) {
  return llvm::any_of(words, [&](llvm::StringRef word) {
    return name.contains_insensitive(word);
  });
}

static InputKind guessKind(const ValueInfo &input) {
  size_t rank = input.shape ? input.shape->size() : 0;
  bool text = contains(input.name, {"encoder_hidden", "text", "prompt",
                                    "pooled", "caption", "context"});
  if (rank <= 1 &&
      (contains(input.name, {"time", "sigma"}) || input.name == "t"))
    return InputKind::Timestep;
  if (rank == 1 && !isFloat(input.type) &&
      (contains(input.name, {"label", "class"}) || input.name == "y"))
    return InputKind::Labels;
  if (rank < 2 || !isFloat(input.type) ||
      contains(input.name, {"mask", "_ids"}))
    return InputKind::Other;
  if (text)
    return InputKind::Text;
  return rank >= 3 ? InputKind::Picture : InputKind::Other;
}

/// The symbol that stands for the batch, '' for none.
static llvm::StringRef findBatchSymbol(const Graph &graph) {
  for (const ValueInfo &input : graph.inputs)
    if (input.shape && !input.shape->empty() && !input.shape->front().size)
      return input.shape->front().symbol;
  return "";
}

static llvm::Error checkOptions(const Graph &graph,
                                const ImportOptions &options,
                                llvm::StringRef batchSymbol) {
  auto contradiction = [](const llvm::Twine &message) {
    return makeError(ErrorKind::Contradiction, message);
  };
  if (options.batch && *options.batch < 1)
    return contradiction("--batch " + llvm::Twine(*options.batch) +
                         " is not a size; give 1 or more");
  llvm::StringMap<bool> symbols;
  std::string list;
  for (const ValueInfo &input : graph.inputs)
    for (const Dimension &dimension :
         input.shape.value_or(std::vector<Dimension>()))
      if (!dimension.symbol.empty() &&
          symbols.try_emplace(dimension.symbol, true).second)
        list += (list.empty() ? "" : ", ") + quote(dimension.symbol);
  for (const auto &entry : options.dims) {
    if (entry.second < 1)
      return contradiction("--dim " + entry.first() + "=" +
                           llvm::Twine(entry.second) +
                           " is not a size; give 1 or more");
    if (!symbols.count(entry.first()))
      return contradiction(
          "--dim " + entry.first() +
          ": the model has no such symbolic dimension; it has " +
          (list.empty() ? "none" : list));
    if (options.batch && entry.first() == batchSymbol &&
        entry.second != *options.batch)
      return contradiction("--batch " + llvm::Twine(*options.batch) +
                           " and --dim " + entry.first() + "=" +
                           llvm::Twine(entry.second) +
                           " give the batch dimension two sizes");
  }
  return llvm::Error::success();
}

llvm::Expected<ModelInterface> describe(const OnnxModel &model,
                                        const ImportOptions &options) {
  const Graph &graph = model.graph();
  llvm::StringRef batchSymbol = findBatchSymbol(graph);
  if (llvm::Error error = checkOptions(graph, options, batchSymbol))
    return error;

  auto describeValue = [&](const ValueInfo &info) {
    ValueInterface value;
    value.name = info.name.str();
    value.type = info.type;
    const std::vector<Dimension> shape =
        info.shape.value_or(std::vector<Dimension>());
    for (auto [index, dimension] : llvm::enumerate(shape)) {
      DimensionInterface &dim = value.dims.emplace_back();
      dim.size = dimension.size;
      dim.symbol = dimension.symbol.str();
      // A leading dimension without any name can only be the batch.
      dim.isBatch = !dim.size && dimension.symbol == batchSymbol &&
                    (index == 0 || !batchSymbol.empty());
      if (auto given = options.dims.find(dim.symbol);
          !dim.size && given != options.dims.end())
        dim.size = given->second;
      else if (dim.isBatch)
        dim.size = options.batch;
    }
    return value;
  };

  ModelInterface interface;
  for (const ValueInfo &input : graph.inputs) {
    interface.inputs.push_back(describeValue(input));
    interface.inputs.back().kind = guessKind(input);
  }
  for (const ValueInfo &output : graph.outputs)
    interface.outputs.push_back(describeValue(output));

  // A file with a static batch keeps it.
  bool symbolic =
      llvm::any_of(interface.inputs, [](const ValueInterface &input) {
        return llvm::any_of(input.dims, [](const DimensionInterface &dim) {
          return dim.isBatch;
        });
      });
  auto picture =
      llvm::find_if(interface.inputs, [](const ValueInterface &input) {
        return !input.dims.empty();
      });
  if (symbolic || picture == interface.inputs.end())
    return interface;
  picture->dims.front().isBatch = true;
  std::optional<int64_t> size = picture->dims.front().size;
  if (options.batch && size && *options.batch != *size)
    return makeError(
        ErrorKind::Contradiction,
        "--batch " + llvm::Twine(*options.batch) +
            ": the model's batch is fixed at " + llvm::Twine(*size) +
            " (dimension 0 of the input " + quote(picture->name) +
            "); leave --batch out, or export with a dynamic batch dimension");
  return interface;
}

} // namespace dit::onnx
