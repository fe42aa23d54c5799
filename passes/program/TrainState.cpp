//===- TrainState.cpp - The flat globals of a train program ---------------===//
#include "passes/program/TrainState.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dit;

namespace {
/// A trainable parameter, where it lies in the flats, and how the model reads
/// it.
struct Place {
  GlobalOp global;
  int64_t at = 0;
  SmallVector<ReadOp, 1> reads;
};
} // namespace

/// The trainable parameters that `model` reads, in the order of their first
/// reads, placed one after the other; `end` is what all need.
static SmallVector<Place> placeParameters(func::FuncOp model, int64_t &end) {
  SymbolTable symbols(model->getParentOfType<ModuleOp>());
  llvm::MapVector<GlobalOp, Place> places;
  model.walk([&](ReadOp read) {
    auto global = symbols.lookup<GlobalOp>(read.getGlobal());
    if (!global.getTrainable())
      return;
    Place &place = places[global];
    place.global = global;
    place.reads.push_back(read);
  });
  SmallVector<Place> result;
  end = 0;
  for (auto &[global, place] : places) {
    place.at = end;
    end = llvm::alignTo(end + global.getTensorType().getNumElements(),
                        memberAlignment);
    result.push_back(std::move(place));
  }
  end = llvm::alignTo(end, flatRow);
  return result;
}

/// The type of the low copies, null where every parameter is fp32.
static FailureOr<Type> findLowType(ArrayRef<Place> places) {
  Type low;
  for (const Place &place : places) {
    GlobalOp global = place.global;
    Type element = global.getTensorType().getElementType();
    if (element.isF32())
      continue;
    if ((!element.isBF16() && !element.isF16()) || (low && low != element))
      return global.emitOpError("is trained, but its type is ")
             << element << ": parameters are fp32, or of the program's "
             << "precision";
    low = element;
  }
  return low;
}

FailureOr<TrainState> dit::createTrainState(StepBuilder &steps,
                                            func::FuncOp model) {
  TrainState state;
  SmallVector<Place> places = placeParameters(model, state.elements);
  if (places.empty())
    return model.emitOpError("reads no trainable parameter: there is nothing "
                             "to train");
  FailureOr<Type> low = findLowType(places);
  if (failed(low))
    return failure();

  auto addFlat = [&](StringRef name, Type element) {
    return steps.addGlobal(name, Role::State,
                           RankedTensorType::get({state.elements}, element));
  };
  Type f32 = steps.getBuilder().getF32Type();
  state.masters = addFlat("masters", f32);
  state.gradients = addFlat("gradients", f32);
  state.moment1 = addFlat("moment1", f32);
  state.moment2 = addFlat("moment2", f32);
  state.ema = addFlat("ema", f32);
  if (*low)
    state.weights = addFlat("weights", *low);

  for (Place &place : places) {
    GlobalOp global = place.global;
    std::string name = global.getSymName().str();
    auto addMember = [&](StringRef suffix, GlobalOp flat, Type element) {
      GlobalOp member = steps.addGlobal(name + "." + suffix.str(), Role::State,
                                        global.getTensorType().clone(element));
      member.placeWithin(flat, place.at);
      return member;
    };
    TrainedParameter parameter{global, global, {}, {}};
    Type element = global.getTensorType().getElementType();
    if (!element.isF32()) {
      parameter.read =
          addMember(element.isBF16() ? "bf16" : "fp16", state.weights, element);
      for (ReadOp read : place.reads)
        read.setGlobal(parameter.read.getSymName());
      global.setType(global.getTensorType().clone(f32));
    }
    global.placeWithin(state.masters, place.at);
    parameter.gradient = addMember("gradient", state.gradients, f32);
    parameter.average = addMember("ema", state.ema, f32);
    parameter.average.setPiecesAttr(global.getPiecesAttr());
    state.parameters.push_back(parameter);
  }
  return state;
}

SmallVector<FlatRange> dit::makeRanges(StepBuilder &steps,
                                       const TrainState &state) {
  SmallVector<FlatRange> ranges;
  auto addRange = [&](GlobalOp flat, int64_t at) {
    int64_t elements = std::min(flatRange, state.elements - at);
    if (!flat || elements == state.elements)
      return flat;
    std::string name =
        (flat.getSymName() + ".range" + Twine(ranges.size())).str();
    GlobalOp range =
        steps.addGlobal(name, Role::State,
                        RankedTensorType::get(
                            {elements}, flat.getTensorType().getElementType()));
    range.placeWithin(flat, at);
    return range;
  };
  for (int64_t at = 0; at < state.elements; at += flatRange)
    ranges.push_back({addRange(state.masters, at),
                      addRange(state.gradients, at),
                      addRange(state.moment1, at), addRange(state.moment2, at),
                      addRange(state.ema, at), addRange(state.weights, at)});
  return ranges;
}

const TrainedParameter *TrainState::find(ReadOp read) const {
  auto *found = llvm::find_if(parameters, [&](const TrainedParameter &other) {
    return GlobalOp(other.read).getSymName() == read.getGlobal();
  });
  return found == parameters.end() ? nullptr : found;
}
