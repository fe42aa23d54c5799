//===- StreamCapture.cpp - Many commands as one CUDA graph ----------------===//
//
// Capture is relaxed: libraries load kernels on their first use, which may
// happen in it.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cuda/StreamCapture.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SetVector.h"

#include <algorithm>

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

namespace {
/// Captures commands on one stream such that each waits for those alone that it
/// depends on.
class BranchCapture {
public:
  BranchCapture(const CudaContext &context,
                llvm::ArrayRef<CudaCommand *> commands, size_t background)
      : context(context), commands(commands), background(background),
        last(commands.size()) {}

  llvm::Error enqueue();

private:
  llvm::Error enqueue(const Branch &branch);
  llvm::Error waitFor(llvm::MutableArrayRef<GraphNode> nodes);
  llvm::Expected<std::vector<GraphNode>> getLast();
  llvm::Error lowerPriority(GraphNode node);

  const CudaContext &context;
  llvm::ArrayRef<CudaCommand *> commands;
  size_t background;
  std::vector<std::vector<GraphNode>> last; // of each command
  llvm::SetVector<GraphNode> leaves;        // for which none waits yet
};
} // namespace

llvm::Error BranchCapture::waitFor(llvm::MutableArrayRef<GraphNode> nodes) {
  return context.api().check(
      context.api().streamUpdateCaptureDependencies(
          context.stream(), nodes.data(), nodes.size(), setCaptureDependencies),
      "cuStreamUpdateCaptureDependencies");
}

/// The nodes that the stream's next one would wait for.
llvm::Expected<std::vector<GraphNode>> BranchCapture::getLast() {
  int status;
  uint64_t id;
  Graph graph;
  const GraphNode *nodes = nullptr;
  size_t count = 0;
  if (llvm::Error error = context.api().check(
          context.api().streamGetCaptureInfo(context.stream(), &status, &id,
                                             &graph, &nodes, &count),
          "cuStreamGetCaptureInfo"))
    return std::move(error);
  return std::vector<GraphNode>(nodes, nodes + count);
}

/// A kernel gets what the others leave of the machine.
llvm::Error BranchCapture::lowerPriority(GraphNode node) {
  const CudaApi &api = context.api();
  GraphNodeType type;
  if (llvm::Error error =
          api.check(api.graphNodeGetType(node, &type), "cuGraphNodeGetType"))
    return error;
  if (type != KernelNode)
    return llvm::Error::success();
  LaunchAttribute attribute;
  attribute.value.priority = context.lowPriority();
  return api.check(api.graphKernelNodeSetAttribute(
                       node, LaunchAttribute::priority, &attribute.value),
                   "cuGraphKernelNodeSetAttribute");
}

llvm::Error BranchCapture::enqueue(const Branch &branch) {
  llvm::SetVector<GraphNode> nodes;
  for (size_t other : branch.waitsFor)
    nodes.insert(last[other].begin(), last[other].end());
  for (GraphNode node : nodes)
    leaves.remove(node);
  auto awaited = nodes.takeVector();
  if (llvm::Error error = waitFor(awaited))
    return error;
  if (llvm::Error error = commands[branch.command]->enqueueInRange(context))
    return error;
  llvm::Expected<std::vector<GraphNode>> made = getLast();
  if (!made)
    return made.takeError();
  last[branch.command] = std::move(*made);
  leaves.insert(last[branch.command].begin(), last[branch.command].end());
  if (branch.command < background)
    for (GraphNode node : last[branch.command])
      if (llvm::Error error = lowerPriority(node))
        return error;
  return llvm::Error::success();
}

llvm::Error BranchCapture::enqueue() {
  std::vector<llvm::ArrayRef<Extent>> extents;
  for (CudaCommand *command : commands)
    extents.push_back(command->extents);
  for (const Branch &branch : findBranches(extents, background))
    if (llvm::Error error = enqueue(branch))
      return error;
  auto all = leaves.takeVector();
  return waitFor(all);
}

/// The command of what `body` puts on the stream.
static llvm::Expected<std::unique_ptr<CudaCommand>>
makeGraphCommand(const CudaContext &context, size_t count,
                 llvm::function_ref<llvm::Error()> body) {
  llvm::Expected<Owned<GraphExec>> graph = capture(context, body);
  if (!graph)
    return graph.takeError();
  return std::make_unique<GraphCommand>(std::move(*graph),
                                        "a graph of " + std::to_string(count) +
                                            " instructions");
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::captureCommands(const CudaContext &context,
                                    llvm::ArrayRef<CudaCommand *> commands) {
  return makeGraphCommand(context, commands.size(), [&]() -> llvm::Error {
    for (CudaCommand *command : commands)
      if (llvm::Error error = command->enqueueInRange(context))
        return error;
    return llvm::Error::success();
  });
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::captureBranches(const CudaContext &context,
                                    llvm::ArrayRef<CudaCommand *> commands,
                                    size_t background) {
  return makeGraphCommand(context, commands.size(), [&] {
    return BranchCapture(context, commands, background).enqueue();
  });
}

/// Seconds from one event to another that both came to pass.
static llvm::Expected<double> secondsBetween(const CudaApi &api,
                                             const Owned<Event> &begin,
                                             const Owned<Event> &end) {
  float milliseconds = 0;
  if (llvm::Error error =
          api.check(api.eventElapsedTime(&milliseconds, begin.get(), end.get()),
                    "cuEventElapsedTime"))
    return std::move(error);
  return 1e-3 * milliseconds;
}

/// Runs commands with an event between each two; the first two events have
/// nothing between them.
static llvm::Error runWithEvents(const CudaContext &context,
                                 llvm::ArrayRef<CudaCommand *> commands,
                                 llvm::ArrayRef<Owned<Event>> events) {
  const CudaApi &api = context.api();
  auto record = [&](size_t event) {
    return api.check(api.eventRecordWithFlags(events[event].get(),
                                              context.stream(),
                                              eventRecordExternal),
                     "cuEventRecord");
  };
  llvm::Expected<Owned<GraphExec>> graph =
      capture(context, [&]() -> llvm::Error {
        if (llvm::Error error = record(0))
          return error;
        if (llvm::Error error = record(1))
          return error;
        for (size_t i = 0; i != commands.size(); ++i) {
          if (llvm::Error error = commands[i]->enqueueInRange(context))
            return error;
          if (llvm::Error error = record(i + 2))
            return error;
        }
        return llvm::Error::success();
      });
  if (!graph)
    return graph.takeError();
  if (llvm::Error error = api.check(
          api.graphLaunch(graph->get(), context.stream()), "cuGraphLaunch"))
    return error;
  return context.synchronize("the timed instructions");
}

llvm::Expected<std::vector<Device::Span>>
dit::runtime::cuda::timeCommands(const CudaContext &context,
                                 llvm::ArrayRef<CudaCommand *> commands) {
  std::vector<Owned<Event>> events;
  for (size_t i = 0; i != commands.size() + 2; ++i) {
    llvm::Expected<Owned<Event>> event = context.createEvent();
    if (!event)
      return event.takeError();
    events.push_back(std::move(*event));
  }
  if (llvm::Error error = runWithEvents(context, commands, events))
    return std::move(error);
  llvm::Expected<double> alone =
      secondsBetween(context.api(), events[0], events[1]);
  if (!alone)
    return alone.takeError();
  std::vector<Device::Span> spans;
  double begin = 0;
  for (size_t i = 0; i != commands.size(); ++i) {
    llvm::Expected<double> taken =
        secondsBetween(context.api(), events[i + 1], events[i + 2]);
    if (!taken)
      return taken.takeError();
    // Nothing takes no time; what is short drowns in the events' cost.
    double end = begin + std::max(*taken - *alone, 1e-7);
    spans.push_back({begin, end});
    begin = end;
  }
  return spans;
}
