//===- Denoiser.cpp - Which model can be sampled --------------------------===//
#include "passes/program/Denoiser.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace dit;

static StringRef argumentName(func::FuncOp model, unsigned index) {
  auto names = model->getAttrOfType<ArrayAttr>("dit.inputs");
  if (!names || index >= names.size())
    return {};
  auto name = dyn_cast<StringAttr>(names[index]);
  return name ? name.getValue() : StringRef();
}

/// True for one number a sample, or one for all.
static bool isPerSample(RankedTensorType type, int64_t batch) {
  return type.getRank() == 0 ||
         (type.getRank() == 1 &&
          (type.getDimSize(0) == batch || type.getDimSize(0) == 1));
}

/// Rows less one of the table that `labels` look up, through casts and
/// reshapes; 0 where there is none.
static int64_t countClasses(Value labels) {
  SmallVector<Value> pending{labels};
  while (!pending.empty()) {
    for (Operation *user : pending.pop_back_val().getUsers()) {
      if (auto gather = dyn_cast<GatherOp>(user))
        return cast<RankedTensorType>(gather.getTable().getType())
                   .getDimSize(0) -
               1;
      if (isa<arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp,
              tensor::ExpandShapeOp, tensor::CollapseShapeOp>(user))
        pending.push_back(user->getResult(0));
    }
  }
  return 0;
}

namespace {
/// Fills the three roles one after the other.
struct Recogniser {
  func::FuncOp model;
  std::string &reason;
  Denoiser found;
  SmallVector<bool> taken;

  RankedTensorType type(unsigned index) {
    return dyn_cast<RankedTensorType>(model.getArgumentTypes()[index]);
  }
  LogicalResult fail(const Twine &why) {
    reason = why.str();
    return failure();
  }
  LogicalResult take(int64_t index, unsigned &role) {
    if (index >= model.getNumArguments() || taken[index])
      return fail("argument " + Twine(index) +
                  " does not exist or has another role already");
    role = static_cast<unsigned>(index);
    taken[role] = true;
    return success();
  }
  LogicalResult findPicture(int64_t named);
  LogicalResult findByName(int64_t named, StringRef role,
                           function_ref<bool(StringRef)> matches,
                           unsigned &result);
  LogicalResult checkResult();
};
} // namespace

LogicalResult Recogniser::findPicture(int64_t named) {
  for (unsigned index = 0; named < 0 && index < model.getNumArguments();
       ++index)
    if (type(index) && type(index).getRank() == 4 &&
        isa<FloatType>(type(index).getElementType()))
      named = index;
  if (named < 0)
    return fail("no argument is a picture [batch, channels, height, width]");
  if (failed(take(named, found.picture)))
    return failure();
  RankedTensorType picture = type(found.picture);
  if (!picture || picture.getRank() != 4)
    return fail("argument " + Twine(named) + " is not a picture of rank 4");
  found.batch = picture.getDimSize(0);
  found.channels = picture.getDimSize(1);
  found.height = picture.getDimSize(2);
  found.width = picture.getDimSize(3);
  return success();
}

LogicalResult Recogniser::findByName(int64_t named, StringRef role,
                                     function_ref<bool(StringRef)> matches,
                                     unsigned &result) {
  for (unsigned index = 0; named < 0 && index < model.getNumArguments();
       ++index)
    if (!taken[index] && matches(argumentName(model, index)))
      named = index;
  if (named < 0)
    return fail("no argument is named like a " + role +
                "; what is conditioned on text or pictures can only be run "
                "forward");
  if (failed(take(named, result)))
    return failure();
  if (!type(result) || !isPerSample(type(result), found.batch))
    return fail("argument " + Twine(named) + ", the " + role +
                ", must be one number a sample");
  return success();
}

LogicalResult Recogniser::checkResult() {
  for (unsigned index = 0; index < model.getNumArguments(); ++index)
    if (!taken[index])
      return fail("argument '" + argumentName(model, index) +
                  "' has no meaning to the sampler, which knows a picture, a "
                  "timestep and a class label");
  RankedTensorType picture = type(found.picture), result;
  if (model.getNumResults() == 1)
    result = dyn_cast<RankedTensorType>(model.getResultTypes()[0]);
  if (!result || result.getRank() != 4 || result.getDimSize(0) != found.batch ||
      result.getShape().drop_front(2) != picture.getShape().drop_front(2) ||
      (result.getDimSize(1) != found.channels &&
       result.getDimSize(1) != 2 * found.channels))
    return fail(
        "the model must have one result, like the picture or with twice "
        "its channels");
  found.learnedSigma = result.getDimSize(1) == 2 * found.channels;
  if (!type(found.label).getElementType().isInteger())
    return fail("the class label must be an integer");
  found.classes = countClasses(model.getArgument(found.label));
  return success();
}

FailureOr<Denoiser> dit::recogniseDenoiser(func::FuncOp model,
                                           DenoiserArguments named,
                                           std::string &reason) {
  Recogniser recogniser{
      model, reason, {}, SmallVector<bool>(model.getNumArguments(), false)};
  auto isTime = [](StringRef name) {
    return name == "t" || name.contains_insensitive("time");
  };
  auto isLabel = [](StringRef name) {
    return name == "y" || name.contains_insensitive("label") ||
           name.contains_insensitive("class");
  };
  if (failed(recogniser.findPicture(named.picture)) ||
      failed(recogniser.findByName(named.timestep, "timestep", isTime,
                                   recogniser.found.timestep)) ||
      failed(recogniser.findByName(named.label, "class label", isLabel,
                                   recogniser.found.label)) ||
      failed(recogniser.checkResult()))
    return failure();
  return recogniser.found;
}

FailureOr<int64_t> dit::chooseClasses(func::FuncOp model,
                                      const Denoiser &denoiser, int64_t given) {
  int64_t classes = given ? given : denoiser.classes;
  if (classes <= 0)
    return model.emitOpError("looks its labels up in no table; give the "
                             "number of classes");
  if (denoiser.classes && classes > denoiser.classes)
    return model.emitOpError("has a label table of ")
           << denoiser.classes + 1 << " rows, too few for " << classes
           << " classes and the row that means no label";
  return classes;
}

FailureOr<bool> dit::chooseLearnedSigma(func::FuncOp model,
                                        const Denoiser &denoiser,
                                        StringRef wanted) {
  if (!llvm::is_contained({"auto", "yes", "no"}, wanted))
    return model.emitOpError("learned sigma must be auto, yes or no, not '")
           << wanted << "'";
  if (wanted == "yes" && !denoiser.learnedSigma)
    return model.emitOpError("gives ")
           << denoiser.channels << " channels; learned sigma needs "
           << 2 * denoiser.channels;
  return denoiser.learnedSigma && wanted != "no";
}

LogicalResult dit::checkPrediction(func::FuncOp model, StringRef prediction,
                                   StringRef schedule) {
  if (!llvm::is_contained({"eps", "v", "flow"}, prediction))
    return model.emitOpError("prediction must be eps, v or flow, not '")
           << prediction << "'";
  if (!llvm::is_contained({"ddpm-linear", "flow"}, schedule))
    return model.emitOpError("schedule must be ddpm-linear or flow, not '")
           << schedule << "'";
  if ((prediction == "flow") != (schedule == "flow"))
    return model.emitOpError("prediction ")
           << prediction << " does not go with schedule " << schedule
           << ": a flow's velocity is told for the flow schedule alone";
  return success();
}
