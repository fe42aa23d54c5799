//===- LowerPrecision.cpp - Low types for matmuls and attention -----------===//
//
// 1. Find the products: attention, and matmuls but those on the timestep's
// path.
// 2. Find the values that are needed in the low type alone: every use is an
//    operand of a product, or a view that is itself needed so.
// 3. Give them the type where they are made, and round the other operands of
//    products at their use. On request the other results of products are
//    rounded too, after their bias.
//
//===----------------------------------------------------------------------===//
#include "passes/precision/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_LOWERPRECISION
#include "passes/precision/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Moves elements without looking at them.
static bool isView(Operation *op) {
  return isa<BroadcastOp, TransposeOp, tensor::ExpandShapeOp,
             tensor::CollapseShapeOp, tensor::ExtractSliceOp, tensor::ConcatOp>(
      op);
}

static bool isFloat32(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getElementType().isF32();
}

namespace {
/// What a value depends on: which arguments, and a sine or cosine.
struct Dependence {
  llvm::SmallBitVector arguments;
  bool sinusoid = false;

  /// Of one argument, of one number a sample at most, through its sinusoid.
  bool isTimestep(func::FuncOp function) const {
    int index = arguments.find_first();
    if (!sinusoid || arguments.count() != 1)
      return false;
    auto type = dyn_cast<RankedTensorType>(function.getArgumentTypes()[index]);
    return type && type.getRank() <= 1;
  }
};

/// Lowers one function.
class Lowering {
public:
  Lowering(func::FuncOp function, FloatType low)
      : function(function), low(low), builder(function.getContext()) {}

  /// Steps 1 and 2; what `needsLow` says is valid after it.
  void analyse();
  bool needsLow(Value value) const { return lowValues.contains(value); }
  /// Step 3. `lowGlobals` are those that every read needs so.
  void rewrite(const llvm::DenseSet<StringAttr> &lowGlobals);
  /// Rounds what matmuls give to arithmetic, with `saved` to activations too;
  /// before step 3.
  void roundResults(bool saved);

private:
  void findProducts();
  bool isLowOperand(OpOperand &use) const;
  Type lowered(Type type) {
    return cast<RankedTensorType>(type).clone(Type(low));
  }
  Value round(Value value);
  void rewriteProduct(Operation *op);
  void rewriteResult(OpResult result,
                     const llvm::DenseSet<StringAttr> &lowGlobals);

  func::FuncOp function;
  FloatType low;
  OpBuilder builder;
  llvm::SmallPtrSet<Operation *, 32> products;
  llvm::DenseSet<Value> lowValues;
  llvm::DenseMap<Value, Value> rounded;
};
} // namespace

void Lowering::findProducts() {
  llvm::DenseMap<Value, Dependence> dependences;
  unsigned count = function.getNumArguments();
  for (BlockArgument argument : function.getArguments()) {
    Dependence &own = dependences[argument];
    own.arguments.resize(count);
    own.arguments.set(argument.getArgNumber());
  }
  for (Operation &op : function.getBody().front()) {
    Dependence all;
    all.arguments.resize(count);
    all.sinusoid = isa<math::SinOp, math::CosOp>(op);
    for (Value operand : op.getOperands()) {
      const Dependence &other = dependences[operand];
      all.arguments |= other.arguments;
      all.sinusoid |= other.sinusoid;
    }
    for (Value result : op.getResults())
      dependences[result] = all;
    if (isa<AttentionOp>(op)
            ? isFloat32(op.getOperand(0).getType())
            : isa<MatmulOp>(op) && isFloat32(op.getOperand(0).getType()) &&
                  !all.isTimestep(function))
      products.insert(&op);
  }
}

/// True where `use` is multiplied: lhs, rhs, query, key or value.
bool Lowering::isLowOperand(OpOperand &use) const {
  unsigned multiplied = isa<AttentionOp>(use.getOwner()) ? 3 : 2;
  return products.contains(use.getOwner()) &&
         use.getOperandNumber() < multiplied;
}

void Lowering::analyse() {
  findProducts();
  auto visit = [&](Value value) {
    if (!isFloat32(value.getType()) || value.use_empty())
      return;
    if (llvm::all_of(value.getUses(), [&](OpOperand &use) {
          return isLowOperand(use) || (isView(use.getOwner()) &&
                                       needsLow(use.getOwner()->getResult(0)));
        }))
      lowValues.insert(value);
  };
  for (Operation &op : llvm::reverse(function.getBody().front()))
    for (Value result : op.getResults())
      visit(result);
  for (Value argument : function.getArguments())
    visit(argument);
}

/// `value` rounded to the low type, once, right after it is made.
Value Lowering::round(Value value) {
  if (!isFloat32(value.getType()))
    return value;
  Value &known = rounded[value];
  if (known)
    return known;
  builder.setInsertionPointAfterValue(value);
  known = arith::TruncFOp::create(builder, value.getLoc(),
                                  lowered(value.getType()), value);
  return known;
}

void Lowering::rewriteProduct(Operation *op) {
  for (OpOperand &use : op->getOpOperands())
    if (isLowOperand(use))
      use.set(round(use.get()));
  auto attention = dyn_cast<AttentionOp>(op);
  if (!attention)
    return;
  // Attention gives its operands' type; who needs more gets it widened.
  Value result = attention.getResult();
  Type wide = result.getType();
  result.setType(lowered(wide));
  if (needsLow(result))
    return;
  builder.setInsertionPointAfter(op);
  auto widened = arith::ExtFOp::create(builder, op->getLoc(), wide, result);
  result.replaceAllUsesExcept(widened, widened);
}

/// Makes `result`, which is needed in the low type alone, of that type.
void Lowering::rewriteResult(OpResult result,
                             const llvm::DenseSet<StringAttr> &lowGlobals) {
  Operation *op = result.getOwner();
  if (isa<AttentionOp>(op))
    return;
  auto read = dyn_cast<ReadOp>(op);
  bool direct = products.contains(op) ||
                (read && lowGlobals.contains(read.getGlobalAttr().getAttr()));
  // A view of a rounded value; of a wide one it is rounded after it.
  if (isView(op) && llvm::any_of(op->getOperands(), [&](Value operand) {
        return !isFloat32(operand.getType());
      })) {
    for (OpOperand &use : op->getOpOperands())
      use.set(round(use.get()));
    direct = true;
  }
  if (direct) {
    result.setType(lowered(result.getType()));
    return;
  }
  Value low = round(result);
  result.replaceAllUsesExcept(low, low.getDefiningOp());
}

/// What a matmul gives once its bias is added; the result itself where no bias
/// is added to it alone.
static Value getBiased(MatmulOp matmul) {
  Value result = matmul.getResult();
  if (!result.hasOneUse())
    return result;
  auto add = dyn_cast<arith::AddFOp>(*result.user_begin());
  if (!add)
    return result;
  Value other = add.getLhs() == result ? add.getRhs() : add.getLhs();
  auto row = other.getDefiningOp<BroadcastOp>();
  return row && row.getDims().size() == 1 ? add.getResult() : result;
}

/// True where `value` goes to arithmetic and nowhere else: not out of the
/// function, and not to an activation, which a product applies to its sums,
/// unless that is `saved`, for the activation's gradient.
static bool goesToArithmetic(Value value, bool saved) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    if (isa<func::ReturnOp>(user) || (!saved && isa<GeluOp, SigmoidOp>(user)))
      return false;
    return !isView(user) || goesToArithmetic(user->getResult(0), saved);
  });
}

void Lowering::roundResults(bool saved) {
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    auto matmul = dyn_cast<MatmulOp>(op);
    if (!matmul || !products.contains(matmul))
      continue;
    Value value = getBiased(matmul);
    if (needsLow(value) || !goesToArithmetic(value, saved))
      continue;
    builder.setInsertionPointAfterValue(value);
    Value stored = arith::TruncFOp::create(builder, value.getLoc(),
                                           lowered(value.getType()), value);
    Value loaded =
        arith::ExtFOp::create(builder, value.getLoc(), value.getType(), stored);
    value.replaceAllUsesExcept(loaded, stored.getDefiningOp());
  }
}

void Lowering::rewrite(const llvm::DenseSet<StringAttr> &lowGlobals) {
  for (BlockArgument argument : function.getArguments())
    if (needsLow(argument)) {
      Value low = round(argument);
      argument.replaceAllUsesExcept(low, low.getDefiningOp());
    }
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    if (products.contains(&op))
      rewriteProduct(&op);
    for (OpResult result : op.getResults())
      if (needsLow(result))
        rewriteResult(result, lowGlobals);
  }
}

/// Stores the residual stream in the low type: what a norm over tokens reads
/// is the sum of the stream and a branch.
static void roundResiduals(func::FuncOp function, FloatType low) {
  llvm::SetVector<Value> sums;
  function.walk([&](Operation *op) {
    if (!isa<LayerNormOp, RmsNormOp>(op))
      return;
    Value input = op->getOperand(0);
    if (isFloat32(input.getType()) && input.getDefiningOp<arith::AddFOp>() &&
        cast<RankedTensorType>(input.getType()).getRank() >= 3)
      sums.insert(input);
  });
  OpBuilder builder(function.getContext());
  for (Value sum : sums) {
    builder.setInsertionPointAfterValue(sum);
    auto wide = cast<RankedTensorType>(sum.getType());
    Value stored = arith::TruncFOp::create(builder, sum.getLoc(),
                                           wide.clone(Type(low)), sum);
    Value loaded = arith::ExtFOp::create(builder, sum.getLoc(), wide, stored);
    sum.replaceAllUsesExcept(loaded, stored.getDefiningOp());
  }
}

/// Names of globals that every read of every function needs low.
static llvm::DenseSet<StringAttr> findLowGlobals(ModuleOp module,
                                                 ArrayRef<Lowering> lowerings) {
  llvm::DenseSet<StringAttr> found, refused;
  module.walk([&](ReadOp read) {
    bool low = llvm::any_of(lowerings, [&](const Lowering &lowering) {
      return lowering.needsLow(read.getResult());
    });
    (low ? found : refused).insert(read.getGlobalAttr().getAttr());
  });
  for (StringAttr name : refused)
    found.erase(name);
  return found;
}

namespace {
struct LowerPrecision : dit::impl::LowerPrecisionBase<LowerPrecision> {
  using LowerPrecisionBase::LowerPrecisionBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    Builder builder(module.getContext());
    if (!llvm::is_contained({"fp32", "bf16", "fp16"}, precision.getValue())) {
      module.emitOpError("precision must be fp32, bf16 or fp16, not '")
          << precision << "'";
      return signalPassFailure();
    }
    if (!llvm::is_contained({"fp32", "low"}, residual.getValue())) {
      module.emitOpError("residual must be fp32 or low, not '")
          << residual << "'";
      return signalPassFailure();
    }
    if (!llvm::is_contained({"fp32", "low", "saved"}, results.getValue())) {
      module.emitOpError("results must be fp32, low or saved, not '")
          << results << "'";
      return signalPassFailure();
    }
    module->setAttr("dit.precision", builder.getStringAttr(precision));
    if (precision == "fp32")
      return;
    FloatType low = precision == "bf16" ? FloatType(builder.getBF16Type())
                                        : FloatType(builder.getF16Type());
    std::vector<Lowering> lowerings;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (residual == "low")
        roundResiduals(function, low);
      lowerings.emplace_back(function, low).analyse();
    }
    llvm::DenseSet<StringAttr> lowGlobals = findLowGlobals(module, lowerings);
    for (Lowering &lowering : lowerings) {
      if (results != "fp32")
        lowering.roundResults(/*saved=*/results == "saved");
      lowering.rewrite(lowGlobals);
    }
    for (auto global : module.getOps<GlobalOp>())
      if (lowGlobals.contains(global.getSymNameAttr()))
        global.setType(global.getTensorType().clone(Type(low)));
  }
};
} // namespace
