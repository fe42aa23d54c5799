//===- Evaluator.cpp - dit IR by naive loops in double --------------------===//
//
// Each op makes its whole result from its whole operands, by its definition in
// DitOps.td, one element after the other.
//
//===----------------------------------------------------------------------===//
#include "test/passes/program/differentiate/Evaluator.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "test/passes/program/differentiate/Elementwise.h"
#include "test/passes/program/differentiate/GlobalValues.h"
#include "llvm/ADT/TypeSwitch.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace mlir;
using namespace dit;

using Point = SmallVector<int64_t>;
using Shape = ArrayRef<int64_t>;

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

static int64_t positionOf(Shape point, Shape shape) {
  int64_t position = 0;
  for (size_t dim = 0; dim < shape.size(); ++dim)
    position = position * shape[dim] + point[dim];
  return position;
}

namespace {
/// Evaluates the ops of a function, one after the other.
class Evaluator {
public:
  explicit Evaluator(const GlobalNumbers &globals) : globals(globals) {}

  llvm::DenseMap<Value, Numbers> values;

  /// False where the op is not known.
  bool evaluate(Operation *op);

private:
  void elementwise(Operation *op, const ElementwiseFunction &function);
  /// result[p] = operand 0[source(p)].
  void view(Operation *op, llvm::function_ref<Point(Shape)> source);
  void concat(tensor::ConcatOp op);
  void reduce(ReduceOp op);
  void normalise(Operation *op, double eps, bool isCentred);
  void softmax(SoftmaxOp op);
  void matmul(MatmulOp op);
  void gather(GatherOp op);
  void scatterAdd(ScatterAddOp op);
  void attention(AttentionOp op);
  void attentionGrad(AttentionGradOp op);

  const GlobalNumbers &globals;
};

/// A tensor seen by its point.
struct View {
  Numbers &numbers;
  Shape shape;
  double &at(Shape point) { return numbers[positionOf(point, shape)]; }
};
} // namespace

void Evaluator::elementwise(Operation *op,
                            const ElementwiseFunction &function) {
  Numbers out(countOf(shapeOf(op->getResult(0))));
  SmallVector<const Numbers *> from;
  for (Value operand : op->getOperands())
    from.push_back(&values[operand]);
  SmallVector<double> operands(from.size());
  for (size_t i = 0; i < out.size(); ++i) {
    // A condition may be one boolean for all elements.
    for (size_t k = 0; k < from.size(); ++k)
      operands[k] = (*from[k])[from[k]->size() == 1 ? 0 : i];
    out[i] = function(operands);
  }
  values[op->getResult(0)] = std::move(out);
}

void Evaluator::view(Operation *op, llvm::function_ref<Point(Shape)> source) {
  Shape from = shapeOf(op->getOperand(0)), to = shapeOf(op->getResult(0));
  Numbers out(countOf(to));
  const Numbers &in = values[op->getOperand(0)];
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = in[positionOf(source(pointOf(i, to)), from)];
  values[op->getResult(0)] = std::move(out);
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
  values[op.getResult()] = std::move(out);
}

void Evaluator::reduce(ReduceOp op) {
  Shape from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  const double neutral[] = {0, -INFINITY, INFINITY, 1};
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
  values[op.getResult()] = std::move(out);
}

void Evaluator::normalise(Operation *op, double eps, bool isCentred) {
  const Numbers &x = values[op->getOperand(0)];
  int64_t size = shapeOf(op->getOperand(0)).back();
  int64_t rows = x.size() / size;
  Numbers out(x.size()), means(rows), scales(rows);
  for (int64_t row = 0; row < rows; ++row) {
    double square = 0;
    for (int64_t i = 0; i < size && isCentred; ++i)
      means[row] += x[row * size + i] / size;
    for (int64_t i = 0; i < size; ++i)
      square += std::pow(x[row * size + i] - means[row], 2) / size;
    scales[row] = 1 / std::sqrt(square + eps);
    for (int64_t i = 0; i < size; ++i)
      out[row * size + i] = (x[row * size + i] - means[row]) * scales[row];
  }
  values[op->getResult(0)] = std::move(out);
  if (isCentred)
    values[op->getResult(1)] = std::move(means);
  values[op->getResults().back()] = std::move(scales);
}

void Evaluator::softmax(SoftmaxOp op) {
  const Numbers &x = values[op.getInput()];
  int64_t size = shapeOf(op.getInput()).back();
  Numbers out(x.size());
  for (size_t row = 0; row < x.size(); row += size) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += std::exp(x[row + i]);
    for (int64_t i = 0; i < size; ++i)
      out[row + i] = std::exp(x[row + i]) / sum;
  }
  values[op.getResult()] = std::move(out);
}

void Evaluator::matmul(MatmulOp op) {
  ASSERT_TRUE(!op.getGate() && !op.getResidual() &&
              op.getActivation() == Activation::Identity);
  MatmulOp::Sizes sizes = op.getSizes();
  const Numbers &a = values[op.getLhs()], &b = values[op.getRhs()];
  bool isShared = shapeOf(op.getRhs()).size() == 2;
  Numbers out(countOf(shapeOf(op.getResult())));
  for (int64_t batch = 0; batch < sizes.batch; ++batch)
    for (int64_t m = 0; m < sizes.m; ++m)
      for (int64_t n = 0; n < sizes.n; ++n) {
        double sum = op.getBias() ? values[op.getBias()][n] : 0;
        for (int64_t k = 0; k < sizes.k; ++k) {
          int64_t left =
              op.getTransposeLhs() ? k * sizes.m + m : m * sizes.k + k;
          int64_t right =
              op.getTransposeRhs() ? n * sizes.k + k : k * sizes.n + n;
          sum += a[batch * sizes.m * sizes.k + left] *
                 b[(isShared ? 0 : batch * sizes.k * sizes.n) + right];
        }
        out[(batch * sizes.m + m) * sizes.n + n] = sum;
      }
  values[op.getResult()] = std::move(out);
}

/// The row of a table of `rows` that `index` means.
static int64_t rowOf(double index, int64_t rows) {
  auto row = static_cast<int64_t>(index);
  return std::clamp<int64_t>(row < 0 ? row + rows : row, 0, rows - 1);
}

void Evaluator::gather(GatherOp op) {
  Shape table = shapeOf(op.getTable());
  int64_t size = countOf(table.drop_front());
  Numbers out;
  for (double index : values[op.getIndices()])
    for (int64_t i = 0; i < size; ++i)
      out.push_back(values[op.getTable()][rowOf(index, table[0]) * size + i]);
  values[op.getResult()] = std::move(out);
}

void Evaluator::scatterAdd(ScatterAddOp op) {
  Shape table = shapeOf(op.getResult());
  int64_t size = countOf(table.drop_front());
  Numbers out(countOf(table));
  for (auto [n, index] : llvm::enumerate(values[op.getIndices()]))
    for (int64_t i = 0; i < size; ++i)
      out[rowOf(index, table[0]) * size + i] +=
          values[op.getUpdates()][n * size + i];
  values[op.getResult()] = std::move(out);
}

/// The scores of query row `i` of batch `b`, head `h`.
static Numbers scoresOf(View q, View k, View *mask, double scale, int64_t b,
                        int64_t h, int64_t i) {
  int64_t group = q.shape[2] / k.shape[2];
  Numbers scores(k.shape[1]);
  for (int64_t j = 0; j < k.shape[1]; ++j) {
    for (int64_t d = 0; d < q.shape[3]; ++d)
      scores[j] += scale * q.at({b, i, h, d}) * k.at({b, j, h / group, d});
    if (mask) {
      int64_t point[] = {b, h, i, j};
      for (auto [index, size] : llvm::zip(point, mask->shape))
        index = size == 1 ? 0 : index;
      scores[j] += mask->at(point);
    }
  }
  return scores;
}

void Evaluator::attention(AttentionOp op) {
  auto viewOf = [&](Value value) {
    return View{values[value], shapeOf(value)};
  };
  values[op.getResult()].assign(countOf(shapeOf(op.getResult())), 0);
  values[op.getLogSumExp()].assign(countOf(shapeOf(op.getLogSumExp())), 0);
  View q = viewOf(op.getQuery()), k = viewOf(op.getKey()),
       v = viewOf(op.getValue()), out = viewOf(op.getResult()),
       lse = viewOf(op.getLogSumExp());
  std::optional<View> mask;
  if (op.getMask())
    mask.emplace(viewOf(op.getMask()));
  double scale = op.getScale().convertToDouble();
  int64_t group = q.shape[2] / k.shape[2];
  for (int64_t b = 0; b < q.shape[0]; ++b)
    for (int64_t h = 0; h < q.shape[2]; ++h)
      for (int64_t i = 0; i < q.shape[1]; ++i) {
        Numbers scores =
            scoresOf(q, k, mask ? &*mask : nullptr, scale, b, h, i);
        double sum = 0;
        for (double score : scores)
          sum += std::exp(score);
        lse.at({b, h, i}) = std::log(sum);
        for (auto [j, score] : llvm::enumerate(scores))
          for (int64_t d = 0; d < v.shape[3]; ++d)
            out.at({b, i, h, d}) +=
                std::exp(score) / sum *
                v.at({b, static_cast<int64_t>(j), h / group, d});
      }
}

void Evaluator::attentionGrad(AttentionGradOp op) {
  auto viewOf = [&](Value value) {
    return View{values[value], shapeOf(value)};
  };
  for (Value result : op.getResults())
    values[result].assign(countOf(shapeOf(result)), 0);
  View q = viewOf(op.getQuery()), k = viewOf(op.getKey()),
       v = viewOf(op.getValue()), o = viewOf(op.getOutput()),
       lse = viewOf(op.getLogSumExp()), dout = viewOf(op.getCotangent()),
       dq = viewOf(op.getQueryGrad()), dk = viewOf(op.getKeyGrad()),
       dv = viewOf(op.getValueGrad());
  std::optional<View> mask;
  if (op.getMask())
    mask.emplace(viewOf(op.getMask()));
  double scale = op.getScale().convertToDouble();
  int64_t group = q.shape[2] / k.shape[2];
  for (int64_t b = 0; b < q.shape[0]; ++b)
    for (int64_t h = 0; h < q.shape[2]; ++h)
      for (int64_t i = 0; i < q.shape[1]; ++i) {
        Numbers scores =
            scoresOf(q, k, mask ? &*mask : nullptr, scale, b, h, i);
        double delta = 0;
        for (int64_t d = 0; d < v.shape[3]; ++d)
          delta += dout.at({b, i, h, d}) * o.at({b, i, h, d});
        for (int64_t j = 0; j < k.shape[1]; ++j) {
          double p = std::exp(scores[j] - lse.at({b, h, i})), dp = 0;
          for (int64_t d = 0; d < v.shape[3]; ++d) {
            dp += dout.at({b, i, h, d}) * v.at({b, j, h / group, d});
            dv.at({b, j, h / group, d}) += p * dout.at({b, i, h, d});
          }
          double ds = p * (dp - delta);
          for (int64_t d = 0; d < q.shape[3]; ++d) {
            dq.at({b, i, h, d}) += scale * ds * k.at({b, j, h / group, d});
            dk.at({b, j, h / group, d}) += scale * ds * q.at({b, i, h, d});
          }
        }
      }
}

bool Evaluator::evaluate(Operation *op) {
  // Places exist before they are referred to: a map that grows moves them.
  for (Value result : op->getResults())
    values.try_emplace(result);
  if (auto function = getElementwise(op)) {
    elementwise(op, function);
    return true;
  }
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](arith::ConstantOp op) {
        values[op] = toNumbers(cast<ElementsAttr>(op.getValue()));
        return true;
      })
      .Case([&](ReadOp op) {
        auto found = globals.find(op.getGlobal());
        if (found != globals.end())
          values[op.getResult()] = found->second;
        return found != globals.end();
      })
      .Case<tensor::ExpandShapeOp, tensor::CollapseShapeOp>([&](auto op) {
        values[op.getResult()] = values[op.getSrc()];
        return true;
      })
      .Case([&](tensor::ExtractSliceOp op) {
        SmallVector<bool> drops(op.getSourceType().getRank());
        llvm::SmallBitVector dropped = op.getDroppedDims();
        view(op, [&](Shape point) {
          Point from;
          for (unsigned dim = 0, next = 0; dim < drops.size(); ++dim)
            from.push_back(op.getStaticOffsets()[dim] +
                           (dropped[dim] ? 0 : point[next++]) *
                               op.getStaticStrides()[dim]);
          return from;
        });
        return true;
      })
      .Case([&](BroadcastOp op) {
        view(op, [&](Shape point) {
          Point from;
          for (int64_t dim : op.getDims())
            from.push_back(point[dim]);
          return from;
        });
        return true;
      })
      .Case([&](TransposeOp op) {
        view(op, [&](Shape point) {
          Point from(point.size());
          for (auto [dim, source] : llvm::enumerate(op.getPermutation()))
            from[source] = point[dim];
          return from;
        });
        return true;
      })
      .Case([&](LayerNormOp op) {
        normalise(op, op.getEps().convertToDouble(), true);
        return true;
      })
      .Case([&](RmsNormOp op) {
        normalise(op, op.getEps().convertToDouble(), false);
        return true;
      })
      .Case([&](tensor::ConcatOp op) { return concat(op), true; })
      .Case([&](ReduceOp op) { return reduce(op), true; })
      .Case([&](SoftmaxOp op) { return softmax(op), true; })
      .Case([&](MatmulOp op) { return matmul(op), true; })
      .Case([&](GatherOp op) { return gather(op), true; })
      .Case([&](ScatterAddOp op) { return scatterAdd(op), true; })
      .Case([&](AttentionOp op) { return attention(op), true; })
      .Case([&](AttentionGradOp op) { return attentionGrad(op), true; })
      .Default([](Operation *) { return false; });
}

std::vector<Numbers> dit::evaluate(func::FuncOp function,
                                   ArrayRef<Numbers> arguments,
                                   const GlobalNumbers &globals) {
  Evaluator evaluator(globals);
  for (auto [argument, numbers] :
       llvm::zip_equal(function.getArguments(), arguments)) {
    if (static_cast<int64_t>(numbers.size()) != countOf(shapeOf(argument))) {
      ADD_FAILURE() << "argument " << argument.getArgNumber() << " has "
                    << numbers.size() << " elements";
      return {};
    }
    evaluator.values[argument] = numbers;
  }
  for (Operation &op : function.getBody().front().without_terminator())
    if (!evaluator.evaluate(&op)) {
      ADD_FAILURE() << "the evaluator does not know "
                    << op.getName().getStringRef().str();
      return {};
    }
  std::vector<Numbers> results;
  for (Value result : function.getBody().front().getTerminator()->getOperands())
    results.push_back(evaluator.values[result]);
  return results;
}
