//===- RaisePrecision.cpp - One float type, whatever the file's -----------===//
#include "passes/precision/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <cstring>

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_RAISEPRECISION
#include "passes/precision/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {
/// Which float types become fp32.
struct Raise {
  bool doubles; ///< fp64 too, because the weights are

  bool covers(Type element) const {
    return element.isF16() || element.isBF16() || (doubles && element.isF64());
  }
  /// `type`, a tensor, with fp32 elements where they are covered.
  Type operator()(Type type) const {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (tensor && covers(tensor.getElementType()))
      return tensor.clone(Float32Type::get(type.getContext()));
    return type;
  }
};
} // namespace

/// A truncf that only extfs use rounds on purpose.
static bool isRounding(arith::TruncFOp op) {
  return !op->use_empty() && llvm::all_of(op->getUsers(), [](Operation *user) {
    return isa<arith::ExtFOp>(user);
  });
}

static float toFloat(APFloat value) {
  bool losesInfo;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToFloat();
}

/// The values of `elements` as fp32; null where they are in an unknown form.
static ElementsAttr raiseElements(ElementsAttr elements) {
  auto type = cast<RankedTensorType>(elements.getType())
                  .clone(Float32Type::get(elements.getContext()));
  if (auto splat = dyn_cast<SplatElementsAttr>(elements))
    return SplatElementsAttr::get(type,
                                  toFloat(splat.getSplatValue<APFloat>()));
  SmallVector<float> values;
  values.reserve(type.getNumElements());
  if (auto dense = dyn_cast<DenseElementsAttr>(elements)) {
    for (const APFloat &value : dense.getValues<APFloat>())
      values.push_back(toFloat(value));
    return DenseElementsAttr::get(type, ArrayRef(values));
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(elements);
  const AsmResourceBlob *blob =
      resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob)
    return {};
  auto element = cast<FloatType>(elements.getElementType());
  size_t bytes = element.getWidth() / 8;
  ArrayRef<char> data = blob->getData();
  for (; data.size() >= bytes; data = data.drop_front(bytes)) {
    uint64_t bits = 0;
    std::memcpy(&bits, data.data(), bytes);
    values.push_back(toFloat(
        APFloat(element.getFloatSemantics(), APInt(element.getWidth(), bits))));
  }
  return DenseElementsAttr::get(type, ArrayRef(values));
}

/// The bits of a float have no meaning once it is computed in another type.
static LogicalResult refuseBitcasts(func::FuncOp function, Raise raise) {
  WalkResult walk = function.walk([&](arith::BitcastOp op) {
    if (raise(op.getIn().getType()) == op.getIn().getType() &&
        raise(op.getType()) == op.getType())
      return WalkResult::advance();
    op.emitOpError("looks at the bits of a float that is computed in fp32");
    return WalkResult::interrupt();
  });
  return failure(walk.wasInterrupted());
}

/// Gives the results of `op` their new types, and a constant its values.
static LogicalResult raiseOperation(Operation *op, Raise raise) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op);
      constant && raise(constant.getType()) != constant.getType()) {
    auto elements = dyn_cast<ElementsAttr>(constant.getValue());
    ElementsAttr raised = elements ? raiseElements(elements) : ElementsAttr();
    if (!raised)
      return op->emitOpError("has values in a form that cannot be converted");
    constant.setValueAttr(raised);
  }
  for (OpResult result : op->getResults())
    result.setType(raise(result.getType()));
  return success();
}

static LogicalResult raiseFunction(func::FuncOp function, Raise raise) {
  if (failed(refuseBitcasts(function, raise)))
    return failure();
  llvm::SmallPtrSet<Operation *, 8> roundings;
  function.walk([&](arith::TruncFOp op) {
    if (isRounding(op))
      roundings.insert(op);
  });
  for (BlockArgument argument : function.getArguments())
    argument.setType(raise(argument.getType()));
  WalkResult walk = function.walk([&](Operation *op) {
    if (op == function || roundings.contains(op))
      return WalkResult::advance();
    return WalkResult(raiseOperation(op, raise));
  });
  if (walk.wasInterrupted())
    return failure();

  function.walk([](Operation *op) {
    if (isa<arith::ExtFOp, arith::TruncFOp>(op) &&
        op->getOperand(0).getType() == op->getResult(0).getType()) {
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      op->erase();
    }
  });
  Operation *end = function.getBody().back().getTerminator();
  function.setType(FunctionType::get(function.getContext(),
                                     function.getBody().getArgumentTypes(),
                                     end->getOperandTypes()));
  return success();
}

namespace {
struct RaisePrecision : dit::impl::RaisePrecisionBase<RaisePrecision> {
  void runOnOperation() override {
    auto globals = getOperation().getOps<GlobalOp>();
    Raise raise{llvm::any_of(globals, [](GlobalOp global) {
      return global.getRole() == Role::Parameter &&
             global.getTensorType().getElementType().isF64();
    })};
    for (auto global : globals)
      global.setType(cast<RankedTensorType>(raise(global.getTensorType())));
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(raiseFunction(function, raise)))
        return signalPassFailure();
  }
};
} // namespace
