//===- ProgramTrain.cpp - Make the program that trains --------------------===//
//
// Checks what the model can and what the user wants; TrainProgram builds.
//
//===----------------------------------------------------------------------===//
#include "passes/program/Passes.h"
#include "passes/program/StepBuilder.h"
#include "passes/program/TrainProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_PROGRAMTRAIN
#include "passes/program/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Remarks how much is trained, and which of the model's tensors are not.
static void sayWhatIsTrained(func::FuncOp model) {
  SymbolTable symbols(model->getParentOfType<ModuleOp>());
  llvm::SetVector<GlobalOp> read;
  model.walk([&](ReadOp op) {
    read.insert(symbols.lookup<GlobalOp>(op.getGlobal()));
  });
  int64_t tensors = 0, values = 0;
  std::vector<std::string> others;
  for (GlobalOp global : read) {
    if (global.getRole() != Role::Parameter)
      continue;
    auto pieces = global.getPieces().getAsRange<PieceAttr>();
    if (global.getTrainable()) {
      tensors += llvm::range_size(pieces);
      values += global.getTensorType().getNumElements();
    } else {
      for (PieceAttr piece : pieces)
        others.push_back(piece.getName().str());
    }
  }
  // Names of a frozen model would fill the screen.
  constexpr size_t most = 8;
  InFlightDiagnostic remark = model.emitRemark("trains ")
                              << values << " values in " << tensors
                              << " tensors";
  if (others.empty())
    return;
  remark << "; not trained: "
         << llvm::join(ArrayRef(others).take_front(most), ", ");
  if (others.size() > most)
    remark << " and " << others.size() - most << " more";
}

namespace {
struct ProgramTrain : dit::impl::ProgramTrainBase<ProgramTrain> {
  using ProgramTrainBase::ProgramTrainBase;

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
      model.emitOpError("cannot be trained: ") << reason;
      return signalPassFailure();
    }
    TrainOptions options;
    if (failed(choose(model, *denoiser, options)))
      return signalPassFailure();
    sayWhatIsTrained(model);
    if (failed(buildTrainProgram(module, *denoiser, options, model)))
      return signalPassFailure();
    model.erase();
  }

  LogicalResult choose(func::FuncOp model, const Denoiser &denoiser,
                       TrainOptions &options);
  LogicalResult chooseLoss(func::FuncOp model, const Denoiser &denoiser,
                           TrainOptions &options);
  LogicalResult chooseTimes(func::FuncOp model, TrainOptions &options);
};
} // namespace

/// Which t are drawn, and how much each of them weighs.
LogicalResult ProgramTrain::chooseTimes(func::FuncOp model,
                                        TrainOptions &options) {
  if (!llvm::is_contained({"uniform", "logit-normal"}, timestepSampling))
    return model.emitOpError("timestep sampling must be uniform or "
                             "logit-normal, not '")
           << timestepSampling << "'";
  options.times.isLogitNormal = timestepSampling == "logit-normal";
  options.times.mean = logitMean;
  options.times.deviation = logitDeviation;
  if (minSnr > 0 && options.prediction == "flow")
    return model.emitOpError("is trained as a flow, which has no signal-to-"
                             "noise weights: timestep sampling logit-normal "
                             "does for flows what min-snr does for eps and v");
  options.minSnr = minSnr;
  return success();
}

LogicalResult ProgramTrain::chooseLoss(func::FuncOp model,
                                       const Denoiser &denoiser,
                                       TrainOptions &options) {
  FailureOr<bool> learned =
      chooseLearnedSigma(model, denoiser, learnedSigma.getValue());
  if (failed(learned))
    return failure();
  options.learnedSigma = *learned;
  if (failed(checkPrediction(model, prediction, schedule)))
    return failure();
  if (options.learnedSigma && prediction != "eps")
    return model.emitOpError("predicts its variance, whose loss needs "
                             "prediction eps, not ")
           << prediction << ": --learned-sigma no trains the first "
           << denoiser.channels << " of its " << 2 * denoiser.channels
           << " channels alone";
  auto time =
      cast<RankedTensorType>(model.getArgumentTypes()[denoiser.timestep]);
  if (prediction == "flow" && !isa<FloatType>(time.getElementType()))
    return model.emitOpError("takes whole timesteps (")
           << time.getElementType() << "), but a flow tells it "
           << timesteps.getValue()
           << " t, which is not whole: export it with a float timestep";
  options.prediction = prediction;
  options.schedule = schedule;
  return chooseTimes(model, options);
}

/// Options given, or guessed from the model; contradictions are errors.
LogicalResult ProgramTrain::choose(func::FuncOp model, const Denoiser &denoiser,
                                   TrainOptions &options) {
  if (failed(chooseLoss(model, denoiser, options)))
    return failure();
  for (unsigned index : {denoiser.timestep, denoiser.label}) {
    auto type = cast<RankedTensorType>(model.getArgumentTypes()[index]);
    if (type.getNumElements() != denoiser.batch)
      return model.emitOpError("argument ")
             << index << " is one number for all " << denoiser.batch
             << " samples, but training draws one for each";
  }
  FailureOr<int64_t> known = chooseClasses(model, denoiser, classes);
  if (failed(known))
    return failure();
  options.classes = *known;
  if (timesteps < 1)
    return model.emitOpError("needs one timestep or more, not ")
           << timesteps.getValue();
  options.timesteps = timesteps;
  auto precision = getOperation()->getAttrOfType<StringAttr>("dit.precision");
  options.scalesLoss = precision && precision == "fp16";
  options.defaults.beta1 = beta1;
  options.defaults.beta2 = beta2;
  options.defaults.epsilon = epsilon;
  options.defaults.weightDecay = weightDecay;
  options.defaults.clip = clip;
  options.defaults.emaDecay = emaDecay;
  return success();
}
