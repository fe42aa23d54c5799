//===- LoadModel.cpp - The frontend that a command line asks for ----------===//
#include "compiler/tools/ditc/LoadModel.h"

#include "dialects/dit/DitDialect.h"
#include "frontends/builder/BuildDit.h"
#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/Import.h"
#include "frontends/weights/ApplyWeights.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/WithColor.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace dit;
using dit::plan::Exit;
using dit::plan::failure;

/// Sets the pipeline's picture, timestep and label arguments from --inputs or
/// from what the importer thinks of them.
static Error chooseInputs(const onnx::ModelInterface &interface, Flags &flags) {
  PipelineOptions &pipeline = flags.compile.pipeline;
  int64_t *places[] = {&pipeline.picture, &pipeline.timestep, &pipeline.label};
  auto kinds = {onnx::InputKind::Picture, onnx::InputKind::Timestep,
                onnx::InputKind::Labels};
  if (flags.modelInputs.empty()) {
    for (auto [place, kind] : zip(places, kinds))
      for (auto [index, input] : enumerate(interface.inputs))
        if (input.kind == kind && *place < 0)
          *place = index;
    return Error::success();
  }
  if (flags.modelInputs.size() != 3)
    return failure(Exit::Usage,
                   "--inputs takes three names: PICTURE,TIMESTEP,LABELS");
  for (auto [place, name] : zip(places, flags.modelInputs)) {
    auto input = find_if(interface.inputs,
                         [&](auto &input) { return input.name == name; });
    if (input == interface.inputs.end()) {
      std::string known = join(
          map_range(interface.inputs, [](auto &input) { return input.name; }),
          ", ");
      return failure(Exit::Contradiction, "--inputs: the model has no input " +
                                              plan::escaped(name) +
                                              "; it has " + known);
    }
    *place = input - interface.inputs.begin();
  }
  return Error::success();
}

/// The size of the batch that the file fixes, if it does.
static std::optional<int64_t>
staticBatch(const onnx::ModelInterface &interface) {
  for (const onnx::ValueInterface &input : interface.inputs)
    if (!input.dims.empty() && input.dims.front().isBatch &&
        input.dims.front().symbol.empty())
      return input.dims.front().size;
  return std::nullopt;
}

static Error loadOnnx(Flags &flags, mlir::ModuleOp module) {
  if (flags.imageSize)
    return failure(Exit::Contradiction,
                   "--image-size is for built-in models; '" + flags.model +
                       "' has the size that it was exported with, or takes it "
                       "by --dim: leave it out");
  Expected<std::unique_ptr<onnx::OnnxModel>> model =
      onnx::OnnxModel::open(flags.model);
  if (!model)
    return model.takeError();
  onnx::ImportOptions options;
  options.dims = flags.dims;
  Expected<onnx::ModelInterface> interface = onnx::describe(**model, options);
  if (!interface)
    return interface.takeError();

  PipelineOptions &pipeline = flags.compile.pipeline;
  if (!flags.modeGiven) {
    bool hasLabels = any_of(interface->inputs, [](auto &input) {
      return input.kind == onnx::InputKind::Labels;
    });
    bool canSample =
        (interface->isDenoiser() && hasLabels) || flags.modelInputs.size() == 3;
    pipeline.mode = canSample ? Mode::Sample : Mode::Forward;
    if (interface->isDenoiser() && !canSample && !flags.quiet)
      WithColor::note(errs(), "ditc")
          << "the model is conditioned on text, which has no sampling program "
             "yet: this is a forward plan\n";
  }
  if (Error error = chooseInputs(*interface, flags))
    return error;

  std::optional<int64_t> fixed = staticBatch(*interface);
  bool sample = pipeline.mode == Mode::Sample;
  if (sample && fixed && *fixed % 2)
    return failure(Exit::Contradiction,
                   "the file's batch is fixed at " + Twine(*fixed) +
                       ", but guidance doubles the batch of pictures, so it "
                       "must be even: export it with a dynamic batch, or use "
                       "--mode forward");
  int64_t batch = flags.batch.value_or(fixed ? *fixed / (sample ? 2 : 1) : 8);
  if (sample && fixed && batch * 2 != *fixed)
    return failure(Exit::Contradiction,
                   "--batch " + Twine(batch) + " needs a model of batch 2 x " +
                       Twine(batch) + " = " + Twine(2 * batch) +
                       " for guidance, but the file's is fixed at " +
                       Twine(*fixed) + ": leave --batch out");
  flags.batch = batch;

  auto warn = [&](const Twine &text) {
    if (!flags.quiet)
      WithColor::warning(errs(), "ditc") << text << "\n";
  };
  options.refuseMerged = pipeline.mode == Mode::Train;
  options.asIs = flags.asIs;
  options.batch = sample ? 2 * batch : batch;
  if (Error error = onnx::importModel(**model, options, module, warn))
    return error;
  if (sample && !fixed) {
    options.batch = batch;
    options.functionName = "forward_single";
    auto silent = [](const Twine &) {};
    if (Error error = onnx::importModel(**model, options, module, silent))
      return error;
  }
  StringRef bytes = (*model)->mapping()->bytes();
  flags.compile.inputHash = plan::hexadecimal(plan::hashBytes(
      ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size())));
  mlir::Builder builder(module.getContext());
  module->setAttr("dit.model",
                  builder.getStringAttr(sys::path::stem(flags.model)));
  return Error::success();
}

/// A model of the builder, at the batches that its mode needs.
static Error loadBuiltIn(Flags &flags, mlir::ModuleOp module) {
  const char *misplaced = flags.asIs                   ? "--as-is"
                          : !flags.dims.empty()        ? "--dim"
                          : !flags.modelInputs.empty() ? "--inputs"
                                                       : nullptr;
  if (misplaced)
    return failure(Exit::Contradiction,
                   Twine(misplaced) + " is for ONNX files; " + flags.model +
                       " is built, with inputs and sizes of its own: leave it "
                       "out");
  StringRef spec = StringRef(flags.model).drop_front(4);
  Expected<DitConfig> config = parseDitConfig(spec, flags.imageSize);
  if (!config)
    return failure(Exit::Usage, toString(config.takeError()));
  PipelineOptions &pipeline = flags.compile.pipeline;
  config->realTime = pipeline.prediction == "flow";
  if (!flags.modeGiven)
    pipeline.mode = Mode::Sample;
  bool sample = pipeline.mode == Mode::Sample;
  int64_t batch = flags.batch.value_or(8);
  flags.batch = batch;
  uint64_t seed = flags.initSeed.value_or(0);

  std::string text;
  mlir::ScopedDiagnosticHandler handler(
      module.getContext(), [&](mlir::Diagnostic &diagnostic) {
        text += (text.empty() ? "" : "\n") + diagnostic.str();
      });
  bool built = succeeded(
      buildDit(*config, sample ? 2 * batch : batch, module, "forward", seed));
  if (built && sample)
    built = succeeded(buildDit(*config, batch, module, "forward_single", seed));
  if (!built)
    return failure(Exit::Internal, "building " + flags.model + ": " + text);
  std::string identity =
      (config->name + " " + Twine(config->depth) + " " + Twine(config->hidden) +
       " " + Twine(config->heads) + " " + Twine(config->patch) + " " +
       Twine(config->size) + " " + Twine(config->channels) + " " +
       Twine(config->classes) + " " + Twine(config->mlpRatio) + " " +
       Twine(seed))
          .str();
  flags.compile.inputHash =
      plan::hexadecimal(plan::hashBytes(arrayRefFromStringRef(identity)));
  mlir::Builder builder(module.getContext());
  module->setAttr("dit.model", builder.getStringAttr(config->name));
  return Error::success();
}

/// The tensors that --weights names: safetensors, or the parameters of an ONNX
/// file.
static Expected<std::vector<StoredTensor>> readWeights(StringRef path,
                                                       mlir::ModuleOp module) {
  if (!path.ends_with(".onnx"))
    return openWeights(path);
  Expected<std::unique_ptr<onnx::OnnxModel>> model =
      onnx::OnnxModel::open(path);
  if (!model)
    return model.takeError();
  mlir::OwningOpRef<mlir::ModuleOp> source =
      mlir::ModuleOp::create(module.getLoc());
  onnx::ImportOptions options;
  options.batch = 1;
  Expected<onnx::ModelInterface> interface =
      onnx::describe(**model, onnx::ImportOptions());
  if (!interface)
    return interface.takeError();
  if (std::optional<int64_t> fixed = staticBatch(*interface))
    options.batch = fixed;
  if (Error error =
          onnx::importModel(**model, options, *source, [](const Twine &) {}))
    return std::move(error);
  return collectWeights(*source);
}

/// --trainable and --freeze match the name of some parameter.
static Error checkPatterns(const TrainingOptions &training,
                           mlir::ModuleOp module) {
  for (const auto &[flag, pattern] :
       {std::pair<StringRef, StringRef>{"trainable", training.trainable},
        {"freeze", training.freeze}}) {
    if (pattern.empty())
      continue;
    Regex regex(pattern);
    std::string example;
    bool found = false;
    for (auto global : module.getOps<GlobalOp>())
      for (auto piece : global.getPieces().getAsRange<PieceAttr>())
        if (global.getRole() == Role::Parameter) {
          example = example.empty() ? piece.getName().str() : example;
          found |= regex.match(piece.getName());
        }
    if (!found)
      return failure(Exit::Contradiction,
                     "--" + flag + " '" + plan::escaped(pattern) +
                         "' matches no parameter of the model; they have names "
                         "such as " +
                         plan::escaped(example));
  }
  return Error::success();
}

/// What --prediction needs of the model: real times for a flow; in training the
/// noise for a variance.
static Error checkPrediction(const PipelineOptions &pipeline,
                             mlir::ModuleOp module) {
  auto model = module.lookupSymbol<mlir::func::FuncOp>("forward");
  if (pipeline.mode == Mode::Forward || pipeline.prediction == "eps" || !model)
    return Error::success();
  auto typeOf = [](mlir::TypeRange types, int64_t index) {
    return index >= 0 && index < static_cast<int64_t>(types.size())
               ? dyn_cast<mlir::RankedTensorType>(types[index])
               : mlir::RankedTensorType();
  };
  mlir::RankedTensorType time =
      typeOf(model.getArgumentTypes(), pipeline.timestep);
  if (pipeline.prediction == "flow" && time &&
      !isa<mlir::FloatType>(time.getElementType()))
    return failure(Exit::Contradiction,
                   "--prediction flow tells the model 1000 t, which is not "
                   "whole, but it takes whole timesteps: export it with a "
                   "timestep of float32");
  if (pipeline.mode != Mode::Train)
    return Error::success();
  mlir::RankedTensorType picture =
      typeOf(model.getArgumentTypes(), std::max<int64_t>(pipeline.picture, 0));
  mlir::RankedTensorType said = typeOf(model.getResultTypes(), 0);
  if (pipeline.learnedSigma == "auto" && picture && said &&
      picture.getRank() == 4 && said.getRank() == 4 &&
      said.getDimSize(1) == 2 * picture.getDimSize(1))
    return failure(
        Exit::Contradiction,
        "--prediction " + pipeline.prediction + ": the model gives " +
            Twine(said.getDimSize(1)) + " channels for " +
            Twine(picture.getDimSize(1)) +
            ", so it predicts a variance, which is trained with --prediction "
            "eps: --learned-sigma no trains the first " +
            Twine(picture.getDimSize(1)) +
            " alone, and of built-in models sigma=0 has no others");
  return Error::success();
}

Error dit::loadModel(Flags &flags, mlir::ModuleOp module) {
  bool builtIn = StringRef(flags.model).starts_with("dit:");
  if (Error error =
          builtIn ? loadBuiltIn(flags, module) : loadOnnx(flags, module))
    return error;
  if (Error error = checkPrediction(flags.compile.pipeline, module))
    return error;
  if (Error error = checkPatterns(flags.compile.pipeline.training, module))
    return error;
  if (flags.initSeed && !flags.weights.empty())
    return failure(Exit::Contradiction,
                   "--init draws the weights anew and --weights reads them: "
                   "leave one out");
  if (flags.initSeed && !builtIn)
    if (Error error = initialiseDit(module, *flags.initSeed))
      return error;
  if (!flags.weights.empty()) {
    Expected<std::vector<StoredTensor>> tensors =
        readWeights(flags.weights, module);
    if (!tensors)
      return tensors.takeError();
    if (Error error = applyWeights(module, *tensors))
      return error;
  }
  return Error::success();
}
