//===- CudaDevice.cpp - A plan on an NVIDIA GPU ---------------------------===//

#include "runtime/devices/cuda/CudaDevice.h"

#include "runtime/devices/cpu/CpuFeatures.h"
#include "runtime/devices/cpu/ThreadPool.h"
#include "runtime/devices/cuda/CudaAttention.h"
#include "runtime/devices/cuda/CudaAttentionGrad.h"
#include "runtime/devices/cuda/CudaGemm.h"
#include "runtime/devices/cuda/FlashAttention.h"
#include "runtime/devices/cuda/FlashAttentionGrad.h"
#include "runtime/devices/cuda/HostCopies.h"
#include "runtime/devices/cuda/StreamCapture.h"
#include "runtime/devices/cuda/WeightUpload.h"
#include "runtime/plan/Accesses.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Memory.h"

#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>

using namespace dit;
using namespace dit::runtime;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

class CudaDevice : public Device {
public:
  explicit CudaDevice(const CudaOptions &options)
      : pool(options.hostThreads ? options.hostThreads : availableCores()),
        tuning(options.tuningFile, options.tune) {
    const char *value = std::getenv("DIT_CUDA_SYNC");
    eachAlone = value && llvm::StringRef(value) == "1";
  }

  std::string description() const override;
  llvm::Error load(const plan::PlanView &view) override;
  std::vector<Stage> loadStages() const override { return stages; }
  llvm::Expected<std::unique_ptr<Command>>
  prepare(const proto::Instruction &instruction) override;
  llvm::Error enqueue(Command &command) override;
  llvm::Error waitFor(uint64_t pending) override;
  llvm::Expected<std::unique_ptr<Command>>
  record(llvm::ArrayRef<Command *> commands, size_t background) override;
  llvm::Expected<std::vector<Span>>
  runTimed(llvm::ArrayRef<Command *> commands) override;
  llvm::Error copyIn(unsigned global, uint64_t offset,
                     llvm::ArrayRef<uint8_t> bytes) override;
  llvm::Error copyOut(unsigned global, uint64_t offset,
                      llvm::MutableArrayRef<uint8_t> bytes) override;
  llvm::Expected<std::unique_ptr<Arrival>>
  startCopyOut(llvm::ArrayRef<Part> parts) override;
  bool worksOnItsOwn() const override { return true; }
  void hostParallel(int64_t count,
                    llvm::function_ref<void(int64_t, int64_t)> body) override;

private:
  using Clock = std::chrono::steady_clock;

  void addStage(const char *name, Clock::time_point &start);
  llvm::Error allocate(const plan::PlanView &view);
  llvm::Expected<DevicePointer> allocateBytes(uint64_t bytes,
                                              Owned<DevicePointer> &slot);
  llvm::Expected<std::unique_ptr<CudaCommand>>
  createCommand(const proto::Instruction &instruction);
  llvm::Error openDnn();
  llvm::Expected<std::unique_ptr<CudaCommand>>
  createProduct(const proto::Gemm &gemm);
  std::vector<Extent> findExtents(const proto::Instruction &instruction,
                                  const CudaCommand &command) const;
  llvm::Error waitForMark(uint64_t pending);
  std::string describePending() const;
  llvm::Error checkRange(unsigned global, uint64_t offset, uint64_t bytes);
  const proto::Plan &plan() const { return *addresses.plan; }

  ThreadPool pool;
  GemmTuning tuning;
  bool eachAlone = false;
  // In this order: what is on the context goes before it.
  std::unique_ptr<CudaContext> context;
  Owned<DevicePointer> arena, globals, weights;
  std::optional<HostCopies> hostCopies;
  CudaAddresses addresses;
  KernelCode kernels;
  std::optional<FlashKernels> flash;
  std::shared_ptr<BlasLibrary> blas;
  std::shared_ptr<DnnLibrary> dnn;
  uint64_t plannedBytes = 0;
  std::vector<Stage> stages;
  // Commands enqueued, and known to be done; what errors call the first of the
  // others; and marks among these, which the GPU passes.
  struct Mark {
    Owned<Event> event;
    uint64_t enqueued;
  };
  uint64_t enqueued = 0, done = 0;
  std::string firstPending;
  std::deque<Mark> marks;
};

} // namespace

std::string CudaDevice::description() const {
  if (!context)
    return "an NVIDIA GPU";
  std::string text = context->gpu().name + " (sm_" +
                     std::to_string(context->gpu().sm) + ", driver for CUDA " +
                     printVersion(context->driverVersion());
  llvm::Expected<std::pair<uint64_t, uint64_t>> memory = context->memory();
  if (!memory) {
    llvm::consumeError(memory.takeError());
    return text + ")";
  }
  // What other processes use counts here too: the driver does not tell.
  uint64_t used = memory->second - memory->first;
  return text + "; " + plan::printBytes(plannedBytes) + " planned, " +
         plan::printBytes(used - std::min(used, plannedBytes)) +
         " for context and libraries)";
}

llvm::Expected<DevicePointer>
CudaDevice::allocateBytes(uint64_t bytes, Owned<DevicePointer> &slot) {
  if (bytes == 0)
    return 0;
  DevicePointer address = 0;
  if (llvm::Error error = context->api().check(
          context->api().memAlloc(&address, bytes), "cuMemAlloc"))
    return std::move(error);
  slot = {address, context->api().memFree};
  plannedBytes += bytes;
  return address;
}

llvm::Error CudaDevice::allocate(const plan::PlanView &view) {
  const proto::Plan &metadata = view.metadata;
  llvm::Expected<std::pair<uint64_t, uint64_t>> memory = context->memory();
  if (!memory)
    return memory.takeError();
  addresses.plan = &metadata;
  for (auto [bytes, slot, address] :
       {std::tuple(metadata.arena_bytes(), &arena, &addresses.arena),
        std::tuple(metadata.globals_bytes(), &globals, &addresses.globals),
        std::tuple(plan::mappedEnd(metadata), &weights, &addresses.weights)}) {
    llvm::Expected<DevicePointer> allocated = allocateBytes(bytes, *slot);
    if (!allocated) {
      auto [code, text] = plan::describe(allocated.takeError());
      return failure(
          code, "not enough memory on " + context->gpu().name + ": " +
                    plan::printBytes(memory->first) + " are free of " +
                    plan::printBytes(memory->second) + ", the plan needs\n" +
                    plan::printMemoryTable(metadata) + text);
    }
    *address = *allocated;
  }
  if (metadata.globals_bytes() == 0)
    return llvm::Error::success();
  return context->api().check(
      context->api().memsetD8Async(addresses.globals, 0,
                                   metadata.globals_bytes(), context->stream()),
      "cuMemsetD8Async");
}

llvm::Error CudaDevice::load(const plan::PlanView &view) {
  const proto::Target &target = view.metadata.target();
  if (target.kind() != "cuda")
    return failure(Exit::Unsupported, "the plan is for target '" +
                                          plan::escaped(target.kind()) +
                                          "', this device is cuda");
  if (target.world_size() > 1)
    return failure(Exit::Unsupported, "the plan is for " +
                                          llvm::Twine(target.world_size()) +
                                          " ranks; this ditrun runs one");
  Clock::time_point start = Clock::now();
  llvm::Expected<std::unique_ptr<CudaContext>> created = CudaContext::create();
  if (!created)
    return plan::within(created.takeError(), "the plan is for an NVIDIA GPU (" +
                                                 plan::escaped(target.cpu()) +
                                                 ")");
  context = std::move(*created);
  hostCopies.emplace(*context);
  addStage("context", start);
  llvm::Expected<KernelCode> code = KernelCode::load(*context, view);
  if (!code)
    return code.takeError();
  kernels = std::move(*code);
  flash.emplace(*context, view);
  addStage("code", start);
  if (llvm::Error error = allocate(view))
    return error;
  addStage("memory", start);
  if (llvm::Error error = uploadWeights(
          *context, view.weights.take_front(plan::mappedEnd(view.metadata)),
          addresses.weights, pool))
    return error;
  addStage("weights", start);
  return llvm::Error::success();
}

/// Ends a stage that began at `start`, where the next one begins.
void CudaDevice::addStage(const char *name, Clock::time_point &start) {
  Clock::time_point now = Clock::now();
  stages.push_back({name, std::chrono::duration<double>(now - start).count()});
  start = now;
}

llvm::Expected<std::unique_ptr<CudaCommand>>
CudaDevice::createProduct(const proto::Gemm &gemm) {
  if (!blas) {
    llvm::Expected<std::shared_ptr<BlasLibrary>> opened = BlasLibrary::open();
    if (!opened)
      return opened.takeError();
    blas = std::move(*opened);
    if (llvm::Error error = tuning.read(*context, *blas))
      return std::move(error);
  }
  llvm::Expected<std::unique_ptr<CudaCommand>> command =
      createGemm(gemm, addresses, *context, blas, tuning);
  if (!command)
    return command;
  // Globals are zero at start, and measuring wrote some.
  std::vector<const proto::Place *> written{&gemm.c()};
  if (gemm.activation() == proto::Gemm::GELU_TANH)
    written.push_back(&gemm.aux());
  for (const proto::Place *place : written)
    if (place->space() == proto::Place::GLOBAL)
      if (llvm::Error error = context->api().check(
              context->api().memsetD8Async(addresses(*place), 0, place->bytes(),
                                           context->stream()),
              "cuMemsetD8Async"))
        return std::move(error);
  return command;
}

/// Opens cuDNN, unless it is open.
llvm::Error CudaDevice::openDnn() {
  if (dnn)
    return llvm::Error::success();
  llvm::Expected<std::shared_ptr<DnnLibrary>> opened =
      DnnLibrary::open(*context);
  if (!opened)
    return opened.takeError();
  dnn = std::move(*opened);
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<CudaCommand>>
CudaDevice::createCommand(const proto::Instruction &instruction) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return createLaunch(instruction.launch(), addresses, kernels);
  case proto::Instruction::kGemm:
    return createProduct(instruction.gemm());
  case proto::Instruction::kAttention:
    if (instruction.attention().has_flash())
      return createFlashAttention(instruction.attention(), addresses, *context,
                                  *flash);
    if (llvm::Error error = openDnn())
      return std::move(error);
    return createAttention(instruction.attention(), addresses, dnn);
  case proto::Instruction::kAttentionGrad:
    if (instruction.attention_grad().has_flash())
      return createFlashAttentionGrad(instruction.attention_grad(), addresses,
                                      *flash);
    if (llvm::Error error = openDnn())
      return std::move(error);
    return createAttentionGrad(instruction.attention_grad(), addresses, dnn);
  case proto::Instruction::kCopy:
    return createCopy(instruction.copy(), addresses);
  case proto::Instruction::kFill:
    return createFill(instruction.fill(), addresses);
  default:
    return failure(Exit::Unsupported,
                   "this ditrun has no cuda kernel for the instruction");
  }
}

std::vector<Extent>
CudaDevice::findExtents(const proto::Instruction &instruction,
                        const CudaCommand &command) const {
  const proto::Place *idle = instruction.has_gemm() && !command.usesWorkspace()
                                 ? &instruction.gemm().workspace()
                                 : nullptr;
  std::vector<Extent> extents;
  plan::visitAccesses(
      plan(), instruction, [&](const proto::Place &place, bool isWritten) {
        DevicePointer begin = addresses(place);
        if (&place != idle && place.bytes())
          extents.push_back({begin, begin + place.bytes(), isWritten});
      });
  return extents;
}

llvm::Expected<std::unique_ptr<Command>>
CudaDevice::prepare(const proto::Instruction &instruction) {
  llvm::Expected<std::unique_ptr<CudaCommand>> command =
      createCommand(instruction);
  if (!command)
    return command.takeError();
  (*command)->location = instruction.location();
  (*command)->extents = findExtents(instruction, **command);
  return std::move(*command);
}

llvm::Error CudaDevice::enqueue(Command &command) {
  auto &work = static_cast<CudaCommand &>(command);
  if (llvm::Error error = work.enqueueInRange(*context))
    return error;
  if (eachAlone)
    return context->synchronize(work.name());
  if (enqueued++ == done)
    firstPending = work.name();
  return llvm::Error::success();
}

std::string CudaDevice::describePending() const {
  uint64_t count = enqueued - done;
  if (count == 0)
    return "the GPU";
  if (count == 1)
    return firstPending;
  return "one of " + std::to_string(count) +
         " instructions, the first of them " + firstPending +
         " (DIT_CUDA_SYNC=1 tells which)";
}

/// Puts a mark behind what is enqueued, and waits for the first one before
/// which enough is done. The GPU goes on with what is behind that.
llvm::Error CudaDevice::waitForMark(uint64_t pending) {
  const CudaApi &api = context->api();
  if (marks.empty() || marks.back().enqueued != enqueued) {
    Event event = nullptr;
    if (llvm::Error error = api.check(
            api.eventCreate(&event, eventDisableTiming), "cuEventCreate"))
      return error;
    marks.push_back({Owned<Event>(event, api.eventDestroy), enqueued});
    if (llvm::Error error = api.check(api.eventRecord(event, context->stream()),
                                      "cuEventRecord"))
      return error;
  }
  while (enqueued - done > pending) {
    if (llvm::Error error = api.check(
            api.eventSynchronize(marks.front().event.get()), describePending()))
      return error;
    done = marks.front().enqueued;
    marks.pop_front();
  }
  return llvm::Error::success();
}

llvm::Error CudaDevice::waitFor(uint64_t pending) {
  if (pending)
    return waitForMark(pending);
  std::string what = describePending();
  done = enqueued;
  marks.clear();
  return context->synchronize(what);
}

static std::vector<CudaCommand *>
asCudaCommands(llvm::ArrayRef<Command *> commands) {
  std::vector<CudaCommand *> cudaCommands;
  for (Command *command : commands)
    cudaCommands.push_back(static_cast<CudaCommand *>(command));
  return cudaCommands;
}

llvm::Expected<std::unique_ptr<Command>>
CudaDevice::record(llvm::ArrayRef<Command *> commands, size_t background) {
  if (eachAlone || commands.empty())
    return nullptr;
  std::vector<CudaCommand *> list = asCudaCommands(commands);
  // What does not train is a chain: branches were measured to gain nothing.
  bool hasBranches = plan().mode() == "train" && !kernels.anyOverlaps();
  llvm::Expected<std::unique_ptr<CudaCommand>> graph =
      hasBranches ? captureBranches(*context, list, background)
                  : captureCommands(*context, list);
  if (!graph)
    return graph.takeError();
  return std::move(*graph);
}

llvm::Expected<std::vector<Device::Span>>
CudaDevice::runTimed(llvm::ArrayRef<Command *> commands) {
  return timeCommands(*context, asCudaCommands(commands));
}

llvm::Error CudaDevice::checkRange(unsigned global, uint64_t offset,
                                   uint64_t bytes) {
  const proto::Global &target = plan().globals(global);
  if (offset > target.bytes() || bytes > target.bytes() - offset)
    return failure(Exit::Internal, "a host copy reaches past global '" +
                                       plan::escaped(target.name()) + "'");
  return llvm::Error::success();
}

llvm::Error CudaDevice::copyIn(unsigned global, uint64_t offset,
                               llvm::ArrayRef<uint8_t> bytes) {
  if (llvm::Error error = checkRange(global, offset, bytes.size()))
    return error;
  const proto::Global &target = plan().globals(global);
  if (target.mapped())
    return failure(Exit::Internal, "global '" + plan::escaped(target.name()) +
                                       "' is mapped and cannot be written");
  if (bytes.empty())
    return llvm::Error::success();
  DevicePointer to = addresses.global(global) + offset;
  std::string what = "copy to global '" + plan::escaped(target.name()) + "'";
  // What a step is given, written while the GPU does the one before.
  if (target.role() == proto::Global::INPUT)
    return hostCopies->copyIn(global, target.bytes(), to, bytes, what);
  // From memory that is not pinned: the bytes are taken before it returns.
  return context->api().check(context->api().memcpyHtoDAsync(to, bytes.data(),
                                                             bytes.size(),
                                                             context->stream()),
                              what);
}

llvm::Error CudaDevice::copyOut(unsigned global, uint64_t offset,
                                llvm::MutableArrayRef<uint8_t> bytes) {
  if (llvm::Error error = checkRange(global, offset, bytes.size()))
    return error;
  if (bytes.empty())
    return llvm::Error::success();
  if (llvm::Error error = synchronize())
    return error;
  std::string what =
      "copy from global '" + plan::escaped(plan().globals(global).name()) + "'";
  if (llvm::Error error = context->api().check(
          context->api().memcpyDtoHAsync(bytes.data(),
                                         addresses.global(global) + offset,
                                         bytes.size(), context->stream()),
          what))
    return error;
  return context->synchronize(what);
}

llvm::Expected<std::unique_ptr<Arrival>>
CudaDevice::startCopyOut(llvm::ArrayRef<Part> parts) {
  std::vector<HostCopies::Source> sources;
  std::string names;
  for (const Part &part : parts) {
    if (llvm::Error error = checkRange(part.global, 0, part.bytes))
      return std::move(error);
    sources.push_back({addresses.global(part.global), part.bytes});
    names += (names.empty() ? "" : ", ") +
             plan::escaped(plan().globals(part.global).name());
  }
  return hostCopies->startCopyOut(std::move(sources),
                                  "copy from globals " + names);
}

void CudaDevice::hostParallel(int64_t count,
                              llvm::function_ref<void(int64_t, int64_t)> body) {
  pool.parallelFor(
      count, 1, pool.threads(),
      [&](unsigned, int64_t begin, int64_t end) { body(begin, end); });
}

std::unique_ptr<Device>
dit::runtime::createCudaDevice(const CudaOptions &options) {
  return std::make_unique<CudaDevice>(options);
}
