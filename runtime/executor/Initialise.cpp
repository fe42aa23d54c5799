//===- Initialise.cpp - The first values of parameters --------------------===//

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

static PhiloxWords wordsOf(const proto::Init &init, int64_t quad) {
  return philox(philoxCounter(quad, init.stream(), 0, ParameterInit),
                init.seed());
}

static void drawNormal(const proto::Init &init, std::vector<float> &values) {
  float deviation = init.value();
  int64_t count = values.size();
  for (int64_t i = 0; i < count; i += 4) {
    std::array<float, 4> drawn = normals(wordsOf(init, i / 4));
    for (int64_t j = i; j < std::min(i + 4, count); ++j)
      values[j] = deviation * drawn[j - i];
  }
}

static void drawXavier(const proto::Init &init, std::vector<float> &values) {
  float bound =
      std::sqrt(6.0 / (static_cast<double>(init.fan_in()) + init.fan_out()));
  int64_t count = values.size();
  for (int64_t i = 0; i < count; i += 4) {
    PhiloxWords words = wordsOf(init, i / 4);
    for (int64_t j = i; j < std::min(i + 4, count); ++j)
      values[j] = bound * (2 * uniformBelowOne(words[j - i]) - 1);
  }
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

llvm::Error dit::runtime::drawPiece(const proto::Piece &piece,
                                    std::vector<float> &values) {
  const proto::Init &init = piece.init();
  values.assign(*plan::elementCount(plan::dimensions(piece.file().shape())), 0);
  switch (init.kind()) {
  case proto::Init::ZEROS:
    return llvm::Error::success();
  case proto::Init::CONSTANT:
    std::fill(values.begin(), values.end(), static_cast<float>(init.value()));
    return llvm::Error::success();
  case proto::Init::NORMAL:
    drawNormal(init, values);
    return llvm::Error::success();
  case proto::Init::XAVIER_UNIFORM:
    drawXavier(init, values);
    return llvm::Error::success();
  case proto::Init::SINCOS_2D:
    return fillSinCos(piece, values);
  default:
    return failure(Exit::Unsupported, "'" + plan::escaped(piece.name()) +
                                          "' has an unknown kind of init");
  }
}

namespace {

/// One global on its way: kept from global to global, so that the system does
/// not have to find (and clear) new memory for each.
struct Draft {
  unsigned global = 0;
  std::vector<float> values;
  std::vector<uint8_t> tensor;
  std::vector<uint8_t> stored;
  std::string problem;
};

} // namespace

static llvm::Error drawGlobal(const proto::Global &global, Draft &draft) {
  draft.tensor.assign(*plan::tensorBytes(global.type()), 0);
  for (const proto::Piece &piece : global.pieces()) {
    if (llvm::Error error = drawPiece(piece, draft.values))
      return error;
    // Values are drawn in fp32, whatever type a file would have had.
    proto::Piece drawn = piece;
    drawn.mutable_file()->set_type(proto::F32);
    llvm::ArrayRef<uint8_t> bytes(
        reinterpret_cast<const uint8_t *>(draft.values.data()),
        draft.values.size() * sizeof(float));
    if (llvm::Error error =
            plan::placePiece(drawn, global, bytes, draft.tensor))
      return error;
  }
  draft.stored.resize(global.bytes());
  plan::storeTensor(global, draft.tensor, draft.stored);
  return llvm::Error::success();
}

/// Memory is zero at start: what is only zeros needs no drawing.
static bool isZero(const proto::Global &global) {
  for (const proto::Piece &piece : global.pieces())
    if (piece.init().kind() != proto::Init::ZEROS)
      return false;
  return true;
}

/// The globals to draw; Exit::Missing lists those whose values nobody has.
static llvm::Expected<std::vector<unsigned>>
drawnGlobals(const proto::Plan &plan) {
  std::vector<unsigned> drawn;
  std::string missing;
  for (int i = 0; i != plan.globals_size(); ++i) {
    const proto::Global &global = plan.globals(i);
    if (global.mapped() || global.has_initial() ||
        global.role() != proto::Global::PARAMETER)
      continue;
    bool known = global.pieces_size() != 0;
    for (const proto::Piece &piece : global.pieces())
      known &= piece.has_init();
    if (!known)
      missing += (missing.empty() ? "" : ", ") + plan::escaped(global.name());
    else if (!isZero(global))
      drawn.push_back(i);
  }
  if (!missing.empty())
    return failure(Exit::Missing,
                   "the plan has no values for " + missing +
                       "; compile it without --external-weights");
  return drawn;
}

/// Copies what the plan has for globals in memory.
static llvm::Error copyInitial(Executor &executor) {
  const proto::Plan &plan = executor.metadata();
  for (int i = 0; i != plan.globals_size(); ++i) {
    const proto::Global &global = plan.globals(i);
    if (!global.has_initial())
      continue;
    if (llvm::Error error = executor.device().copyIn(
            i, 0, executor.weights().slice(global.initial(), global.bytes())))
      return error;
  }
  return llvm::Error::success();
}

/// Draws a group in parallel, then hands it to the device one by one.
static llvm::Error drawGroup(Executor &executor,
                             llvm::MutableArrayRef<Draft> group) {
  const proto::Plan &plan = executor.metadata();
  executor.device().hostParallel(group.size(), [&](int64_t begin, int64_t end) {
    for (Draft &draft : group.slice(begin, end - begin))
      if (llvm::Error error = drawGlobal(plan.globals(draft.global), draft))
        draft.problem = plan::describe(std::move(error)).second;
  });
  for (Draft &draft : group) {
    if (!draft.problem.empty())
      return failure(Exit::Malformed, draft.problem);
    if (llvm::Error error =
            executor.device().copyIn(draft.global, 0, draft.stored))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error dit::runtime::initialiseParameters(Executor &executor) {
  if (llvm::Error error = copyInitial(executor))
    return error;
  const proto::Plan &plan = executor.metadata();
  llvm::Expected<std::vector<unsigned>> drawn = drawnGlobals(plan);
  if (!drawn)
    return drawn.takeError();
  // A group is bounded in bytes, so that drawing needs little memory, and
  // large enough for all threads.
  constexpr uint64_t groupBytes = 256 << 20;
  std::vector<Draft> drafts;
  for (size_t first = 0; first != drawn->size();) {
    uint64_t bytes = 0;
    size_t count = 0;
    for (; first + count != drawn->size(); ++count) {
      bytes += plan.globals((*drawn)[first + count]).bytes();
      if (count && bytes > groupBytes)
        break;
      if (drafts.size() == count)
        drafts.emplace_back();
      drafts[count].global = (*drawn)[first + count];
    }
    if (llvm::Error error = drawGroup(
            executor, llvm::MutableArrayRef(drafts).take_front(count)))
      return error;
    first += count;
  }
  return llvm::Error::success();
}
