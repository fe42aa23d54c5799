//===- MatchBias.cpp - Biases of the type that libraries want -------------===//
#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/fusion/Passes.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_MATCHBIAS
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The global that `bias` is the value of, if it is the model's own and nobody
/// writes it: its values may be converted when the plan is written.
static dit::GlobalOp getConvertible(Value bias, SymbolTable &symbols,
                                    const llvm::DenseSet<StringAttr> &written) {
  auto read = bias.getDefiningOp<ReadOp>();
  if (!read || written.contains(read.getGlobalAttr().getAttr()))
    return {};
  auto global = symbols.lookup<dit::GlobalOp>(read.getGlobal());
  if (global.getFlat())
    return {}; // who writes the flat global writes the member
  bool isOwn =
      global.getRole() == Role::Parameter || global.getRole() == Role::Constant;
  return isOwn ? global : dit::GlobalOp();
}

/// The global with the values of `global` in the type `element`, made where
/// there is none.
static dit::GlobalOp getConverted(dit::GlobalOp global, Type element,
                                  SymbolTable &symbols) {
  std::string name;
  llvm::raw_string_ostream(name) << global.getSymName() << "." << element;
  if (auto known = symbols.lookup<dit::GlobalOp>(name))
    return known;
  OpBuilder builder(global.getContext());
  builder.setInsertionPointAfter(global);
  auto converted = cast<dit::GlobalOp>(builder.clone(*global));
  converted.setSymName(name);
  converted.setType(global.getTensorType().clone(element));
  symbols.insert(converted);
  return converted;
}

/// The member of training's low flat that holds `bias`, a member of the
/// masters, as `element`; made where there is none. The update writes both.
static dit::GlobalOp getLowCopy(Value bias, Type element,
                                SymbolTable &symbols) {
  auto read = bias.getDefiningOp<ReadOp>();
  auto training =
      symbols.getOp()->getAttrOfType<DictionaryAttr>("dit.training");
  if (!read || !training)
    return {};
  auto lookup = [&](StringRef flat) {
    auto name = training.getAs<StringAttr>(flat);
    return name ? symbols.lookup<dit::GlobalOp>(name) : dit::GlobalOp();
  };
  auto global = symbols.lookup<dit::GlobalOp>(read.getGlobal());
  dit::GlobalOp masters = lookup("masters"), weights = lookup("weights");
  if (!masters || !weights || global.getFlat() != masters.getSymName() ||
      weights.getTensorType().getElementType() != element)
    return {};
  std::string name =
      (global.getSymName() + (element.isBF16() ? ".bf16" : ".fp16")).str();
  if (auto known = symbols.lookup<dit::GlobalOp>(name))
    return known;
  OpBuilder builder(global->getContext());
  builder.setInsertionPointAfter(global);
  auto low = dit::GlobalOp::create(builder, global.getLoc(), name, Role::State,
                                   global.getTensorType().clone(element));
  low.placeWithin(weights, *global.getAt());
  symbols.insert(low);
  return low;
}

/// `bias` as `type`: what a GEMM before has made of it, else a cast.
static Value createConverted(OpBuilder &builder, Location loc, Value bias,
                             RankedTensorType type) {
  for (Operation *user : bias.getUsers())
    if (isa<arith::TruncFOp, arith::ExtFOp>(user) &&
        user->getResult(0).getType() == type &&
        user->getBlock() == builder.getInsertionBlock() &&
        user->isBeforeInBlock(&*builder.getInsertionPoint()))
      return user->getResult(0);
  if (getTensorType(bias).getElementTypeBitWidth() >
      type.getElementTypeBitWidth())
    return arith::TruncFOp::create(builder, loc, type, bias);
  return arith::ExtFOp::create(builder, loc, type, bias);
}

namespace {
struct MatchBias : dit::impl::MatchBiasBase<MatchBias> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::DenseSet<StringAttr> written;
    SmallVector<MatmulOp> matmuls;
    getOperation().walk([&](Operation *op) {
      if (auto write = dyn_cast<WriteOp>(op))
        written.insert(write.getGlobalAttr().getAttr());
      if (auto matmul = dyn_cast<MatmulOp>(op); matmul && matmul.getBias())
        matmuls.push_back(matmul);
    });
    for (MatmulOp matmul : matmuls) {
      Value bias = matmul.getBias();
      Type element = getTensorType(matmul.getResult()).getElementType();
      if (getTensorType(bias).getElementType() == element)
        continue;
      OpBuilder builder(matmul);
      Location loc = bias.getLoc();
      RankedTensorType type = getTensorType(bias).clone(element);
      dit::GlobalOp global = getLowCopy(bias, element, symbols);
      if (auto own = getConvertible(bias, symbols, written))
        global = getConverted(own, element, symbols);
      matmul.getBiasMutable().assign(
          global ? createRead(builder, loc, global)
                 : createConverted(builder, loc, bias, type));
      if (bias.use_empty())
        bias.getDefiningOp()->erase();
    }
  }
};
} // namespace
