//===- Elementwise.cpp - Elementwise ops on doubles -----------------------===//
#include "test/passes/program/differentiate/Elementwise.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace dit;

using In = ArrayRef<double>;

static bool holds(arith::CmpFPredicate predicate, double a, double b) {
  switch (predicate) {
  case arith::CmpFPredicate::OGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
    return a >= b;
  case arith::CmpFPredicate::OLT:
    return a < b;
  case arith::CmpFPredicate::OLE:
    return a <= b;
  case arith::CmpFPredicate::OEQ:
    return a == b;
  case arith::CmpFPredicate::ORD:
    return !std::isnan(a) && !std::isnan(b);
  default:
    ADD_FAILURE() << "an unknown comparison of floats";
    return false;
  }
}

static bool holds(arith::CmpIPredicate predicate, double a, double b) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  default:
    ADD_FAILURE() << "an unknown comparison of integers";
    return false;
  }
}

static double gelu(Approximate approximate, double x) {
  if (approximate == Approximate::None)
    return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
  double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(u));
}

static double geluSlope(Approximate approximate, double x) {
  if (approximate == Approximate::None)
    return 0.5 * (1 + std::erf(x / std::sqrt(2.0))) +
           x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
  double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  double inner = std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
  double t = std::tanh(u);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner;
}

dit::ElementwiseFunction dit::getElementwise(Operation *op) {
  using Unary = double (*)(double);
  auto unary = [](Unary f) -> ElementwiseFunction {
    return [f](In x) { return f(x[0]); };
  };
  return TypeSwitch<Operation *, ElementwiseFunction>(op)
      .Case<arith::AddFOp, arith::AddIOp>(
          [](auto) { return [](In x) { return x[0] + x[1]; }; })
      .Case<arith::SubFOp, arith::SubIOp>(
          [](auto) { return [](In x) { return x[0] - x[1]; }; })
      .Case<arith::MulFOp, arith::MulIOp>(
          [](auto) { return [](In x) { return x[0] * x[1]; }; })
      .Case([](arith::DivFOp) { return [](In x) { return x[0] / x[1]; }; })
      .Case([](arith::NegFOp) { return [](In x) { return -x[0]; }; })
      .Case([](arith::MaximumFOp) {
        return [](In x) { return std::max(x[0], x[1]); };
      })
      .Case<arith::MinimumFOp, arith::MinSIOp>(
          [](auto) { return [](In x) { return std::min(x[0], x[1]); }; })
      .Case([](arith::AndIOp) {
        return [](In x) { return double(x[0] != 0 && x[1] != 0); };
      })
      .Case<arith::CmpFOp, arith::CmpIOp>([](auto op) {
        return [predicate = op.getPredicate()](In x) {
          return double(holds(predicate, x[0], x[1]));
        };
      })
      .Case([](arith::SelectOp) {
        return [](In x) { return x[0] != 0 ? x[1] : x[2]; };
      })
      .Case<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp,
            StopGradientOp>([](auto) { return [](In x) { return x[0]; }; })
      .Case([&](arith::FPToSIOp) { return unary(std::trunc); })
      .Case([&](math::ExpOp) { return unary(std::exp); })
      .Case([&](math::LogOp) { return unary(std::log); })
      .Case([&](math::SqrtOp) { return unary(std::sqrt); })
      .Case([](math::RsqrtOp) {
        return [](In x) { return 1 / std::sqrt(x[0]); };
      })
      .Case([&](math::SinOp) { return unary(std::sin); })
      .Case([&](math::CosOp) { return unary(std::cos); })
      .Case([&](math::TanhOp) { return unary(std::tanh); })
      .Case([&](math::ErfOp) { return unary(std::erf); })
      .Case([&](math::AbsFOp) { return unary(std::fabs); })
      .Case([&](math::FloorOp) { return unary(std::floor); })
      .Case([](math::PowFOp) {
        return [](In x) { return std::pow(x[0], x[1]); };
      })
      .Case([](SigmoidOp) {
        return [](In x) { return 1 / (1 + std::exp(-x[0])); };
      })
      .Case([](GeluOp op) {
        return [kind = op.getApproximate()](In x) { return gelu(kind, x[0]); };
      })
      .Case([](GeluGradOp op) {
        return [kind = op.getApproximate()](In x) {
          return geluSlope(kind, x[0]) * x[1];
        };
      })
      .Default([](Operation *) { return ElementwiseFunction(); });
}
