//===- TrainProgram.cpp - The step functions of training ------------------===//
//
// Names and types of the globals are those of `Training` in plan.proto; what
// the steps compute is in the description of dit-program-train.
//
//===----------------------------------------------------------------------===//
#include "passes/program/TrainProgram.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/program/Differentiate.h"
#include "passes/program/Loss.h"
#include "passes/program/UpdateStep.h"

using namespace mlir;
using namespace dit;

/// Random streams; runtime/diffusion/Philox.h lists all.
static constexpr int64_t timeStream = 2, noiseStream = 3, dropStream = 4;

namespace {
/// What a micro-batch does beyond forward and loss.
enum class Gradients { Write, Add, None };

/// What is drawn for a micro-batch, or given.
struct Draws {
  Value t;      ///< [B]: timesteps, i64; of a flow times in [0, 1], fp32
  Value noise;  ///< [B, C, H, W]
  Value labels; ///< [B] i64, some of them dropped
};

class TrainProgram {
public:
  TrainProgram(ModuleOp module, const Denoiser &denoiser,
               const TrainOptions &options)
      : module(module), denoiser(denoiser), options(options), steps(module),
        builder(steps.getBuilder()), loc(module.getLoc()) {}

  LogicalResult addGlobals(func::FuncOp model);
  void buildInit();
  LogicalResult buildMicroBatch(StringRef name, func::FuncOp model,
                                Gradients gradients);
  void buildUpdate() {
    buildUpdateStep(
        steps, state,
        {hyper, numbers, lossScale, goodSteps, applied, skipped, gradientNorm},
        options.scalesLoss);
  }
  void describe();

private:
  bool isFlow() const { return options.prediction == "flow"; }
  Value splat(Value like, double value) {
    return createSplat(builder, loc, getTensorType(like), value);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(builder, loc, condition, yes, no);
  }
  Value spread(Value value, ArrayRef<int64_t> shape) {
    return createNumpyBroadcast(builder, loc, value, shape);
  }
  Value draw(Distribution distribution, int64_t stream,
             ArrayRef<int64_t> shape);
  Draws drawAll(const TimeSampling &times);
  Value callModel(func::FuncOp model, Value x, const Draws &draws);
  LossInputs buildForward(func::FuncOp model, const Draws &draws);
  Losses buildLoss(func::FuncOp model, bool isEvaluation);
  DenseMap<GlobalOp, Value> mergeReads(func::FuncOp function);
  LogicalResult writeGradients(func::FuncOp step, Value loss, bool isFirst);
  void readAverages(func::FuncOp step);

  ModuleOp module;
  const Denoiser &denoiser;
  const TrainOptions &options;
  StepBuilder steps;
  OpBuilder &builder;
  Location loc;
  SmallVector<int64_t> pictureShape;
  TrainState state;
  GlobalOp pictures, labels, samples, seed, step, noise, givenT, useGiven, drop,
      diffusion, mse, vb, t, hyper, numbers, lossScale, goodSteps, applied,
      skipped, gradientNorm;
};
} // namespace

LogicalResult TrainProgram::addGlobals(func::FuncOp model) {
  FailureOr<TrainState> made = createTrainState(steps, model);
  if (failed(made))
    return failure();
  state = std::move(*made);
  int64_t batch = denoiser.batch;
  pictureShape = {batch, denoiser.channels, denoiser.height, denoiser.width};
  Type f32 = builder.getF32Type(), i64 = builder.getI64Type();
  auto make = [&](StringRef name, Role role, ArrayRef<int64_t> shape,
                  Type element) {
    return steps.addGlobal(name, role, RankedTensorType::get(shape, element));
  };
  pictures = make("pictures", Role::Input, pictureShape, f32);
  labels = make("labels", Role::Input, {batch}, i64);
  samples = make("samples", Role::Input, {batch}, i64);
  seed = make("seed", Role::Input, {1}, i64);
  step = make("step", Role::Input, {1}, i64);
  noise = make("noise", Role::Input, pictureShape, f32);
  Type time = isFlow() ? f32 : i64;
  givenT = make("given_t", Role::Input, {batch}, time);
  useGiven = make("use_given", Role::Input, {1}, i64);
  drop = make("drop", Role::Input, {1}, f32);
  if (!isFlow())
    diffusion = make("diffusion", Role::Table,
                     {options.timesteps, diffusionColumns}, f32);
  mse = make("mse", Role::Output, {batch}, f32);
  if (options.learnedSigma)
    vb = make("vb", Role::Output, {batch}, f32);
  t = make("t", Role::Output, {batch}, time);
  hyper = make("hyper", Role::Input, {hyperCount}, f32);
  numbers = make("update_numbers", Role::State, {updateNumberCount}, f32);
  lossScale = make("loss_scale", Role::State, {1}, f32);
  goodSteps = make("good_steps", Role::State, {1}, i64);
  applied = make("applied", Role::State, {1}, i64);
  skipped = make("skipped", Role::State, {1}, i64);
  gradientNorm = make("gradient_norm", Role::Output, {1}, f32);
  return success();
}

void TrainProgram::buildInit() {
  /// Where fp16's dynamic loss scale starts.
  constexpr double firstScale = 65536;
  steps.beginStep("train_init", "train_init");
  Value masters = steps.read(state.masters);
  steps.write(masters, state.ema);
  if (GlobalOp low = state.weights)
    steps.write(
        createCast(builder, loc, masters, low.getTensorType().getElementType()),
        low);
  auto fill = [&](GlobalOp global, double value) {
    steps.write(createSplat(builder, loc, global.getTensorType(), value),
                global);
  };
  fill(state.moment1, 0);
  fill(state.moment2, 0);
  fill(lossScale, options.scalesLoss ? firstScale : 1);
  fill(goodSteps, 0);
  fill(applied, 0);
  fill(skipped, 0);
}

Value TrainProgram::draw(Distribution distribution, int64_t stream,
                         ArrayRef<int64_t> shape) {
  return RandomOp::create(builder, loc,
                          RankedTensorType::get(shape, builder.getF32Type()),
                          distribution, stream, steps.read(seed),
                          steps.read(step), steps.read(samples));
}

/// t, noise and labels of each sample: as given, or drawn by its number.
Draws TrainProgram::drawAll(const TimeSampling &times) {
  int64_t batch = denoiser.batch;
  Value flag = steps.read(useGiven);
  Value isGiven = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne,
                                        flag, splat(flag, 0));
  Value isGivenEach = spread(isGiven, {batch});

  Value drawnT =
      createTimes(builder, loc, times, [&](Distribution distribution) {
        return draw(distribution, timeStream, {batch});
      });
  if (!isFlow())
    drawnT = createTimesteps(builder, loc, drawnT, options.timesteps);

  Value chance = draw(Distribution::Uniform, dropStream, {batch});
  Value isLow =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, chance,
                            spread(steps.read(drop), {batch}));
  Value label = steps.read(labels);
  Value dropped =
      select(isLow, splat(label, static_cast<double>(options.classes)), label);

  Draws draws;
  draws.t = select(isGivenEach, steps.read(givenT), drawnT);
  draws.noise = select(spread(isGiven, pictureShape), steps.read(noise),
                       draw(Distribution::Normal, noiseStream, pictureShape));
  draws.labels = select(isGivenEach, label, dropped);
  return draws;
}

Value TrainProgram::callModel(func::FuncOp model, Value x, const Draws &draws) {
  auto argumentType = [&](unsigned index) {
    return cast<RankedTensorType>(model.getArgumentTypes()[index]);
  };
  SmallVector<Value> arguments(model.getNumArguments());
  auto give = [&](unsigned index, Value value) {
    RankedTensorType type = argumentType(index);
    value = createReshape(builder, loc, value, type.getShape());
    arguments[index] = createCast(builder, loc, value, type.getElementType());
  };
  Value told = draws.t;
  if (isFlow())
    told = arith::MulFOp::create(
        builder, loc, told,
        splat(told, static_cast<double>(options.timesteps)));
  give(denoiser.picture, x);
  give(denoiser.timestep, told);
  give(denoiser.label, draws.labels);
  Value said = steps.inlineModel(model, arguments).front();
  return createCast(builder, loc, said, builder.getF32Type());
}

/// What the model says of x_t, and what it should say.
LossInputs TrainProgram::buildForward(func::FuncOp model, const Draws &draws) {
  Value x0 = steps.read(pictures), noise = draws.noise;
  LossInputs inputs;
  inputs.x0 = x0;
  inputs.t = draws.t;
  Value noisy;
  if (isFlow()) {
    noisy = createFlowPicture(builder, loc, draws.t, x0, noise);
    inputs.target = createFlowVelocity(builder, loc, x0, noise);
  } else {
    inputs.rows =
        createDiffusionRows(builder, loc, steps.read(diffusion), draws.t);
    noisy = createNoisyPicture(builder, loc, inputs.rows, x0, noise);
    inputs.target = options.prediction == "v"
                        ? createVelocity(builder, loc, inputs.rows, x0, noise)
                        : noise;
  }
  inputs.output = callModel(model, noisy, draws);
  if (denoiser.learnedSigma && !options.learnedSigma)
    inputs.output =
        createSlice(builder, loc, inputs.output, 1, 0, denoiser.channels);
  return inputs;
}

/// Forward and loss of a micro-batch; writes its parts and t. Evaluations draw
/// uniform times, so that their losses compare however a run draws.
Losses TrainProgram::buildLoss(func::FuncOp model, bool isEvaluation) {
  Draws draws = drawAll(isEvaluation ? TimeSampling() : options.times);
  LossInputs inputs = buildForward(model, draws);
  if (options.minSnr > 0)
    inputs.weight = createSnrWeights(builder, loc, inputs.rows, options.minSnr,
                                     options.prediction == "v");
  Losses losses = createLoss(builder, loc, inputs);
  steps.write(losses.mse, mse);
  if (vb)
    steps.write(losses.vb, vb);
  steps.write(draws.t, t);
  return losses;
}

/// The one read of each parameter in `function`, by its master: two would be
/// two values with a gradient each.
DenseMap<GlobalOp, Value> TrainProgram::mergeReads(func::FuncOp function) {
  DenseMap<GlobalOp, Value> reads;
  for (auto read : llvm::make_early_inc_range(function.getOps<ReadOp>())) {
    const TrainedParameter *parameter = state.find(read);
    if (!parameter)
      continue;
    Value &first = reads[parameter->master];
    if (first) {
      read.replaceAllUsesWith(first);
      read.erase();
    } else {
      first = read;
    }
  }
  return reads;
}

/// Writes the gradients of `loss`, or adds them to those that are there.
LogicalResult TrainProgram::writeGradients(func::FuncOp function, Value loss,
                                           bool isFirst) {
  DenseMap<GlobalOp, Value> reads = mergeReads(function);
  SmallVector<Value> wrt;
  SmallVector<GlobalOp> targets;
  for (const TrainedParameter &parameter : state.parameters)
    if (Value read = reads.lookup(parameter.master)) {
      wrt.push_back(read);
      targets.push_back(parameter.gradient);
    }
  Value seed;
  if (options.scalesLoss)
    seed = createReshape(builder, loc, steps.read(lossScale), {});
  FailureOr<SmallVector<Value>> gradients =
      differentiate(builder, loss, wrt, seed);
  if (failed(gradients))
    return failure();
  for (auto [target, gradient] : llvm::zip_equal(targets, *gradients)) {
    if (!gradient && isFirst)
      gradient = createSplat(builder, loc, GlobalOp(target).getTensorType(), 0);
    if (!gradient)
      continue;
    // Where it is made: at the end all of them would wait in memory.
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(gradient);
    if (!isFirst)
      gradient =
          arith::AddFOp::create(builder, loc, steps.read(target), gradient);
    steps.write(gradient, target);
  }
  return success();
}

/// Has `function` read the averages instead of the parameters.
void TrainProgram::readAverages(func::FuncOp function) {
  for (auto read : llvm::make_early_inc_range(function.getOps<ReadOp>())) {
    const TrainedParameter *parameter = state.find(read);
    if (!parameter)
      continue;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(read);
    Value average = steps.read(parameter->average);
    read.replaceAllUsesWith(createCast(builder, loc, average,
                                       getTensorType(read).getElementType()));
    read.erase();
  }
}

LogicalResult TrainProgram::buildMicroBatch(StringRef name, func::FuncOp model,
                                            Gradients gradients) {
  func::FuncOp function = steps.beginStep(name, name);
  Losses losses = buildLoss(model, gradients == Gradients::None);
  if (gradients == Gradients::None) {
    readAverages(function);
    for (auto stop :
         llvm::make_early_inc_range(function.getOps<StopGradientOp>())) {
      stop.replaceAllUsesWith(stop.getInput());
      stop.erase();
    }
    return success();
  }
  return writeGradients(function, losses.total, gradients == Gradients::Write);
}

void TrainProgram::describe() {
  SmallVector<NamedAttribute> fields;
  auto set = [&](StringRef name, Attribute value) {
    fields.push_back(builder.getNamedAttr(name, value));
  };
  auto integer = [&](int64_t value) {
    return builder.getI64IntegerAttr(value);
  };
  auto real = [&](double value) { return builder.getF64FloatAttr(value); };
  set("batch", integer(denoiser.batch));
  set("channels", integer(denoiser.channels));
  set("height", integer(denoiser.height));
  set("width", integer(denoiser.width));
  set("classes", integer(options.classes));
  set("learned_sigma", builder.getBoolAttr(options.learnedSigma));
  set("prediction", builder.getStringAttr(options.prediction));
  set("schedule", builder.getStringAttr(options.schedule));
  set("timesteps", integer(options.timesteps));
  set("timestep_sampling", builder.getStringAttr(describeTimes(options.times)));
  set("min_snr", real(options.minSnr));
  for (auto [name, global] :
       std::initializer_list<std::pair<StringRef, GlobalOp>>{
           {"pictures", pictures},
           {"labels", labels},
           {"samples", samples},
           {"seed", seed},
           {"step", step},
           {"noise", noise},
           {"given_t", givenT},
           {"use_given", useGiven},
           {"drop", drop},
           {"diffusion", diffusion},
           {"mse", mse},
           {"vb", vb},
           {"t", t},
           {"hyper", hyper},
           {"loss_scale", lossScale},
           {"good_steps", goodSteps},
           {"applied", applied},
           {"skipped", skipped},
           {"gradient_norm", gradientNorm},
           {"masters", state.masters},
           {"gradients", state.gradients},
           {"moment1", state.moment1},
           {"moment2", state.moment2},
           {"ema", state.ema},
           {"weights", state.weights}})
    set(name, builder.getStringAttr(global ? GlobalOp(global).getSymName()
                                           : StringRef()));
  const TrainDefaults &defaults = options.defaults;
  set("optimizer", builder.getStringAttr("adamw"));
  set("learning_rate", real(defaults.learningRate));
  set("beta1", real(defaults.beta1));
  set("beta2", real(defaults.beta2));
  set("epsilon", real(defaults.epsilon));
  set("weight_decay", real(defaults.weightDecay));
  set("clip", real(defaults.clip));
  set("ema_decay", real(defaults.emaDecay));
  set("label_dropout", real(defaults.labelDropout));
  module->setAttr("dit.mode", builder.getStringAttr("train"));
  module->setAttr("dit.training", builder.getDictionaryAttr(fields));
}

LogicalResult dit::buildTrainProgram(ModuleOp module, const Denoiser &denoiser,
                                     const TrainOptions &options,
                                     func::FuncOp model) {
  TrainProgram program(module, denoiser, options);
  if (failed(program.addGlobals(model)))
    return failure();
  program.buildInit();
  if (failed(program.buildMicroBatch("accumulate_first", model,
                                     Gradients::Write)) ||
      failed(program.buildMicroBatch("accumulate", model, Gradients::Add)) ||
      failed(program.buildMicroBatch("evaluate", model, Gradients::None)))
    return failure();
  program.buildUpdate();
  program.describe();
  return success();
}
