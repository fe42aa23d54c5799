//===- Pipeline.cpp - The one list of passes ------------------------------===//
//
// The order of everything that happens between a frontend and the plan writer.
// Each phase ends with its verifier, so that a broken phase is named where it
// broke.
//
//===----------------------------------------------------------------------===//
#include "compiler/Pipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"
#include "passes/fusion/Passes.h"
#include "passes/lowering/Passes.h"
#include "passes/memory/Passes.h"
#include "passes/precision/Passes.h"
#include "passes/program/Passes.h"
#include "passes/recompute/Passes.h"
#include "passes/simplify/Passes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

static constexpr std::pair<Phase, llvm::StringLiteral> phaseNames[] = {
    {Phase::Import, "import"},       {Phase::Simplify, "simplify"},
    {Phase::Precision, "precision"}, {Phase::Program, "program"},
    {Phase::Recompute, "recompute"}, {Phase::Fusion, "fusion"},
    {Phase::Lowering, "lowering"},   {Phase::Memory, "memory"}};

std::optional<Phase> dit::parsePhase(llvm::StringRef name) {
  for (auto [phase, spelling] : phaseNames)
    if (spelling == name)
      return phase;
  return std::nullopt;
}

llvm::StringRef dit::nameOf(Phase phase) {
  return phaseNames[static_cast<int>(phase)].second;
}

std::vector<Phase> dit::phasesUpTo(Phase last) {
  std::vector<Phase> phases;
  for (auto [phase, name] : phaseNames)
    if (phase != Phase::Import && phase <= last)
      phases.push_back(phase);
  return phases;
}

/// Exporters' spellings → what is meant. Formulas and linear layers first, as
/// the file has them; then views are normalised, which moves them through
/// arithmetic towards attention, and again after it, because attention brings
/// transposes that meet the exporter's own. CSE wherever values are compared.
/// Weights that will be trained stay apart, and are not looked at: values that
/// are equal or zero now may not stay so.
static void addSimplify(OpPassManager &manager,
                        const PipelineOptions &options) {
  bool report = options.report, training = options.mode == Mode::Train;
  if (training)
    manager.addPass(
        createChooseTrained({.trainable = options.training.trainable,
                             .freeze = options.training.freeze,
                             .report = report}));
  manager.addPass(createShareEqual({.training = training, .report = report}));
  manager.addPass(createSimplifyArithmetic({.training = training}));
  manager.addPass(createCSEPass());
  manager.addPass(createRecognizeNorms({.report = report}));
  manager.addPass(createRecognizeActivations({.report = report}));
  manager.addPass(createRecognizeSoftmax({.report = report}));
  manager.addPass(createFoldLinear({.report = report}));
  manager.addPass(createNormalizeViews());
  manager.addPass(createCSEPass());
  manager.addPass(createRecognizeAttention({.report = report}));
  manager.addPass(createNormalizeViews());
  manager.addPass(
      createAbsorbLayouts({.training = training, .report = report}));
  manager.addPass(createCSEPass());
  manager.addPass(createFuseProjections({.report = report}));
  // The model at two batches has fused each projection twice.
  if (!training)
    manager.addPass(createShareEqual({.report = report}));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createRemoveDeadGlobals({.report = report}));
  manager.addPass(createVerifySimplified({.report = report}));
}

/// Rows of a product from where on its arithmetic takes longer than reading its
/// weights: an H100 does 230 bf16 products in the time it reads two bytes, a
/// processor with AVX-512 about 16.
static constexpr int64_t gpuHoistRows = 256, cpuHoistRows = 32;

static void addProgramTrain(OpPassManager &manager,
                            const PipelineOptions &options) {
  const TrainingOptions &training = options.training;
  ProgramTrainOptions train;
  train.prediction = options.prediction;
  train.schedule = options.schedule;
  train.learnedSigma = options.learnedSigma;
  train.picture = options.picture;
  train.timestep = options.timestep;
  train.label = options.label;
  train.beta1 = training.beta1;
  train.beta2 = training.beta2;
  train.epsilon = training.epsilon;
  train.weightDecay = training.weightDecay;
  train.clip = training.clip;
  train.timestepSampling = training.timestepSampling;
  train.logitMean = training.logitMean;
  train.logitDeviation = training.logitDeviation;
  train.minSnr = training.minSnr;
  train.emaDecay = training.emaDecay;
  manager.addPass(createProgramTrain(train));
}

/// What the gradient reads is kept, or made again for it.
static void addRecompute(OpPassManager &manager,
                         const TrainingOptions &training) {
  manager.nest<func::FuncOp>().addPass(createRecomputeNorms());
  manager.addPass(createCSEPass());
  if (training.recompute != "none")
    manager.addPass(createRecomputeActivations(
        {.what = training.recompute, .bytes = training.recomputeBytes}));
}

void dit::addPhase(OpPassManager &manager, Phase phase,
                   const PipelineOptions &options) {
  bool report = options.report;
  switch (phase) {
  case Phase::Import:
    return;
  case Phase::Simplify:
    addSimplify(manager, options);
    return;
  case Phase::Precision: {
    manager.addPass(createRaisePrecision());
    // On a GPU memory traffic decides; fp16 has no room for large sums.
    bool isCompact = options.isForGpu && options.precision == "bf16";
    std::string stored = isCompact ? "low" : "fp32", stream = stored;
    // Training adds small changes to the stream: fp32 unless asked otherwise.
    // What activations read lies in memory until their gradient.
    if (options.mode == Mode::Train) {
      stream = options.training.lowResidual ? "low" : "fp32";
      stored = isCompact ? "saved" : "fp32";
    }
    manager.addPass(createLowerPrecision({.precision = options.precision,
                                          .residual = stream,
                                          .results = stored}));
    manager.addPass(createCSEPass());
    manager.addPass(createVerifyPrecision());
    return;
  }
  case Phase::Program:
    if (options.mode == Mode::Sample) {
      ProgramSampleOptions sample;
      sample.prediction = options.prediction;
      sample.schedule = options.schedule;
      sample.learnedSigma = options.learnedSigma;
      sample.picture = options.picture;
      sample.timestep = options.timestep;
      sample.label = options.label;
      sample.hoistSteps = options.hoistSteps;
      sample.hoistRows = options.isForGpu ? gpuHoistRows : cpuHoistRows;
      manager.addPass(createProgramSample(sample));
    } else if (options.mode == Mode::Train) {
      addProgramTrain(manager, options);
    } else {
      manager.addPass(createProgramForward());
    }
    manager.addPass(createCanonicalizerPass());
    manager.addPass(createCSEPass());
    manager.addPass(createVerifyProgram());
    return;
  case Phase::Recompute:
    if (options.mode == Mode::Train)
      addRecompute(manager, options.training);
    return;
  case Phase::Fusion: {
    OpPassManager *functions = &manager.nest<func::FuncOp>();
    if (options.isForGpu)
      functions->addPass(createExpandAttentionGrad());
    if (options.mode == Mode::Train) {
      functions->addPass(createExpandScatterAdd());
      functions->addPass(createCSEPass());
    }
    if (options.isForGpu && options.mode == Mode::Train)
      functions->addPass(createFuseTrainingEpilogue({.report = report}));
    functions->addPass(createSplitReductions());
    functions->addPass(
        createFuseEpilogue({.report = report, .library = options.isForGpu}));
    if (options.isForGpu) {
      manager.addPass(createMatchBias());
      functions = &manager.nest<func::FuncOp>();
    }
    functions->addPass(
        createFormKernels({.report = report, .repeatFlops = options.isForGpu}));
    functions->addPass(createHoistReductions());
    // GPU libraries have no gates; what training sums is for them.
    if (!options.isForGpu || options.mode == Mode::Train)
      functions->addPass(createFuseGatedResidual(
          {.report = report, .library = options.isForGpu}));
    functions->addPass(createVerifyFused());
    return;
  }
  case Phase::Lowering:
    // GPU libraries have no packed weights.
    if (!options.isForGpu)
      manager.addPass(createPackWeights());
    manager.addPass(createMaterializeViews({.report = report}));
    manager.addPass(createLowerToPlan({.report = report}));
    if (options.isForSm90)
      manager.addPass(createChooseAttention({.report = report}));
    if (options.isForGpu)
      manager.addPass(createAddWorkspaces());
    manager.addPass(
        createPlaceGlobals({.externalWeights = options.externalWeights}));
    manager.addPass(createVerifyLowering());
    return;
  case Phase::Memory:
    manager.addPass(createAssignOffsets({.report = report}));
    manager.addPass(createVerifyMemory());
    return;
  }
}
