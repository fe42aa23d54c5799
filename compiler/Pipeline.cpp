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
#include "passes/simplify/Passes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

static constexpr std::pair<Phase, llvm::StringLiteral> phaseNames[] = {
    {Phase::Import, "import"},       {Phase::Simplify, "simplify"},
    {Phase::Precision, "precision"}, {Phase::Program, "program"},
    {Phase::Fusion, "fusion"},       {Phase::Lowering, "lowering"},
    {Phase::Memory, "memory"}};

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
static void addSimplify(OpPassManager &manager, bool report) {
  manager.addPass(createShareEqual({.report = report}));
  manager.addPass(createSimplifyArithmetic());
  manager.addPass(createCSEPass());
  manager.addPass(createRecognizeNorms({.report = report}));
  manager.addPass(createRecognizeActivations({.report = report}));
  manager.addPass(createRecognizeSoftmax({.report = report}));
  manager.addPass(createFoldLinear({.report = report}));
  manager.addPass(createNormalizeViews());
  manager.addPass(createCSEPass());
  manager.addPass(createRecognizeAttention({.report = report}));
  manager.addPass(createNormalizeViews());
  manager.addPass(createAbsorbLayouts({.report = report}));
  manager.addPass(createCSEPass());
  manager.addPass(createFuseProjections({.report = report}));
  // The model at two batches has fused each projection twice.
  manager.addPass(createShareEqual({.report = report}));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createRemoveDeadGlobals({.report = report}));
  manager.addPass(createVerifySimplified({.report = report}));
}

void dit::addPhase(OpPassManager &manager, Phase phase,
                   const PipelineOptions &options) {
  bool report = options.report;
  switch (phase) {
  case Phase::Import:
    return;
  case Phase::Simplify:
    addSimplify(manager, report);
    return;
  case Phase::Precision: {
    manager.addPass(createRaisePrecision());
    // On a GPU memory traffic decides; fp16 has no room for large sums.
    bool isCompact = options.isForGpu && options.precision == "bf16";
    std::string stored = isCompact ? "low" : "fp32";
    manager.addPass(createLowerPrecision({.precision = options.precision,
                                          .residual = stored,
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
      manager.addPass(createProgramSample(sample));
    } else {
      manager.addPass(createProgramForward());
    }
    manager.addPass(createCanonicalizerPass());
    manager.addPass(createCSEPass());
    manager.addPass(createVerifyProgram());
    return;
  case Phase::Fusion: {
    OpPassManager *functions = &manager.nest<func::FuncOp>();
    functions->addPass(createReduceAlongLane());
    functions->addPass(
        createFuseEpilogue({.report = report, .library = options.isForGpu}));
    if (options.isForGpu) {
      manager.addPass(createMatchBias());
      functions = &manager.nest<func::FuncOp>();
    }
    functions->addPass(createFormKernels({.report = report}));
    // GPU libraries have no gates, and no packed weights.
    if (!options.isForGpu)
      functions->addPass(createFuseGatedResidual({.report = report}));
    functions->addPass(createVerifyFused());
    return;
  }
  case Phase::Lowering:
    if (!options.isForGpu)
      manager.addPass(createPackWeights());
    manager.addPass(createMaterializeViews({.report = report}));
    manager.addPass(createLowerToPlan({.report = report}));
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
