//===- SampleProgram.cpp - The step functions of sampling -----------------===//
//
// Names and types of the globals are those of `Sampling` in plan.proto; what
// the steps compute is in the description of dit-program-sample.
//
//===----------------------------------------------------------------------===//
#include "passes/program/SampleProgram.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/program/SamplePrologue.h"

using namespace mlir;
using namespace dit;

/// Random streams: runtime/diffusion draws the same numbers in its reference.
static constexpr int64_t initialNoiseStream = 0, stepNoiseStream = 1;
/// Columns of a row of the coefficients.
static constexpr int64_t coefficientColumns = 8;

namespace {
class SampleProgram {
public:
  SampleProgram(ModuleOp module, const Denoiser &denoiser,
                const SampleOptions &options)
      : module(module), denoiser(denoiser), options(options), steps(module),
        builder(steps.getBuilder()), loc(module.getLoc()) {}

  void addGlobals(func::FuncOp model);
  void buildInit();
  LogicalResult buildPrologue(func::FuncOp model, func::FuncOp single);
  void buildStep(StringRef name, func::FuncOp model, bool doubled);
  void describe();

private:
  RankedTensorType type(ArrayRef<int64_t> shape, Type element) {
    return RankedTensorType::get(shape, element);
  }
  Value splat(double value, RankedTensorType tensor) {
    return createSplat(builder, loc, tensor, value);
  }
  /// A one-element tensor repeated to the picture's shape.
  Value spread(Value value) {
    return createNumpyBroadcast(builder, loc, value, pictureShape);
  }
  Value mul(Value a, Value b) {
    return arith::MulFOp::create(builder, loc, a, b);
  }
  Value add(Value a, Value b) {
    return arith::AddFOp::create(builder, loc, a, b);
  }
  Value sub(Value a, Value b) {
    return arith::SubFOp::create(builder, loc, a, b);
  }
  Value twice(Value first, Value second) {
    return tensor::ConcatOp::create(builder, loc, 0, ValueRange{first, second});
  }
  Value drawNoise(int64_t stream, Value step);
  Value callModel(func::FuncOp model, Value latent, Value step, bool doubled);
  Value guide(Value conditional, Value unconditional);
  Value update(Value latent, Value prediction, Value variance, Value step);

  ModuleOp module;
  const Denoiser &denoiser;
  const SampleOptions &options;
  StepBuilder steps;
  OpBuilder &builder;
  Location loc;
  int64_t pictures = 0;
  SmallVector<int64_t> pictureShape;
  GlobalOp latent, labels, pictureNumbers, seed, step, timesteps, coefficients,
      guidance, noise, useNoise, modelOutput;
  std::optional<SamplePrologue> prologue;
};
} // namespace

void SampleProgram::addGlobals(func::FuncOp model) {
  pictures = denoiser.batch / 2;
  pictureShape = {pictures, denoiser.channels, denoiser.height, denoiser.width};
  Type f32 = builder.getF32Type(), i64 = builder.getI64Type();
  Type told =
      cast<RankedTensorType>(model.getArgumentTypes()[denoiser.timestep])
          .getElementType();

  latent = steps.addGlobal("latent", Role::State, type(pictureShape, f32));
  labels = steps.addGlobal("labels", Role::Input, type({pictures}, i64));
  pictureNumbers =
      steps.addGlobal("pictures", Role::Input, type({pictures}, i64));
  seed = steps.addGlobal("seed", Role::Input, type({1}, i64));
  step = steps.addGlobal("step", Role::State, type({1}, i64));
  timesteps =
      steps.addGlobal("timesteps", Role::Table, type({options.maxSteps}, told));
  coefficients =
      steps.addGlobal("coefficients", Role::Table,
                      type({options.maxSteps, coefficientColumns}, f32));
  guidance =
      steps.addGlobal("guidance", Role::Input, type({denoiser.channels}, f32));
  noise = steps.addGlobal("noise", Role::Input, type(pictureShape, f32));
  useNoise = steps.addGlobal("use_noise", Role::Input, type({1}, i64));
  if (options.keepModelOutput)
    modelOutput =
        steps.addGlobal("model_output", Role::Output,
                        cast<RankedTensorType>(model.getResultTypes()[0]));
}

/// The given noise where the host gave some, else numbers of `stream`.
Value SampleProgram::drawNoise(int64_t stream, Value at) {
  Value drawn =
      RandomOp::create(builder, loc, type(pictureShape, builder.getF32Type()),
                       Distribution::Normal, stream, steps.read(seed), at,
                       steps.read(pictureNumbers));
  Value flag = steps.read(useNoise);
  Value given =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, flag,
                            splat(0, cast<RankedTensorType>(flag.getType())));
  return arith::SelectOp::create(builder, loc, spread(given), steps.read(noise),
                                 drawn);
}

void SampleProgram::buildInit() {
  steps.beginStep("sample_init", "sample_init");
  RankedTensorType counter = step.getTensorType();
  steps.write(drawNoise(initialNoiseStream, splat(-1, counter)), latent);
  steps.write(splat(0, counter), step);
}

LogicalResult SampleProgram::buildPrologue(func::FuncOp model,
                                           func::FuncOp single) {
  prologue.emplace(
      steps, denoiser,
      SamplePrologue::Inputs{step, timesteps, labels, options.classes}, model,
      single);
  int64_t count =
      options.hoistSteps.value_or(prologue->chooseSteps(options.hoistRows));
  if (count == 0)
    return success();
  if (!prologue->isPossible())
    return model.emitOpError("has no matrix product that depends on timestep "
                             "and label alone: there is nothing to compute ")
           << count << " steps ahead";
  prologue->build(count);
  return success();
}

/// What the model says of `x` at table row `at`, in fp32: of [x, x] with
/// [labels, no label] if `doubled`.
Value SampleProgram::callModel(func::FuncOp model, Value x, Value at,
                               bool doubled) {
  auto argumentType = [&](unsigned index) {
    return cast<RankedTensorType>(model.getArgumentTypes()[index]);
  };
  Value label = steps.read(labels);
  if (doubled) {
    x = twice(x, x);
    label = twice(label, splat(static_cast<double>(options.classes),
                               labels.getTensorType()));
  }
  Value told =
      GatherOp::create(builder, loc, steps.read(timesteps), at).getResult();

  RankedTensorType timeType = argumentType(denoiser.timestep);
  SmallVector<Value> arguments(model.getNumArguments());
  arguments[denoiser.timestep] =
      timeType.getRank() == 0
          ? createReshape(builder, loc, told, {})
          : createNumpyBroadcast(builder, loc, told, timeType.getShape());
  arguments[denoiser.picture] = createCast(
      builder, loc, x, argumentType(denoiser.picture).getElementType());
  RankedTensorType labelType = argumentType(denoiser.label);
  arguments[denoiser.label] =
      createCast(builder, loc, label, labelType.getElementType());
  Value said =
      steps.inlineModel(model, arguments, prologue->restore(model, at)).front();
  return createCast(builder, loc, said, builder.getF32Type());
}

/// Classifier-free guidance, channel by channel. Written from the conditional
/// value, so that a guidance of 1 leaves it as it is, to the bit.
Value SampleProgram::guide(Value conditional, Value unconditional) {
  Value scale = steps.read(guidance);
  Value excess = sub(scale, splat(1, guidance.getTensorType()));
  Value spreadExcess =
      createBroadcast(builder, loc, excess, pictureShape, /*dims=*/{1});
  return add(conditional, mul(spreadExcess, sub(conditional, unconditional)));
}

/// The next latent. `variance` is the model's v, null without learned sigma.
Value SampleProgram::update(Value x, Value prediction, Value variance,
                            Value at) {
  Value row = GatherOp::create(builder, loc, steps.read(coefficients), at);
  auto column = [&](int64_t index) {
    return spread(createSlice(builder, loc, row, 1, index, 1));
  };
  Value sigma = column(2);
  if (variance) {
    RankedTensorType picture = getTensorType(variance);
    Value half = splat(0.5, picture), one = splat(1, picture);
    Value fraction = mul(add(variance, one), half);
    Value logVariance =
        add(mul(fraction, column(5)), mul(sub(one, fraction), column(4)));
    Value learned = math::ExpOp::create(builder, loc, mul(half, logVariance));
    sigma = add(sigma, mul(column(3), learned));
  }
  Value mean = add(mul(column(0), x), mul(column(1), prediction));
  return add(mean, mul(sigma, drawNoise(stepNoiseStream, at)));
}

void SampleProgram::buildStep(StringRef name, func::FuncOp model,
                              bool doubled) {
  steps.beginStep(name, name);
  Value x = steps.read(latent), at = steps.read(step);
  Value said = callModel(model, x, at, doubled);
  if (modelOutput) {
    Value kept = doubled ? said : twice(said, said);
    steps.write(createCast(builder, loc, kept,
                           modelOutput.getTensorType().getElementType()),
                modelOutput);
  }

  int64_t channels = denoiser.channels;
  Value conditional =
      doubled ? createSlice(builder, loc, said, 0, 0, pictures) : said;
  Value prediction = conditional, variance;
  if (denoiser.learnedSigma) {
    prediction = createSlice(builder, loc, conditional, 1, 0, channels);
    if (options.learnedSigma)
      variance = createSlice(builder, loc, conditional, 1, channels, channels);
  }
  if (doubled) {
    Value unconditional =
        createSlice(builder, loc, said, 0, pictures, pictures);
    if (denoiser.learnedSigma)
      unconditional = createSlice(builder, loc, unconditional, 1, 0, channels);
    prediction = guide(prediction, unconditional);
  }
  steps.write(update(x, prediction, variance, at), latent);
  steps.write(
      arith::AddIOp::create(builder, loc, at, splat(1, step.getTensorType())),
      step);
}

void SampleProgram::describe() {
  SmallVector<NamedAttribute> fields;
  auto number = [&](StringRef name, int64_t value) {
    fields.push_back(
        builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
  };
  auto string = [&](StringRef name, StringRef value) {
    fields.push_back(builder.getNamedAttr(name, builder.getStringAttr(value)));
  };
  number("batch", pictures);
  number("channels", denoiser.channels);
  number("height", denoiser.height);
  number("width", denoiser.width);
  number("classes", options.classes);
  fields.push_back(builder.getNamedAttr(
      "learned_sigma", builder.getBoolAttr(options.learnedSigma)));
  string("prediction", options.prediction);
  string("schedule", options.schedule);
  number("max_steps", options.maxSteps);
  number("default_cfg_channels", options.guidedChannels);
  number("hoist_steps", prologue->getSteps());
  for (auto [name, global] :
       std::initializer_list<std::pair<StringRef, GlobalOp>>{
           {"latent", latent},
           {"labels", labels},
           {"pictures", pictureNumbers},
           {"seed", seed},
           {"step", step},
           {"timesteps", timesteps},
           {"coefficients", coefficients},
           {"guidance", guidance},
           {"noise", noise},
           {"use_noise", useNoise}})
    string(name, GlobalOp(global).getSymName());
  string("model_output", modelOutput ? modelOutput.getSymName() : "");
  module->setAttr("dit.mode", builder.getStringAttr("sample"));
  module->setAttr("dit.sampling", builder.getDictionaryAttr(fields));
}

LogicalResult dit::buildSampleProgram(ModuleOp module, const Denoiser &denoiser,
                                      const SampleOptions &options,
                                      func::FuncOp model, func::FuncOp single) {
  SampleProgram program(module, denoiser, options);
  program.addGlobals(model);
  program.buildInit();
  if (failed(program.buildPrologue(model, single)))
    return failure();
  program.buildStep("sample_step", model, /*doubled=*/true);
  if (single)
    program.buildStep("sample_step_single", single, /*doubled=*/false);
  program.describe();
  return success();
}
