//===- GemmTuning.cpp - Which algorithm a product takes -------------------===//

#include "runtime/devices/cuda/GemmTuning.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/OutputFile.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr llvm::StringLiteral firstLine = "ditrun tuning 1";

llvm::Error GemmTuning::read(const CudaContext &context,
                             const BlasLibrary &library) {
  machine = "cuBLASLt " + library.api().version() + ", " + context.gpu().name;
  if (file.empty())
    return llvm::Error::success();
  auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/true);
  if (!buffer)
    return llvm::Error::success();
  llvm::SmallVector<llvm::StringRef> lines;
  (*buffer)->getBuffer().split(lines, '\n', -1, false);
  auto malformed = [&](size_t line) {
    return failure(Exit::Malformed, "'" + plan::escaped(file) + "', line " +
                                        llvm::Twine(line + 1) +
                                        ": no algorithms of ditrun --tune; "
                                        "delete the file");
  };
  if (lines.size() < 2 || lines[0] != firstLine)
    return malformed(0);
  if (lines[1] != machine)
    return llvm::Error::success();
  for (size_t i = 2; i != lines.size(); ++i) {
    auto [key, digits] = lines[i].split('\t');
    std::string bytes;
    MatmulAlgorithm algorithm;
    if (!llvm::tryGetFromHex(digits, bytes) ||
        bytes.size() != sizeof(algorithm))
      return malformed(i);
    std::memcpy(&algorithm, bytes.data(), sizeof(algorithm));
    algorithms[key.str()] = algorithm;
  }
  return llvm::Error::success();
}

llvm::Error GemmTuning::write() const {
  if (file.empty())
    return llvm::Error::success();
  std::string text = (firstLine + "\n" + machine + "\n").str();
  for (const auto &[key, algorithm] : algorithms)
    text +=
        key + "\t" +
        llvm::toHex(llvm::StringRef(reinterpret_cast<const char *>(&algorithm),
                                    sizeof(algorithm)),
                    /*LowerCase=*/true) +
        "\n";
  return plan::writeFile(
      file, {reinterpret_cast<const uint8_t *>(text.data()), text.size()});
}

namespace {

/// What measuring needs: two events, and memory larger than any cache, which is
/// written before each run, so that weights come from where they come from in a
/// model.
class Stopwatch {
public:
  static llvm::Expected<Stopwatch> create(const CudaContext &context);

  /// Milliseconds that a product takes.
  llvm::Expected<float> time(const CudaContext &context,
                             const MatrixProduct &product,
                             const MatmulAlgorithm &algorithm) const;

private:
  static constexpr uint64_t flushBytes = 128 << 20;

  Owned<DevicePointer> flush;
  Owned<Event> begin, end;
};

} // namespace

llvm::Expected<Stopwatch> Stopwatch::create(const CudaContext &context) {
  const CudaApi &api = context.api();
  DevicePointer memory = 0;
  if (llvm::Error error = api.check(api.memAlloc(&memory, flushBytes),
                                    "memory for measuring products"))
    return std::move(error);
  Stopwatch watch;
  watch.flush = {memory, api.memFree};
  for (Owned<Event> *slot : {&watch.begin, &watch.end}) {
    llvm::Expected<Owned<Event>> event = context.createEvent();
    if (!event)
      return event.takeError();
    *slot = std::move(*event);
  }
  return watch;
}

llvm::Expected<float> Stopwatch::time(const CudaContext &context,
                                      const MatrixProduct &product,
                                      const MatmulAlgorithm &algorithm) const {
  const CudaApi &api = context.api();
  Stream stream = context.stream();
  if (llvm::Error error = api.check(
          api.memsetD8Async(flush.get(), 0, flushBytes, stream), "tuning"))
    return std::move(error);
  if (llvm::Error error =
          api.check(api.eventRecord(begin.get(), stream), "tuning"))
    return std::move(error);
  if (llvm::Error error = product.enqueue(algorithm, stream))
    return std::move(error);
  if (llvm::Error error =
          api.check(api.eventRecord(end.get(), stream), "tuning"))
    return std::move(error);
  if (llvm::Error error = context.synchronize("tuning of " + product.name()))
    return std::move(error);
  float milliseconds = 0;
  if (llvm::Error error =
          api.check(api.eventElapsedTime(&milliseconds, begin.get(), end.get()),
                    "tuning"))
    return std::move(error);
  return milliseconds;
}

llvm::Expected<MatmulAlgorithm>
GemmTuning::fastest(const CudaContext &context,
                    const MatrixProduct &product) const {
  constexpr int mostCandidates = 24, runs = 7;
  llvm::Expected<std::vector<MatmulAlgorithm>> candidates =
      product.candidates(mostCandidates);
  if (!candidates)
    return candidates.takeError();
  llvm::Expected<Stopwatch> watch = Stopwatch::create(context);
  if (!watch)
    return watch.takeError();
  std::pair<float, size_t> best(HUGE_VALF, 0);
  for (size_t i = 0; i != candidates->size(); ++i) {
    std::vector<float> times;
    for (int run = 0; run != runs; ++run) {
      llvm::Expected<float> time =
          watch->time(context, product, (*candidates)[i]);
      if (!time)
        return time.takeError();
      times.push_back(*time);
    }
    // The first run loads the kernel; the median ignores it.
    std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
    best = std::min(best, std::pair(times[runs / 2], i));
  }
  return (*candidates)[best.second];
}

llvm::Expected<MatmulAlgorithm>
GemmTuning::choose(const CudaContext &context, const MatrixProduct &product) {
  auto known = algorithms.find(product.key());
  if (known != algorithms.end() && product.accepts(known->second))
    return known->second;
  if (!measure) {
    llvm::Expected<std::vector<MatmulAlgorithm>> candidates =
        product.candidates(1);
    if (!candidates)
      return candidates.takeError();
    return candidates->front();
  }
  llvm::Expected<MatmulAlgorithm> chosen = fastest(context, product);
  if (!chosen)
    return chosen.takeError();
  algorithms[product.key()] = *chosen;
  if (llvm::Error error = write())
    return std::move(error);
  return *chosen;
}
