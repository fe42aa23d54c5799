//===- MetricsFile.cpp - metrics.jsonl: one line a logged step ------------===//

#include "runtime/training/MetricsFile.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

void LossByTime::add(double t, double timesteps, double loss) {
  auto part = static_cast<int64_t>(
      std::clamp<double>(t * parts / timesteps, 0, parts - 1));
  sum[part] += loss;
  ++count[part];
}

std::optional<double> LossByTime::mean(int64_t part) const {
  if (count[part] == 0)
    return std::nullopt;
  return sum[part] / static_cast<double>(count[part]);
}

static llvm::json::Value finiteOrNull(double value) {
  return std::isfinite(value) ? llvm::json::Value(value) : nullptr;
}

/// One object on one line, its members in the order they are written.
static std::string
line(llvm::function_ref<void(llvm::json::OStream &json)> members) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::json::OStream json(os);
  json.object([&] { members(json); });
  return text;
}

std::string dit::runtime::encodeMetrics(const StepMetrics &metrics) {
  return line([&](llvm::json::OStream &json) {
    json.attribute("step", metrics.step);
    json.attribute("loss", finiteOrNull(metrics.loss()));
    json.attribute("mse", finiteOrNull(metrics.mse));
    json.attribute("vb", finiteOrNull(metrics.vb));
    json.attribute("grad_norm", finiteOrNull(metrics.gradientNorm));
    json.attribute("lr", finiteOrNull(metrics.learningRate));
    json.attribute("images_per_second", finiteOrNull(metrics.imagesPerSecond));
    json.attribute("milliseconds", finiteOrNull(metrics.milliseconds));
    json.attribute("memory_bytes", metrics.memoryBytes);
    if (metrics.lossScale)
      json.attribute("loss_scale", finiteOrNull(*metrics.lossScale));
    if (metrics.skipped)
      json.attribute("skipped", true);
    json.attributeArray("loss_by_t", [&] {
      for (int64_t part = 0; part != LossByTime::parts; ++part) {
        std::optional<double> mean = metrics.byTime.mean(part);
        json.value(mean ? finiteOrNull(*mean) : llvm::json::Value(nullptr));
      }
    });
  });
}

std::string dit::runtime::encodeEvaluation(int64_t step, double mse,
                                           double vb) {
  return line([&](llvm::json::OStream &json) {
    json.attribute("step", step);
    json.attribute("eval_mse", finiteOrNull(mse));
    json.attribute("eval_vb", finiteOrNull(vb));
  });
}

MetricsFile::MetricsFile(MetricsFile &&other) noexcept
    : path(std::move(other.path)), descriptor(other.descriptor) {
  other.descriptor = -1;
}

MetricsFile::~MetricsFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

/// The bytes of whole lines up to the first of a step after `step`. Our lines
/// begin with {"step":N, and steps rise.
static uint64_t keptBytes(llvm::StringRef text, int64_t step) {
  uint64_t kept = 0;
  while (true) {
    size_t end = text.find('\n', kept);
    if (end == llvm::StringRef::npos)
      return kept;
    llvm::StringRef number = text.slice(kept, end);
    int64_t value = 0;
    if (number.consume_front("{\"step\":") &&
        !number.consumeInteger(10, value) && value > step)
      return kept;
    kept = end + 1;
  }
}

llvm::Expected<MetricsFile> MetricsFile::open(llvm::StringRef folder,
                                              int64_t step) {
  std::string path = (folder + "/metrics.jsonl").str();
  auto cannot = [&] {
    std::string reason = std::strerror(errno);
    return failure(Exit::CannotCreate,
                   "cannot create '" + plan::escaped(path) + "': " + reason);
  };
  int descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return cannot();
  MetricsFile file(path, descriptor);
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> text =
      llvm::MemoryBuffer::getFile(path, false, false, true);
  if (!text)
    return failure(Exit::Missing, "cannot read '" + plan::escaped(path) +
                                      "': " + text.getError().message());
  uint64_t kept = keptBytes((*text)->getBuffer(), step);
  if (kept != (*text)->getBufferSize() && ::ftruncate(descriptor, kept) != 0)
    return cannot();
  return file;
}

llvm::Error MetricsFile::add(llvm::StringRef line) {
  std::string text = line.str() + "\n";
  llvm::StringRef rest = text;
  while (!rest.empty()) {
    ssize_t count = ::write(descriptor, rest.data(), rest.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      std::string reason = std::strerror(errno);
      return failure(Exit::InputOutput,
                     "cannot write '" + plan::escaped(path) + "': " + reason);
    }
    rest = rest.drop_front(count);
  }
  return llvm::Error::success();
}
