//===- Initialise.cpp - Parameters drawn from their recipes ---------------===//

#include "runtime/executor/Initialise.h"

#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/Twine.h"

#include <cmath>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

/// Elements a block draws; a multiple of the four of one counter.
static constexpr int64_t blockElements = 1 << 16;

/// Fills `values` block by block; `fill(begin, end)` gets multiples of four
/// but for the very end.
static void fillBlocks(std::vector<float> &values, ParallelFor parallelFor,
                       llvm::function_ref<void(int64_t, int64_t)> fill) {
  int64_t count = values.size();
  parallelFor((count + blockElements - 1) / blockElements, [&](int64_t begin,
                                                               int64_t end) {
    fill(begin * blockElements, std::min(end * blockElements, count));
  });
}

static PhiloxWords wordsOf(const proto::Init &init, int64_t quad) {
  return philox(philoxCounter(quad, init.stream(), 0, ParameterInit),
                init.seed());
}

static void drawNormal(const proto::Init &init, std::vector<float> &values,
                       ParallelFor parallelFor) {
  float deviation = init.value();
  fillBlocks(values, parallelFor, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      std::array<float, 4> drawn = normals(wordsOf(init, i / 4));
      for (int64_t j = i; j < std::min(i + 4, end); ++j)
        values[j] = deviation * drawn[j - i];
    }
  });
}

static void drawXavier(const proto::Init &init, std::vector<float> &values,
                       ParallelFor parallelFor) {
  float bound =
      std::sqrt(6.0 / (static_cast<double>(init.fan_in()) + init.fan_out()));
  fillBlocks(values, parallelFor, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 4) {
      PhiloxWords words = wordsOf(init, i / 4);
      for (int64_t j = i; j < std::min(i + 4, end); ++j)
        values[j] = bound * (2 * uniformBelowOne(words[j - i]) - 1);
    }
  });
}

/// DiT's fixed table for [1, grid * grid, D]: token (h, w) has the angles of w
/// in the first half of D and those of h in the second, each [sin | cos] over
/// omega_i = 10000^(-i / (D / 4)).
static llvm::Error fillSinCos(const proto::Piece &piece,
                              std::vector<float> &values) {
  llvm::ArrayRef<int64_t> shape = plan::dimensions(piece.file().shape());
  int64_t tokens = shape.size() < 2 ? 0 : shape[shape.size() - 2];
  int64_t width = shape.empty() ? 0 : shape.back();
  int64_t grid = std::llrint(std::sqrt(static_cast<double>(tokens)));
  if (grid * grid != tokens || tokens == 0 || width % 4 != 0 ||
      tokens * width != static_cast<int64_t>(values.size()))
    return failure(Exit::Malformed,
                   "'" + plan::escaped(piece.name()) +
                       "': a 2-D position "
                       "table must be [1, grid * grid, 4 k], not " +
                       plan::printTensor(piece.file()));
  int64_t quarter = width / 4;
  for (int64_t token = 0; token != tokens; ++token)
    for (int64_t half = 0; half != 2; ++half)
      for (int64_t i = 0; i != quarter; ++i) {
        double omega = std::pow(10000.0, -static_cast<double>(i) / quarter);
        double angle = omega * (half == 0 ? token % grid : token / grid);
        float *row = &values[token * width + half * 2 * quarter];
        row[i] = std::sin(angle);
        row[quarter + i] = std::cos(angle);
      }
  return llvm::Error::success();
}

llvm::Expected<std::vector<float>>
dit::runtime::drawPiece(const proto::Piece &piece, ParallelFor parallelFor) {
  const proto::Init &init = piece.init();
  std::vector<float> values(
      *plan::elementCount(plan::dimensions(piece.file().shape())));
  switch (init.kind()) {
  case proto::Init::ZEROS:
    break;
  case proto::Init::CONSTANT:
    std::fill(values.begin(), values.end(), static_cast<float>(init.value()));
    break;
  case proto::Init::NORMAL:
    drawNormal(init, values, parallelFor);
    break;
  case proto::Init::XAVIER_UNIFORM:
    drawXavier(init, values, parallelFor);
    break;
  case proto::Init::SINCOS_2D:
    if (llvm::Error error = fillSinCos(piece, values))
      return std::move(error);
    break;
  default:
    return failure(Exit::Unsupported, "'" + plan::escaped(piece.name()) +
                                          "' has an unknown kind of init");
  }
  return values;
}

static bool isDrawn(const proto::Global &global) {
  for (const proto::Piece &piece : global.pieces())
    if (piece.has_init())
      return true;
  return false;
}

static llvm::Expected<std::vector<uint8_t>>
drawGlobal(const proto::Global &global, ParallelFor parallelFor) {
  std::vector<uint8_t> tensor(*plan::tensorBytes(global.type()));
  for (const proto::Piece &piece : global.pieces()) {
    llvm::Expected<std::vector<float>> values = drawPiece(piece, parallelFor);
    if (!values)
      return values.takeError();
    // Values are drawn in fp32, whatever type a file would have had.
    proto::Piece drawn = piece;
    drawn.mutable_file()->set_type(proto::F32);
    llvm::ArrayRef<uint8_t> bytes(
        reinterpret_cast<const uint8_t *>(values->data()),
        values->size() * sizeof(float));
    if (llvm::Error error = plan::placePiece(drawn, global, bytes, tensor))
      return std::move(error);
  }
  return plan::storeTensor(global, std::move(tensor));
}

llvm::Error dit::runtime::initialiseParameters(Executor &executor) {
  const proto::Plan &plan = executor.metadata();
  auto parallelFor = [&](int64_t count,
                         llvm::function_ref<void(int64_t, int64_t)> body) {
    executor.device().hostParallel(count, body);
  };
  for (int i = 0; i != plan.globals_size(); ++i) {
    const proto::Global &global = plan.globals(i);
    if (global.mapped() || !isDrawn(global))
      continue;
    llvm::Expected<std::vector<uint8_t>> bytes =
        drawGlobal(global, parallelFor);
    if (!bytes)
      return bytes.takeError();
    if (llvm::Error error = executor.device().copyIn(i, 0, *bytes))
      return error;
  }
  return llvm::Error::success();
}
