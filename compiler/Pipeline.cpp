//===- Pipeline.cpp - The one list of passes ------------------------------===//
//
// The order of everything that happens between a frontend and the plan writer.
// Each phase ends with its verifier, so that a broken phase is named where it
// broke.
//
//===----------------------------------------------------------------------===//
#include "compiler/Pipeline.h"

#include "llvm/ADT/STLExtras.h"
#include "mlir/Transforms/Passes.h"
#include "passes/fusion/Passes.h"
#include "passes/lowering/Passes.h"
#include "passes/memory/Passes.h"
#include "passes/precision/Passes.h"
#include "passes/program/Passes.h"
#include "passes/simplify/Passes.h"

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

void dit::addPhase(OpPassManager &manager, Phase phase,
                   const PipelineOptions &options) {
  switch (phase) {
  case Phase::Import:
    return;
  case Phase::Simplify:
    return;
  case Phase::Precision:
    return;
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
    manager.addPass(createVerifyProgram());
    return;
  case Phase::Fusion:
    return;
  case Phase::Lowering:
    return;
  case Phase::Memory:
    return;
  }
}
