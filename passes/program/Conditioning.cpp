//===- Conditioning.cpp - What timestep and label decide alone ------------===//
//
// 1. Forward over the model: which values do not depend on the picture, whether
//    they depend on the timestep, and which of their rows are equal.
// 2. Backward from the products among them: what must be computed with them.
// 3. What of that others read is stored.
//
//===----------------------------------------------------------------------===//
#include "passes/program/Conditioning.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;

static bool isElementwise(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() && op->getNumResults() == 1;
}

static bool normalisesRows(Operation *op) {
  return isa<LayerNormOp, RmsNormOp, SoftmaxOp>(op);
}

bool Conditioning::keepsForm(Operation *op) {
  return isa<MatmulOp>(op) || normalisesRows(op) || isElementwise(op);
}

bool Conditioning::keepsRows(Value from, Value to) {
  RankedTensorType a = getTensorType(from), b = getTensorType(to);
  return a.getRank() && b.getRank() && a.getDimSize(0) == b.getDimSize(0);
}

//===----------------------------------------------------------------------===//
// Step 1
//===----------------------------------------------------------------------===//

/// The rows of `op`'s results; nothing where it cannot be computed ahead. An op
/// that mixes rows needs them all, which distinct ones are not.
std::optional<Rows> Conditioning::findRows(Operation *op) const {
  auto rowsOf = [&](Value value) { return known.find(value)->second.rows; };
  auto wholeUnlessDistinct = [&](Value input) -> std::optional<Rows> {
    if (rowsOf(input) == Rows::Distinct)
      return std::nullopt;
    return Rows::Whole;
  };
  auto kept = [&](Value input, bool keeps) -> std::optional<Rows> {
    return keeps ? rowsOf(input) : wholeUnlessDistinct(input);
  };
  auto joined = [&](ValueRange inputs) -> std::optional<Rows> {
    auto has = [&](Rows rows) {
      return llvm::any_of(inputs, [&](Value v) { return rowsOf(v) == rows; });
    };
    if (has(Rows::Distinct))
      return has(Rows::Whole) ? std::optional<Rows>() : Rows::Distinct;
    return has(Rows::Whole) ? Rows::Whole : Rows::Equal;
  };
  auto isWeight = [&](Value value) {
    return !known.find(value)->second.isConditioned();
  };
  using Found = std::optional<Rows>;
  return TypeSwitch<Operation *, Found>(op)
      .Case([](ReadOp) { return Rows::Whole; })
      .Case([](arith::ConstantOp constant) -> Found {
        return isa<SplatElementsAttr>(constant.getValue()) &&
                       getTensorType(constant).getRank()
                   ? Rows::Equal
                   : Rows::Whole;
      })
      .Case([&](MatmulOp matmul) -> Found {
        RankedTensorType rhs = getTensorType(matmul.getRhs());
        if (rhs.getRank() != 2 || !isWeight(matmul.getRhs()) ||
            (matmul.getBias() && !isWeight(matmul.getBias())) ||
            matmul.getResidual() || matmul.getTransposeLhs() ||
            getTensorType(matmul.getLhs()).getRank() < 2)
          return std::nullopt;
        return rowsOf(matmul.getLhs());
      })
      .Case([&](GatherOp gather) -> Found {
        if (!isWeight(gather.getTable()))
          return std::nullopt;
        return rowsOf(gather.getIndices());
      })
      .Case([&](BroadcastOp broadcast) -> Found {
        ArrayRef<int64_t> dims = broadcast.getDims();
        if (!dims.empty() && dims.front() == 0)
          return rowsOf(broadcast.getInput());
        if (rowsOf(broadcast.getInput()) == Rows::Distinct)
          return std::nullopt;
        return Rows::Equal;
      })
      .Case([&](TransposeOp transpose) {
        ArrayRef<int64_t> order = transpose.getPermutation();
        return kept(transpose.getInput(), !order.empty() && order[0] == 0);
      })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>([&](auto reshape) {
        return kept(reshape.getSrc(),
                    keepsRows(reshape.getSrc(), reshape.getResult()));
      })
      .Case([&](tensor::ExtractSliceOp slice) -> Found {
        if (ShapedType::isDynamicShape(slice.getStaticOffsets()) ||
            ShapedType::isDynamicShape(slice.getStaticSizes()) ||
            ShapedType::isDynamicShape(slice.getStaticStrides()) ||
            getTensorType(slice).getRank() !=
                getTensorType(slice.getSource()).getRank())
          return std::nullopt;
        return kept(slice.getSource(), keepsRows(slice.getSource(), slice));
      })
      .Case([&](tensor::ConcatOp concat) -> Found {
        if (concat.getDim() != 0)
          return joined(concat.getInputs());
        for (Value input : concat.getInputs())
          if (!wholeUnlessDistinct(input))
            return std::nullopt;
        return Rows::Whole;
      })
      .Case([&](ReduceOp reduce) {
        return kept(reduce.getInput(),
                    !llvm::is_contained(reduce.getDims(), 0));
      })
      .Default([&](Operation *other) -> Found {
        if (normalisesRows(other))
          return kept(other->getOperand(0),
                      getTensorType(other->getOperand(0)).getRank() > 1);
        if (isElementwise(other))
          return joined(other->getOperands());
        return std::nullopt;
      });
}

void Conditioning::analyse(Operation *op) {
  if (!llvm::all_of(op->getResultTypes(), llvm::IsaPred<RankedTensorType>))
    return;
  Dependence dependence;
  for (Value operand : op->getOperands()) {
    auto found = known.find(operand);
    if (found == known.end())
      return;
    dependence.timestep |= found->second.timestep;
    dependence.label |= found->second.label;
  }
  std::optional<Rows> rows = findRows(op);
  if (!rows)
    return;
  dependence.rows = *rows;
  RankedTensorType type = getTensorType(op->getResult(0));
  if (*rows == Rows::Whole && type.getRank() && type.getDimSize(0) == 1)
    dependence.rows = Rows::Equal;
  for (Value result : op->getResults())
    known[result] = dependence;
}

//===----------------------------------------------------------------------===//
// Steps 2 and 3
//===----------------------------------------------------------------------===//

bool Conditioning::isComputedAhead(Operation *op) const {
  return ahead.contains(op) &&
         known.find(op->getResult(0))->second.isConditioned();
}

void Conditioning::collect(Block &body) {
  for (Operation &op : llvm::reverse(body)) {
    bool wanted = llvm::any_of(
        op.getUsers(), [&](Operation *user) { return ahead.contains(user); });
    if (isa<MatmulOp>(op)) {
      auto found = known.find(op.getResult(0));
      wanted |= found != known.end() && found->second.isConditioned();
    }
    if (wanted) {
      ahead.insert(&op);
      ops.push_back(&op);
    }
  }
  std::reverse(ops.begin(), ops.end());
  for (Operation *op : ops)
    for (Value result : op->getResults())
      if (isComputedAhead(op) &&
          llvm::any_of(result.getUsers(),
                       [&](Operation *user) { return !ahead.contains(user); }))
        stored.push_back(result);
}

Conditioning::Conditioning(func::FuncOp model, const Denoiser &denoiser)
    : timestep(model.getArgument(denoiser.timestep)),
      label(model.getArgument(denoiser.label)) {
  if (getTensorType(label).getShape() != ArrayRef<int64_t>(denoiser.batch))
    return;
  known[timestep] = {/*timestep=*/true, /*label=*/false,
                     getTensorType(timestep).getRank() ? Rows::Equal
                                                       : Rows::Whole};
  known[label] = {/*timestep=*/false, /*label=*/true, Rows::Distinct};
  Block &body = model.getBody().front();
  for (Operation &op : body)
    analyse(&op);
  collect(body);
}

/// Reads of one global, or none at all.
static bool readSame(Value a, Value b) {
  auto first = a ? a.getDefiningOp<ReadOp>() : ReadOp(),
       second = b ? b.getDefiningOp<ReadOp>() : ReadOp();
  if (!first || !second)
    return !a && !b;
  return first.getGlobal() == second.getGlobal();
}

Value Conditioning::findTwin(Value value, const Conditioning &other) const {
  auto product = value.getDefiningOp<MatmulOp>();
  auto findIn = [&](const Conditioning &in) {
    Value twin;
    for (Value candidate : in.stored) {
      auto matmul = candidate.getDefiningOp<MatmulOp>();
      if (!matmul || !readSame(matmul.getRhs(), product.getRhs()) ||
          !readSame(matmul.getBias(), product.getBias()) ||
          matmul->getAttrDictionary() != product->getAttrDictionary() ||
          getTensorType(candidate).getShape().drop_front() !=
              getTensorType(value).getShape().drop_front() ||
          !(in.known.find(candidate)->second == known.find(value)->second))
        continue;
      if (twin)
        return Value();
      twin = candidate;
    }
    return twin;
  };
  if (!product || !findIn(*this))
    return {};
  return findIn(other);
}

int64_t Conditioning::getFlops() const {
  int64_t flops = 0;
  for (Operation *op : ops)
    if (auto matmul = dyn_cast<MatmulOp>(op)) {
      MatmulOp::Sizes sizes = matmul.getSizes();
      flops += 2 * sizes.m * sizes.n * sizes.k * sizes.batch;
    }
  return flops;
}

int64_t Conditioning::getWeightBytes() const {
  DenseSet<Value> weights;
  for (Operation *op : ops)
    if (auto matmul = dyn_cast<MatmulOp>(op))
      weights.insert(matmul.getRhs());
  int64_t bytes = 0;
  for (Value weight : weights)
    bytes += countBytes(getTensorType(weight));
  return bytes;
}
