//===- StreamCapture.cpp - Many commands as one CUDA graph ----------------===//
//
// Capture is relaxed: libraries load kernels on their first use, which may
// happen in it.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cuda/StreamCapture.h"

#include "llvm/ADT/STLFunctionalExtras.h"

using namespace dit::runtime;
using namespace dit::runtime::cuda;

/// Captures what `body` puts on the stream, ready to launch.
static llvm::Expected<Owned<GraphExec>>
capture(const CudaContext &context, llvm::function_ref<llvm::Error()> body) {
  const CudaApi &api = context.api();
  if (llvm::Error error =
          api.check(api.streamBeginCapture(context.stream(), CaptureRelaxed),
                    "cuStreamBeginCapture"))
    return std::move(error);
  llvm::Error error = body();
  Graph made = nullptr;
  Result ended = api.streamEndCapture(context.stream(), &made);
  Owned<Graph> graph(made, api.graphDestroy);
  if (error)
    return std::move(error);
  if (llvm::Error failed = api.check(ended, "cuStreamEndCapture"))
    return std::move(failed);
  GraphExec executable = nullptr;
  if (llvm::Error failed =
          api.check(api.graphInstantiate(&executable, graph.get(), 0),
                    "cuGraphInstantiate"))
    return std::move(failed);
  return Owned<GraphExec>(executable, api.graphExecDestroy);
}

namespace {

class GraphCommand : public CudaCommand {
public:
  GraphCommand(Owned<GraphExec> graph, std::string title)
      : graph(std::move(graph)), title(std::move(title)) {}

  llvm::Error enqueue(const CudaContext &context) override {
    return context.api().check(
        context.api().graphLaunch(graph.get(), context.stream()), title);
  }

  std::string name() const override { return title; }

private:
  Owned<GraphExec> graph;
  std::string title;
};

} // namespace

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::captureCommands(const CudaContext &context,
                                    llvm::ArrayRef<CudaCommand *> commands) {
  llvm::Expected<Owned<GraphExec>> graph =
      capture(context, [&]() -> llvm::Error {
        for (CudaCommand *command : commands)
          if (llvm::Error error = command->enqueue(context))
            return error;
        return llvm::Error::success();
      });
  if (!graph)
    return graph.takeError();
  return std::make_unique<GraphCommand>(
      std::move(*graph),
      "a graph of " + std::to_string(commands.size()) + " instructions");
}

llvm::Expected<std::vector<Device::Span>>
dit::runtime::cuda::timeCommands(const CudaContext &context,
                                 llvm::ArrayRef<CudaCommand *> commands) {
  const CudaApi &api = context.api();
  std::vector<Owned<Event>> events;
  for (size_t i = 0; i != 2 * commands.size(); ++i) {
    llvm::Expected<Owned<Event>> event = context.createEvent();
    if (!event)
      return event.takeError();
    events.push_back(std::move(*event));
  }
  auto record = [&](size_t event) {
    return api.check(api.eventRecordWithFlags(events[event].get(),
                                              context.stream(),
                                              eventRecordExternal),
                     "cuEventRecord");
  };
  llvm::Expected<Owned<GraphExec>> graph =
      capture(context, [&]() -> llvm::Error {
        for (size_t i = 0; i != commands.size(); ++i) {
          if (llvm::Error error = record(2 * i))
            return error;
          if (llvm::Error error = commands[i]->enqueue(context))
            return error;
          if (llvm::Error error = record(2 * i + 1))
            return error;
        }
        return llvm::Error::success();
      });
  if (!graph)
    return graph.takeError();
  if (llvm::Error error = api.check(
          api.graphLaunch(graph->get(), context.stream()), "cuGraphLaunch"))
    return std::move(error);
  if (llvm::Error error = context.synchronize("the timed instructions"))
    return std::move(error);
  auto seconds = [&](size_t event) -> llvm::Expected<double> {
    float milliseconds = 0;
    if (llvm::Error error =
            api.check(api.eventElapsedTime(&milliseconds, events[0].get(),
                                           events[event].get()),
                      "cuEventElapsedTime"))
      return std::move(error);
    return 1e-3 * milliseconds;
  };
  std::vector<Device::Span> spans;
  for (size_t i = 0; i != commands.size(); ++i) {
    llvm::Expected<double> begin = seconds(2 * i);
    if (!begin)
      return begin.takeError();
    llvm::Expected<double> end = seconds(2 * i + 1);
    if (!end)
      return end.takeError();
    spans.push_back({*begin, *end});
  }
  return spans;
}
