//===- LoadModel.cpp - The frontend that a command line asks for ----------===//
#include "compiler/tools/ditc/LoadModel.h"

#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/Import.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"
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
    if (input.kind == onnx::InputKind::Picture && !input.dims.empty() &&
        input.dims.front().symbol.empty())
      return input.dims.front().size;
  return std::nullopt;
}

static Error loadOnnx(Flags &flags, mlir::ModuleOp module) {
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
  if (!flags.modeGiven)
    pipeline.mode =
        interface->isDenoiser() && flags.modelInputs.empty() ? Mode::Sample
        : flags.modelInputs.size() == 3                      ? Mode::Sample
                                                             : Mode::Forward;
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

Error dit::loadModel(Flags &flags, mlir::ModuleOp module) {
  if (StringRef(flags.model).starts_with("dit:"))
    return failure(Exit::Unsupported, "built-in models are not there yet");
  if (Error error = loadOnnx(flags, module))
    return error;
  mlir::Builder builder(module.getContext());
  module->setAttr("dit.precision",
                  builder.getStringAttr(flags.compile.pipeline.precision));
  return Error::success();
}
