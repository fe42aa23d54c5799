//===- RunGpuCases.cpp - Kernels on the GPU against expected numbers ------===//
//
// usage: run-gpu-cases FOLDER          every case of the folder (GpuCase.h)
//        run-gpu-cases --time FILE.ptx…  the kernels of each beside a copy in
//                                        the GPU's memory
//
// Results are poisoned first, and what lies behind them must stay.
//
//===----------------------------------------------------------------------===//
#include "runtime/devices/cuda/CudaContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <random>
#include <set>

using namespace llvm;
using namespace dit::runtime::cuda;

static ExitOnError check("run-gpu-cases: error: ");
static constexpr size_t guardBytes = 256;
static constexpr unsigned char poison = 0xff;

static void checkCuda(Result result, const Twine &what) {
  if (result != Success)
    check(createStringError("%s: CUDA error %d", what.str().c_str(), result));
}

static std::string readFile(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    check(createStringError(buffer.getError(), path));
  return (*buffer)->getBuffer().str();
}

namespace {
/// A module's kernel and memory for its operands.
class Launch {
public:
  /// `line` is one of the first lines of `ptx`.
  Launch(const CudaContext &gpu, const std::string &ptx, StringRef line)
      : gpu(gpu) {
    const CudaApi &api = gpu.api();
    auto [name, rest] = line.drop_front(3).split(": ");
    symbol = name.str();
    SmallVector<StringRef> words;
    rest.split(words, ' ');
    words[0].getAsInteger(10, blocks);
    words[3].getAsInteger(10, threads);
    words[5].getAsInteger(10, sharedBytes);
    for (StringRef word : ArrayRef(words).drop_front(7)) {
      size_t bytes;
      if (word.getAsInteger(10, bytes)) {
        inputs = sizes.size();
        continue;
      }
      sizes.push_back(bytes);
      addresses.emplace_back();
      checkCuda(api.memAlloc(&addresses.back(), bytes + guardBytes), symbol);
    }
    checkCuda(api.moduleLoadDataEx(&module, ptx.c_str(), 0, nullptr, nullptr),
              symbol + ": loading");
    checkCuda(api.moduleGetFunction(&function, module, symbol.c_str()), symbol);
  }

  ~Launch() {
    for (DevicePointer address : addresses)
      gpu.api().memFree(address);
    gpu.api().moduleUnload(module);
  }

  void fill(size_t operand, unsigned char byte) {
    checkCuda(gpu.api().memsetD8Async(addresses[operand], byte,
                                      sizes[operand] + guardBytes,
                                      gpu.stream()),
              symbol);
  }
  void write(size_t operand, const char *bytes) {
    checkCuda(gpu.api().memcpyHtoDAsync(addresses[operand], bytes,
                                        sizes[operand], gpu.stream()),
              symbol);
  }
  std::string read(size_t operand) {
    std::string bytes(sizes[operand] + guardBytes, 0);
    checkCuda(gpu.api().memcpyDtoHAsync(bytes.data(), addresses[operand],
                                        bytes.size(), gpu.stream()),
              symbol);
    check(gpu.synchronize(symbol));
    return bytes;
  }
  void run() {
    std::vector<void *> parameters;
    for (DevicePointer &address : addresses)
      parameters.push_back(&address);
    checkCuda(gpu.api().launchKernel(function, blocks, 1, 1, threads, 1, 1,
                                     sharedBytes, gpu.stream(),
                                     parameters.data(), nullptr),
              symbol);
  }

  int getRegisters() const {
    constexpr auto numRegs = static_cast<FunctionAttribute>(4);
    int registers = 0;
    checkCuda(gpu.api().funcGetAttribute(&registers, numRegs, function),
              symbol);
    return registers;
  }

  std::string symbol;
  size_t inputs = 0;
  std::vector<size_t> sizes;

private:
  const CudaContext &gpu;
  unsigned blocks = 0, threads = 0, sharedBytes = 0;
  std::vector<DevicePointer> addresses;
  Module module = nullptr;
  Function function = nullptr;
};
} // namespace

/// The number of `type` at `place`.
static double getNumber(StringRef type, const char *place) {
  auto as = [&](auto number) {
    memcpy(&number, place, sizeof(number));
    return number;
  };
  if (type == "bf16") {
    uint32_t bits = uint32_t(as(uint16_t())) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
  }
  if (type == "f16")
    return static_cast<double>(as(_Float16()));
  if (type == "f32")
    return as(float());
  if (type == "f64")
    return as(double());
  if (type == "i64")
    return static_cast<double>(as(int64_t()));
  if (type == "i32")
    return as(int32_t());
  return as(int8_t());
}

/// Runs one case; whether every number is right.
static bool runCase(const CudaContext &gpu, const std::string &stem) {
  std::string ptx = readFile(stem + ".ptx"), data = readFile(stem + ".case");
  Launch launch(gpu, ptx, StringRef(ptx).split('\n').first);
  size_t end = data.find("\n\n");
  SmallVector<StringRef> lines;
  StringRef(data).take_front(end).split(lines, '\n');
  double tolerance;
  lines[0].getAsDouble(tolerance);
  std::vector<std::string> types;
  std::vector<bool> isWide;
  for (StringRef line : ArrayRef(lines).drop_front())
    if (line != "->")
      types.push_back(line.split(' ').first.str()),
          isWide.push_back(line.ends_with("8"));
  const char *next = data.data() + end + 2;
  for (size_t i = 0; i < launch.inputs; next += launch.sizes[i++])
    launch.write(i, next);
  for (size_t i = launch.inputs; i < types.size(); ++i)
    launch.fill(i, poison);
  launch.run();

  bool isRight = true;
  for (size_t i = launch.inputs; i < types.size(); ++i) {
    std::string bytes = launch.read(i);
    StringRef type = types[i];
    size_t width = type == "f64" || type == "i64"    ? 8
                   : type == "f32" || type == "i32"  ? 4
                   : type == "bf16" || type == "f16" ? 2
                                                     : 1;
    double worst = 0;
    size_t count = launch.sizes[i] / width;
    for (size_t j = 0; j < count; ++j) {
      double expected = getNumber(isWide[i] ? "f64" : "f32", next);
      next += isWide[i] ? 8 : 4;
      double number = getNumber(type, bytes.data() + j * width);
      double difference =
          std::fabs(number - expected) / (1 + std::fabs(expected));
      if (std::isnan(expected) && std::isnan(number))
        difference = 0;
      if (number == expected)
        difference = 0;
      if (!(difference <= worst))
        worst = std::isnan(difference) ? INFINITY : difference;
    }
    StringRef guard = StringRef(bytes).drop_front(launch.sizes[i]);
    bool isIntact = guard.find_first_not_of('\xff') == StringRef::npos;
    if (worst <= tolerance && isIntact)
      continue;
    isRight = false;
    outs() << sys::path::stem(stem) << ": result " << i - launch.inputs
           << format(" differs by %g, may by %g%s\n", worst, tolerance,
                     isIntact ? "" : "; written behind its end");
  }
  return isRight;
}

/// Microseconds of one of `count` runs of `work`, replayed as one graph: the
/// median of several replays.
static double timeRuns(const CudaContext &gpu, int count,
                       function_ref<void(int)> work) {
  const CudaApi &api = gpu.api();
  Graph made = nullptr;
  GraphExec instance = nullptr;
  checkCuda(api.streamBeginCapture(gpu.stream(), CaptureRelaxed), "capture");
  for (int i = 0; i < count; ++i)
    work(i);
  checkCuda(api.streamEndCapture(gpu.stream(), &made), "capture");
  Owned<Graph> graph(made, api.graphDestroy);
  checkCuda(api.graphInstantiate(&instance, made, 0), "graph");
  Owned<GraphExec> runs(instance, api.graphExecDestroy);
  Owned<Event> begin = check(gpu.createEvent()), end = check(gpu.createEvent());
  std::vector<float> times;
  // The first replays let the clock rise.
  constexpr int warm = 5, replays = 9;
  for (int replay = 0; replay < warm + replays; ++replay) {
    checkCuda(api.eventRecord(begin.get(), gpu.stream()), "event");
    checkCuda(api.graphLaunch(instance, gpu.stream()), "graph");
    checkCuda(api.eventRecord(end.get(), gpu.stream()), "event");
    checkCuda(api.eventSynchronize(end.get()), "event");
    float milliseconds;
    checkCuda(api.eventElapsedTime(&milliseconds, begin.get(), end.get()),
              "event");
    if (replay >= warm)
      times.push_back(milliseconds);
  }
  llvm::sort(times);
  return times[replays / 2] * 1000 / count;
}

/// Numbers in [-1, -0.5] and [0.5, 1], as bf16 and as fp32.
static std::string makeNumbers(size_t bytes) {
  std::string numbers(bytes, 0);
  std::minstd_rand generator;
  for (size_t i = 0; i + 1 < bytes; i += 2) {
    auto random = static_cast<unsigned>(generator()) >> 8;
    numbers[i] = static_cast<char>(random);
    numbers[i + 1] = static_cast<char>(0x3f | (random >> 1 & 0x80));
  }
  return numbers;
}

/// A kernel beside a copy of as many bytes. Operands that fit the GPU's cache
/// stay there, as the kernel before would have left them; others change from
/// run to run, so that none of them does.
static void timeKernel(const CudaContext &gpu, const std::string &ptx,
                       StringRef line) {
  constexpr double fitting = 25e6, cacheBytes = 160e6;
  constexpr int mostSets = 8;
  std::vector<std::unique_ptr<Launch>> sets;
  double bytes = 0;
  do {
    sets.push_back(std::make_unique<Launch>(gpu, ptx, line));
    Launch &launch = *sets.back();
    bytes = 0;
    for (size_t i = 0; i < launch.sizes.size(); ++i) {
      if (i < launch.inputs)
        launch.write(i, makeNumbers(launch.sizes[i]).c_str());
      bytes += static_cast<double>(launch.sizes[i]);
    }
  } while (bytes > fitting && sets.size() < mostSets &&
           static_cast<double>(sets.size()) * bytes < cacheBytes);
  int count = bytes < 1e7 ? 200 : 24;
  double time =
      timeRuns(gpu, count, [&](int run) { sets[run % sets.size()]->run(); });
  std::vector<Owned<DevicePointer>> memory;
  auto half = static_cast<size_t>(bytes / 2);
  for (size_t i = 0; i < 2 * sets.size(); ++i) {
    DevicePointer address;
    checkCuda(gpu.api().memAlloc(&address, half + guardBytes), "copy");
    memory.emplace_back(address, gpu.api().memFree);
  }
  double copy = timeRuns(gpu, count, [&](int run) {
    size_t set = 2 * (run % sets.size());
    checkCuda(gpu.api().memcpyDtoDAsync(
                  memory[set].get(), memory[set + 1].get(), half, gpu.stream()),
              "copy");
  });
  outs() << sets[0]->symbol
         << format(": %.2f us, %.0f GB/s; a copy of as many bytes %.2f us, "
                   "%.0f GB/s: %.1f %%; %d registers\n",
                   time, bytes / time / 1e3, copy, bytes / copy / 1e3,
                   100 * copy / time, sets[0]->getRegisters());
}

int main(int count, char **arguments) {
  if (count < 2) {
    errs() << "usage: run-gpu-cases FOLDER | --time FILE.ptx...\n";
    return 64;
  }
  auto gpu = check(CudaContext::create());
  outs() << gpu->gpu().name << "\n";
  if (StringRef(arguments[1]) == "--time") {
    for (int i = 2; i < count; ++i) {
      std::string ptx = readFile(arguments[i]);
      SmallVector<StringRef> lines;
      StringRef(ptx).split(lines, '\n');
      for (StringRef line : lines)
        if (line.contains(" blocks of "))
          timeKernel(*gpu, ptx, line);
    }
    return 0;
  }
  std::error_code error;
  std::set<std::string> stems;
  for (sys::fs::directory_iterator file(arguments[1], error), end;
       file != end && !error; file.increment(error))
    if (sys::path::extension(file->path()) == ".case")
      stems.insert(StringRef(file->path()).drop_back(5).str());
  size_t right = 0;
  for (const std::string &stem : stems)
    right += runCase(*gpu, stem);
  outs() << right << " of " << stems.size() << " kernels are right\n";
  return right == stems.size() && right > 0 ? 0 : 1;
}
