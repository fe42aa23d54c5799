//===- Match.cpp - Seeing what an expression means ------------------------===//
#include "passes/simplify/Match.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace mlir;
using namespace dit;

std::optional<double> dit::getSplat(Value value) {
  SplatElementsAttr splat;
  if (!matchPattern(value, m_Constant(&splat)))
    return std::nullopt;
  Attribute element = splat.getSplatValue<Attribute>();
  if (auto number = dyn_cast<FloatAttr>(element))
    return number.getValueAsDouble();
  if (auto number = dyn_cast<IntegerAttr>(element))
    return number.getType().isInteger(1)
               ? static_cast<double>(number.getValue().getZExtValue())
               : static_cast<double>(number.getValue().getSExtValue());
  return std::nullopt;
}

/// `number` rounded to `semantics`.
static double roundTo(double number, const llvm::fltSemantics &semantics) {
  bool losesInfo;
  llvm::APFloat value(number);
  value.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return value.convertToDouble();
}

bool dit::isNear(double number, double expected) {
  // Two units in the last place of fp32: constants written in decimal by hand
  // differ there. What an exporter rounded further is that number exactly.
  constexpr double tolerance = 0x1p-22;
  for (double candidate :
       {expected, roundTo(expected, llvm::APFloat::IEEEhalf()),
        roundTo(expected, llvm::APFloat::BFloat())})
    if (std::abs(number - candidate) <= tolerance * std::abs(expected))
      return true;
  return false;
}

Value dit::skipCasts(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::ExtFOp, arith::TruncFOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

/// A reshape that only adds or takes dimensions of 1.
static bool reshapesOnes(Operation *op) {
  if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    return false;
  auto dense = [](Value value) {
    SmallVector<int64_t> sizes;
    llvm::copy_if(getTensorType(value).getShape(), std::back_inserter(sizes),
                  [](int64_t size) { return size != 1; });
    return sizes;
  };
  return dense(op->getOperand(0)) == dense(op->getResult(0));
}

/// A broadcast that only adds dimensions behind.
static bool spreadsAlongLane(Operation *op) {
  auto broadcast = dyn_cast<BroadcastOp>(op);
  if (!broadcast)
    return false;
  for (auto [index, dim] : llvm::enumerate(broadcast.getDims()))
    if (static_cast<int64_t>(index) != dim)
      return false;
  return true;
}

Value dit::skipSpread(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::ExtFOp, arith::TruncFOp>(op) && !spreadsAlongLane(op) &&
        !reshapesOnes(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

bool Product::take(Value factor) {
  auto *found = llvm::find_if(factors, [&](Value other) {
    return skipCasts(other) == skipCasts(factor);
  });
  if (found == factors.end())
    return false;
  factors.erase(found);
  return true;
}

static void collectFactors(Value value, Value whole, Product &product,
                           unsigned depth) {
  value = skipCasts(value);
  if (auto number = getSplat(value)) {
    product.scale *= *number;
    return;
  }
  Operation *op = value.getDefiningOp();
  if (depth && op && value != whole) {
    if (isa<arith::MulFOp>(op)) {
      collectFactors(op->getOperand(0), whole, product, depth - 1);
      collectFactors(op->getOperand(1), whole, product, depth - 1);
      return;
    }
    if (isa<arith::NegFOp>(op)) {
      product.scale = -product.scale;
      collectFactors(op->getOperand(0), whole, product, depth - 1);
      return;
    }
    if (isa<arith::DivFOp>(op))
      if (auto number = getSplat(op->getOperand(1)); number && *number != 0) {
        product.scale /= *number;
        collectFactors(op->getOperand(0), whole, product, depth - 1);
        return;
      }
    if (isa<math::PowFOp, math::FPowIOp>(op))
      if (auto number = getSplat(op->getOperand(1));
          number && (*number == 2 || *number == 3)) {
        for (int i = 0; i < *number; ++i)
          collectFactors(op->getOperand(0), whole, product, depth - 1);
        return;
      }
  }
  product.factors.push_back(value);
}

Product dit::matchProduct(Value value, Value whole) {
  Product product;
  collectFactors(value, whole ? skipCasts(whole) : whole, product, 6);
  return product;
}

static void collectTerms(Value value, Value whole, bool negated, Sum &sum,
                         unsigned depth) {
  value = skipCasts(value);
  if (auto number = getSplat(value)) {
    sum.constant += negated ? -*number : *number;
    return;
  }
  Operation *op = value.getDefiningOp();
  if (depth && value != whole &&
      isa_and_nonnull<arith::AddFOp, arith::SubFOp>(op)) {
    collectTerms(op->getOperand(0), whole, negated, sum, depth - 1);
    collectTerms(op->getOperand(1), whole, negated != isa<arith::SubFOp>(op),
                 sum, depth - 1);
    return;
  }
  sum.terms.push_back({value, negated});
}

Sum dit::matchSum(Value value, Value whole) {
  Sum sum;
  collectTerms(value, whole ? skipCasts(whole) : whole, false, sum, 6);
  return sum;
}

Value dit::matchMean(Value value) {
  value = skipSpread(value);
  double scale = 1;
  while (Operation *op = value.getDefiningOp()) {
    if (auto sum = dyn_cast<ReduceOp>(op)) {
      RankedTensorType type = getTensorType(sum.getInput());
      if (sum.getKind() != ReduceKind::Sum || sum.getDims().size() != 1 ||
          sum.getDims()[0] != type.getRank() - 1)
        return {};
      double length = static_cast<double>(type.getShape().back());
      return isNear(scale, 1 / length) ? sum.getInput() : Value();
    }
    if (isa<arith::MulFOp>(op)) {
      unsigned constant = getSplat(op->getOperand(1)) ? 1 : 0;
      auto number = getSplat(op->getOperand(constant));
      if (!number)
        return {};
      scale *= *number;
      value = skipSpread(op->getOperand(1 - constant));
    } else if (isa<arith::DivFOp>(op)) {
      auto number = getSplat(op->getOperand(1));
      if (!number || *number == 0)
        return {};
      scale /= *number;
      value = skipSpread(op->getOperand(0));
    } else {
      return {};
    }
  }
  return {};
}

Value dit::matchSquare(Value value) {
  value = skipCasts(value);
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  if (isa<arith::MulFOp>(op) &&
      skipCasts(op->getOperand(0)) == skipCasts(op->getOperand(1)))
    return op->getOperand(0);
  if (isa<math::PowFOp, math::FPowIOp>(op) && getSplat(op->getOperand(1)) == 2.)
    return op->getOperand(0);
  return {};
}

std::optional<Root> dit::matchRoot(Value value) {
  value = skipSpread(value);
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (isa<math::SqrtOp>(op))
    return Root{op->getOperand(0), false};
  if (isa<math::RsqrtOp>(op))
    return Root{op->getOperand(0), true};
  if (isa<math::PowFOp>(op)) {
    auto exponent = getSplat(op->getOperand(1));
    if (exponent == 0.5 || exponent == -0.5)
      return Root{op->getOperand(0), exponent == -0.5};
  }
  if (isa<arith::DivFOp>(op) && getSplat(op->getOperand(0)) == 1.)
    if (auto root = matchRoot(op->getOperand(1)))
      return Root{root->input, !root->reciprocal};
  return std::nullopt;
}
