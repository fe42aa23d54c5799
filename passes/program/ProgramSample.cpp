//===- ProgramSample.cpp - Make the program that samples pictures ---------===//
//
// Checks what the model can and what the user wants; SampleProgram builds.
//
//===----------------------------------------------------------------------===//
#include "passes/program/Passes.h"
#include "passes/program/SampleProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_PROGRAMSAMPLE
#include "passes/program/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
struct ProgramSample : dit::impl::ProgramSampleBase<ProgramSample> {
  using ProgramSampleBase::ProgramSampleBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    func::FuncOp model = findFunction(module, "forward");
    if (!model) {
      module.emitOpError("has no function @forward");
      return signalPassFailure();
    }
    std::string reason;
    DenoiserArguments named{picture, timestep, label};
    FailureOr<Denoiser> denoiser = recogniseDenoiser(model, named, reason);
    if (failed(denoiser)) {
      model.emitOpError("cannot be sampled: ") << reason;
      return signalPassFailure();
    }
    SampleOptions options;
    func::FuncOp single = findFunction(module, "forward_single");
    if (failed(choose(model, *denoiser, options)) ||
        failed(checkSingle(model, single, denoiser->batch)) ||
        failed(buildSampleProgram(module, *denoiser, options, model, single)))
      return signalPassFailure();
    model.erase();
    if (single)
      single.erase();
  }

  LogicalResult choose(func::FuncOp model, const Denoiser &denoiser,
                       SampleOptions &options);
  LogicalResult checkSingle(func::FuncOp model, func::FuncOp single,
                            int64_t batch);
};
} // namespace

/// Options given, or guessed from the model; contradictions are errors.
LogicalResult ProgramSample::choose(func::FuncOp model,
                                    const Denoiser &denoiser,
                                    SampleOptions &options) {
  if (denoiser.batch % 2)
    return model.emitOpError("has batch ")
           << denoiser.batch
           << ", but guidance needs an even one: the pictures, twice";
  FailureOr<int64_t> known = chooseClasses(model, denoiser, classes);
  if (failed(known))
    return failure();
  options.classes = *known;
  FailureOr<bool> learned =
      chooseLearnedSigma(model, denoiser, learnedSigma.getValue());
  if (failed(learned))
    return failure();
  options.learnedSigma = *learned;
  if (failed(checkPrediction(model, prediction, schedule)))
    return failure();
  options.prediction = prediction;
  options.schedule = schedule;
  if (guidedChannels < 0 || guidedChannels > denoiser.channels)
    return model.emitOpError("has ")
           << denoiser.channels << " channels; " << guidedChannels.getValue()
           << " of them cannot be guided";
  // The original DiT guides 3 of its 4 latent channels: published pictures
  // need it.
  bool original = options.learnedSigma && denoiser.channels == 4;
  options.guidedChannels =
      guidedChannels ? guidedChannels : (original ? 3 : denoiser.channels);
  if (maxSteps < 1)
    return model.emitOpError("needs tables of one row or more, not ")
           << maxSteps.getValue();
  options.maxSteps = maxSteps;
  options.keepModelOutput = keepModelOutput;
  if (hoistSteps >= 0)
    options.hoistSteps = hoistSteps;
  options.hoistRows = hoistRows;
  return success();
}

/// @forward_single must be @forward at half the batch.
LogicalResult ProgramSample::checkSingle(func::FuncOp model,
                                         func::FuncOp single, int64_t batch) {
  if (!single)
    return success();
  auto halved = [&](Type type) -> Type {
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getRank() == 0 || tensor.getDimSize(0) != batch)
      return type;
    SmallVector<int64_t> shape(tensor.getShape());
    shape[0] /= 2;
    return tensor.clone(shape);
  };
  auto matches = [&](TypeRange whole, TypeRange half) {
    return whole.size() == half.size() &&
           llvm::all_of(llvm::zip(whole, half), [&](auto pair) {
             return halved(std::get<0>(pair)) == std::get<1>(pair);
           });
  };
  if (matches(model.getArgumentTypes(), single.getArgumentTypes()) &&
      matches(model.getResultTypes(), single.getResultTypes()))
    return success();
  return single.emitOpError("must be @forward at half the batch, but is ")
         << single.getFunctionType() << " where @forward is "
         << model.getFunctionType();
}
