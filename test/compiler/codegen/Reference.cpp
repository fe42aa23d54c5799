//===- Reference.cpp - A kernel's results by naive loops ------------------===//
//
// Pushes: each op makes its whole result from its whole operands. The code
// under test pulls, so the two have nothing in common but the ops' meaning.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/Reference.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "runtime/diffusion/Philox.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <functional>

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

namespace {
using Point = std::vector<int64_t>;
using Shape = ArrayRef<int64_t>;

/// Evaluates a body.
class Evaluator {
public:
  llvm::DenseMap<Value, Numbers> values;

  void evaluate(Operation *op);

private:
  Numbers &in(Operation *op, unsigned i) { return values[op->getOperand(i)]; }
  void elementwise(Operation *op,
                   std::function<double(ArrayRef<double>)> function);
  /// result[p] = operand[source(p)].
  void view(Operation *op, std::function<Point(const Point &)> source);
  void normalize(Operation *op, double eps, bool isCentred);
  void concat(tensor::ConcatOp op);
  void gather(GatherOp op);
  void reduce(ReduceOp op);
  void softmax(SoftmaxOp op);
  void random(RandomOp op);
  std::function<double(ArrayRef<double>)> functionOf(Operation *op);
};
} // namespace

static Shape shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

static int64_t countOf(Shape shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}

static Point pointOf(int64_t position, Shape shape) {
  Point point(shape.size());
  for (size_t dim = shape.size(); dim-- > 0; position /= shape[dim])
    point[dim] = position % shape[dim];
  return point;
}

static int64_t positionOf(const Point &point, Shape shape) {
  int64_t position = 0;
  for (size_t dim = 0; dim < shape.size(); ++dim)
    position = position * shape[dim] + point[dim];
  return position;
}

static double roundTo(Type element, double value) {
  if (element.isF16())
    return static_cast<float>(static_cast<_Float16>(value));
  if (!element.isBF16())
    return value;
  auto single = static_cast<float>(value);
  if (std::isnan(single))
    return single;
  uint32_t bits;
  memcpy(&bits, &single, 4);
  bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
  memcpy(&single, &bits, 4);
  return single;
}

static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

void Evaluator::elementwise(Operation *op,
                            std::function<double(ArrayRef<double>)> function) {
  Value result = op->getResult(0);
  Numbers out(countOf(shapeOf(result)));
  SmallVector<double> operands(op->getNumOperands());
  for (size_t i = 0; i < out.size(); ++i) {
    for (unsigned k = 0; k < op->getNumOperands(); ++k)
      operands[k] = in(op, k)[i];
    out[i] = roundTo(elementOf(result), function(operands));
  }
  values[result] = out;
}

void Evaluator::view(Operation *op,
                     std::function<Point(const Point &)> source) {
  Shape from = shapeOf(op->getOperand(0)), to = shapeOf(op->getResult(0));
  Numbers out(countOf(to));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = in(op, 0)[positionOf(source(pointOf(i, to)), from)];
  values[op->getResult(0)] = out;
}

void Evaluator::normalize(Operation *op, double eps, bool isCentred) {
  Numbers &x = in(op, 0);
  int64_t size = shapeOf(op->getOperand(0)).back();
  int64_t rows = x.size() / size;
  Numbers out(x.size()), means(rows), scales(rows);
  for (int64_t row = 0; row < rows; ++row) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < size && isCentred; ++i)
      mean += x[row * size + i] / size;
    for (int64_t i = 0; i < size; ++i)
      square += std::pow(x[row * size + i] - mean, 2) / size;
    means[row] = mean;
    scales[row] = 1 / std::sqrt(square + eps);
    for (int64_t i = 0; i < size; ++i)
      out[row * size + i] = roundTo(elementOf(op->getResult(0)),
                                    (x[row * size + i] - mean) * scales[row]);
  }
  values[op->getResult(0)] = out;
  if (isCentred)
    values[op->getResult(1)] = means;
  values[op->getResults().back()] = scales;
}

void Evaluator::concat(tensor::ConcatOp op) {
  Shape to = shapeOf(op.getResult());
  Numbers out(countOf(to));
  int64_t start = 0;
  for (Value input : op.getInputs()) {
    Shape from = shapeOf(input);
    for (int64_t i = 0; i < countOf(from); ++i) {
      Point point = pointOf(i, from);
      point[op.getDim()] += start;
      out[positionOf(point, to)] = values[input][i];
    }
    start += from[op.getDim()];
  }
  values[op.getResult()] = out;
}

void Evaluator::gather(GatherOp op) {
  Shape table = shapeOf(op.getTable());
  int64_t row = countOf(table.drop_front());
  Numbers out;
  for (double index : values[op.getIndices()]) {
    auto at = static_cast<int64_t>(index);
    at = std::clamp<int64_t>(at < 0 ? at + table[0] : at, 0, table[0] - 1);
    for (int64_t i = 0; i < row; ++i)
      out.push_back(values[op.getTable()][at * row + i]);
  }
  values[op.getResult()] = out;
}

void Evaluator::reduce(ReduceOp op) {
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  double neutral[] = {0, -INFINITY, INFINITY, 1};
  Numbers out(countOf(to), neutral[static_cast<int>(op.getKind())]);
  for (int64_t i = 0; i < countOf(from); ++i) {
    Point point = pointOf(i, from), rest;
    for (size_t dim = 0; dim < from.size(); ++dim)
      if (!llvm::is_contained(op.getDims(), static_cast<int64_t>(dim)))
        rest.push_back(point[dim]);
    double x = values[op.getInput()][i], &y = out[positionOf(rest, to)];
    switch (op.getKind()) {
    case ReduceKind::Sum:
      y += x;
      break;
    case ReduceKind::Max:
      y = std::max(x, y);
      break;
    case ReduceKind::Min:
      y = std::min(x, y);
      break;
    case ReduceKind::Prod:
      y *= x;
      break;
    }
  }
  for (double &y : out)
    y = roundTo(elementOf(op.getResult()), y);
  values[op.getResult()] = out;
}

void Evaluator::softmax(SoftmaxOp op) {
  Numbers &x = values[op.getInput()];
  int64_t size = shapeOf(op.getInput()).back();
  Numbers out(x.size());
  for (size_t row = 0; row < x.size(); row += size) {
    double max = *std::max_element(x.begin() + row, x.begin() + row + size);
    double sum = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += std::exp(x[row + i] - max);
    for (int64_t i = 0; i < size; ++i)
      out[row + i] =
          roundTo(elementOf(op.getResult()), std::exp(x[row + i] - max) / sum);
  }
  values[op.getResult()] = out;
}

void Evaluator::random(RandomOp op) {
  Shape shape = shapeOf(op.getResult());
  int64_t each = countOf(shape.drop_front());
  auto seed = static_cast<uint64_t>(values[op.getSeed()][0]);
  auto step = static_cast<int64_t>(values[op.getStep()][0]);
  Numbers out;
  for (double picture : values[op.getPictures()])
    for (int64_t e = 0; e < each; ++e) {
      auto words =
          runtime::philox(runtime::philoxCounter(
                              e / 4, static_cast<uint64_t>(picture),
                              static_cast<uint32_t>(step + 1), op.getStream()),
                          seed);
      out.push_back(op.getDistribution() == Distribution::Normal
                        ? runtime::normals(words)[e % 4]
                        : runtime::uniformBelowOne(words[e % 4]));
    }
  values[op.getResult()] = out;
}

static double power(double x, int64_t n) { return std::pow(x, n); }

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
  default:
    llvm_unreachable("predicate not used by the tests");
  }
}

static bool holds(arith::CmpIPredicate predicate, double a, double b) {
  switch (predicate) {
  case arith::CmpIPredicate::sgt:
    return a > b;
  case arith::CmpIPredicate::sge:
    return a >= b;
  case arith::CmpIPredicate::slt:
    return a < b;
  case arith::CmpIPredicate::sle:
    return a <= b;
  case arith::CmpIPredicate::eq:
    return a == b;
  case arith::CmpIPredicate::ne:
    return a != b;
  default:
    llvm_unreachable("predicate not used by the tests");
  }
}

std::function<double(ArrayRef<double>)> Evaluator::functionOf(Operation *op) {
  using In = ArrayRef<double>;
  using Function = std::function<double(In)>;
  return TypeSwitch<Operation *, Function>(op)
      .Case<arith::AddFOp, arith::AddIOp>(
          [](auto) -> Function { return [](In x) { return x[0] + x[1]; }; })
      .Case<arith::SubFOp, arith::SubIOp>(
          [](auto) -> Function { return [](In x) { return x[0] - x[1]; }; })
      .Case<arith::MulFOp, arith::MulIOp>(
          [](auto) -> Function { return [](In x) { return x[0] * x[1]; }; })
      .Case([](arith::DivFOp) -> Function {
        return [](In x) { return x[0] / x[1]; };
      })
      .Case([](arith::DivSIOp) -> Function {
        return [](In x) { return std::trunc(x[0] / x[1]); };
      })
      .Case([](arith::RemSIOp) -> Function {
        return [](In x) { return std::fmod(x[0], x[1]); };
      })
      .Case(
          [](arith::NegFOp) -> Function { return [](In x) { return -x[0]; }; })
      .Case<arith::MaximumFOp, arith::MaxSIOp>([](auto) -> Function {
        return [](In x) { return std::max(x[0], x[1]); };
      })
      .Case<arith::MinimumFOp, arith::MinSIOp>([](auto) -> Function {
        return [](In x) { return std::min(x[0], x[1]); };
      })
      .Case<arith::CmpFOp, arith::CmpIOp>([](auto op) -> Function {
        auto predicate = op.getPredicate();
        return [=](In x) { return holds(predicate, x[0], x[1]); };
      })
      .Case([](arith::SelectOp) -> Function {
        return [](In x) { return x[0] != 0 ? x[1] : x[2]; };
      })
      .Case<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp,
            arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(
          [](auto) -> Function { return [](In x) { return x[0]; }; })
      .Case([](arith::FPToSIOp) -> Function {
        return [](In x) { return std::trunc(x[0]); };
      })
      .Case([](math::ExpOp) -> Function {
        return [](In x) { return std::exp(x[0]); };
      })
      .Case([](math::LogOp) -> Function {
        return [](In x) { return std::log(x[0]); };
      })
      .Case([](math::SinOp) -> Function {
        return [](In x) { return std::sin(x[0]); };
      })
      .Case([](math::CosOp) -> Function {
        return [](In x) { return std::cos(x[0]); };
      })
      .Case([](math::TanhOp) -> Function {
        return [](In x) { return std::tanh(x[0]); };
      })
      .Case([](math::ErfOp) -> Function {
        return [](In x) { return std::erf(x[0]); };
      })
      .Case([](math::SqrtOp) -> Function {
        return [](In x) { return std::sqrt(x[0]); };
      })
      .Case([](math::RsqrtOp) -> Function {
        return [](In x) { return 1 / std::sqrt(x[0]); };
      })
      .Case([](math::AbsFOp) -> Function {
        return [](In x) { return std::fabs(x[0]); };
      })
      .Case([](math::FloorOp) -> Function {
        return [](In x) { return std::floor(x[0]); };
      })
      .Case([](math::RoundOp) -> Function {
        return [](In x) { return std::round(x[0]); };
      })
      .Case([](math::PowFOp) -> Function {
        return [](In x) { return std::pow(x[0], x[1]); };
      })
      .Case([](SigmoidOp) -> Function {
        return [](In x) { return 1 / (1 + std::exp(-x[0])); };
      })
      .Case([](GeluOp op) -> Function {
        if (op.getApproximate() == Approximate::None)
          return [](In x) {
            return x[0] * 0.5 * (1 + std::erf(x[0] / std::sqrt(2.0)));
          };
        return [](In x) {
          double u = std::sqrt(2 / M_PI) * (x[0] + 0.044715 * power(x[0], 3));
          return 0.5 * x[0] * (1 + std::tanh(u));
        };
      })
      .Default([](Operation *op) -> Function {
        op->emitOpError("is not known to the reference");
        abort();
      });
}

void Evaluator::evaluate(Operation *op) {
  TypeSwitch<Operation *>(op)
      .Case([&](arith::ConstantOp op) {
        Numbers out;
        auto data = cast<DenseElementsAttr>(op.getValue());
        if (isa<FloatType>(data.getElementType()))
          for (APFloat value : data.getValues<APFloat>())
            out.push_back(value.convertToDouble());
        else
          for (APInt value : data.getValues<APInt>())
            out.push_back(data.getElementType().isInteger(1)
                              ? static_cast<double>(value.getZExtValue())
                              : static_cast<double>(value.getSExtValue()));
        values[op.getResult()] = out;
      })
      .Case([&](BroadcastOp op) {
        view(op, [&](const Point &point) {
          Point source;
          for (int64_t dim : op.getDims())
            source.push_back(point[dim]);
          return source;
        });
      })
      .Case([&](TransposeOp op) {
        view(op, [&](const Point &point) {
          Point source(point.size());
          for (auto [dim, from] : llvm::enumerate(op.getPermutation()))
            source[from] = point[dim];
          return source;
        });
      })
      .Case([&](tensor::ExtractSliceOp op) {
        view(op, [&](const Point &point) {
          Point source;
          auto dropped = op.getDroppedDims();
          size_t next = 0;
          for (size_t dim = 0; dim < op.getStaticOffsets().size(); ++dim)
            source.push_back(op.getStaticOffsets()[dim] +
                             (dropped[dim] ? 0 : point[next++]) *
                                 op.getStaticStrides()[dim]);
          return source;
        });
      })
      .Case<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(
          [&](auto op) { values[op.getResult()] = in(op, 0); })
      .Case([&](tensor::ConcatOp op) { concat(op); })
      .Case([&](GatherOp op) { gather(op); })
      .Case([&](ReduceOp op) { reduce(op); })
      .Case([&](SoftmaxOp op) { softmax(op); })
      .Case([&](RandomOp op) { random(op); })
      .Case([&](LayerNormOp op) {
        normalize(op, op.getEps().convertToDouble(), true);
      })
      .Case([&](RmsNormOp op) {
        normalize(op, op.getEps().convertToDouble(), false);
      })
      .Default([&](Operation *op) { elementwise(op, functionOf(op)); });
}

std::vector<Numbers> codegen::evaluate(Region &body,
                                       std::vector<Numbers> inputs) {
  Evaluator evaluator;
  for (auto [argument, input] : llvm::zip(body.getArguments(), inputs))
    evaluator.values[argument] = input;
  // Without this a growing map would move what an op still reads.
  evaluator.values.reserve(4 * body.front().getOperations().size() + 64);
  for (Operation &op : body.front().without_terminator())
    evaluator.evaluate(&op);
  std::vector<Numbers> results;
  for (Value result : body.front().getTerminator()->getOperands())
    results.push_back(evaluator.values[result]);
  return results;
}
