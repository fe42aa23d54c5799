//===- Executor.cpp - Runs the functions of a plan ------------------------===//

#include "runtime/executor/Executor.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include <algorithm>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<std::unique_ptr<Executor>>
Executor::create(const plan::PlanView &plan, Device &device) {
  if (llvm::Error error = device.load(plan))
    return std::move(error);
  std::unique_ptr<Executor> executor(new Executor(plan, device));
  executor->stages = device.loadStages();
  Timeline::Time start = Timeline::now();
  if (llvm::Error error = executor->prepare())
    return std::move(error);
  std::chrono::duration<double> passed = Timeline::now() - start;
  executor->stages.push_back({"instructions", passed.count()});
  return executor;
}

Executor::~Executor() {
  if (started)
    llvm::consumeError(finish());
}

llvm::Error Executor::prepare() {
  for (int i = 0; i != metadata().globals_size(); ++i)
    globals[metadata().globals(i).name()] = i;
  llvm::Error unsupported = llvm::Error::success();
  for (const proto::Function &function : metadata().functions()) {
    if (!function.step().empty())
      steps[function.step()] = functions.size();
    std::vector<std::unique_ptr<Command>> &commands =
        functions.emplace_back().commands;
    for (int i = 0; i != function.instructions_size(); ++i) {
      const proto::Instruction &instruction = function.instructions(i);
      llvm::Expected<std::unique_ptr<Command>> command =
          target.prepare(instruction);
      if (command)
        commands.push_back(std::move(*command));
      else
        unsupported = llvm::joinErrors(
            std::move(unsupported),
            plan::within(command.takeError(),
                         "function '" + plan::escaped(function.name()) +
                             "', instruction " + llvm::Twine(i) + " (" +
                             plan::escaped(instruction.location()) + ")"));
    }
  }
  return unsupported;
}

std::optional<unsigned> Executor::findStep(llvm::StringRef step) const {
  auto found = steps.find(step);
  if (found == steps.end())
    return std::nullopt;
  return found->second;
}

std::optional<unsigned> Executor::findGlobal(llvm::StringRef name) const {
  auto found = globals.find(name);
  if (found == globals.end())
    return std::nullopt;
  return found->second;
}

std::vector<Command *> Executor::PreparedFunction::list() const {
  std::vector<Command *> pointers;
  for (const std::unique_ptr<Command> &command : commands)
    pointers.push_back(command.get());
  return pointers;
}

llvm::Error Executor::enqueueDirectly(unsigned function) {
  const std::vector<std::unique_ptr<Command>> &commands =
      functions[function].commands;
  for (size_t i = 0; i != commands.size(); ++i)
    if (llvm::Error error = target.enqueue(*commands[i]))
      return plan::within(
          std::move(error),
          "function '" + plan::escaped(metadata().functions(function).name()) +
              "', instruction " + llvm::Twine(i));
  return llvm::Error::success();
}

llvm::Error Executor::runTimed(unsigned function, Timeline &timeline) {
  Timeline::Time start = Timeline::now();
  llvm::Expected<std::vector<Device::Span>> spans =
      target.runTimed(functions[function].list());
  if (!spans)
    return spans.takeError();
  auto at = [&](double seconds) {
    return start + std::chrono::duration_cast<Timeline::Time::duration>(
                       std::chrono::duration<double>(seconds));
  };
  for (size_t i = 0; i != spans->size(); ++i)
    timeline.add(function, i, at((*spans)[i].begin), at((*spans)[i].end));
  return llvm::Error::success();
}

llvm::Error Executor::enqueue(unsigned function) {
  PreparedFunction &prepared = functions[function];
  // The first run is direct: libraries load and choose their kernels in it.
  if (!prepared.ran) {
    prepared.ran = true;
    return enqueueDirectly(function);
  }
  if (!prepared.recorded) {
    llvm::Expected<std::unique_ptr<Command>> recorded =
        target.record(prepared.list());
    if (!recorded)
      return recorded.takeError();
    prepared.recorded = std::move(*recorded);
  }
  if (!*prepared.recorded)
    return enqueueDirectly(function);
  return target.enqueue(**prepared.recorded);
}

llvm::Error Executor::enqueueBoth(unsigned background, unsigned function) {
  PreparedFunction &first = functions[background],
                   &second = functions[function];
  if (!first.ran || !second.ran) {
    first.ran = second.ran = true;
    if (llvm::Error error = enqueueDirectly(background))
      return error;
    return enqueueDirectly(function);
  }
  auto [both, isNew] = second.recordedBeside.try_emplace(background);
  if (isNew) {
    std::vector<Command *> commands = first.list();
    llvm::append_range(commands, second.list());
    llvm::Expected<std::unique_ptr<Command>> recorded =
        target.record(commands, first.commands.size());
    if (!recorded)
      return recorded.takeError();
    both->second = std::move(*recorded);
  }
  if (both->second)
    return target.enqueue(*both->second);
  if (llvm::Error error = enqueue(background))
    return error;
  return enqueue(function);
}

llvm::Error Executor::start(unsigned function,
                            std::optional<unsigned> background) {
  ++started;
  if (llvm::Error error =
          background ? enqueueBoth(*background, function) : enqueue(function))
    return error;
  // A recorded function is one command; of one that is not, what is left when
  // the wait ends is less.
  if (llvm::Error error = target.waitFor(mostUnderWay))
    return error;
  started = std::min(started, mostUnderWay);
  return llvm::Error::success();
}

llvm::Error Executor::finish() {
  if (llvm::Error error = target.synchronize())
    return error;
  started = 0;
  return llvm::Error::success();
}

llvm::Error Executor::run(unsigned function, Timeline *timeline) {
  if (timeline)
    return runTimed(function, *timeline);
  if (llvm::Error error = enqueue(function))
    return error;
  return finish();
}

llvm::Error Executor::write(unsigned global, llvm::ArrayRef<uint8_t> bytes) {
  const proto::Global &declared = metadata().globals(global);
  if (static_cast<int64_t>(bytes.size()) != plan::tensorBytes(declared.type()))
    return failure(Exit::Internal,
                   "global '" + plan::escaped(declared.name()) + "' is " +
                       plan::printTensor(declared.type()) + ", got " +
                       llvm::Twine(bytes.size()) + " bytes");
  return target.copyIn(global, 0, bytes);
}

llvm::Expected<std::vector<uint8_t>> Executor::read(unsigned global) const {
  std::vector<uint8_t> bytes(
      *plan::tensorBytes(metadata().globals(global).type()));
  if (llvm::Error error = target.copyOut(global, 0, bytes))
    return std::move(error);
  return bytes;
}

llvm::Expected<std::unique_ptr<Arrival>>
Executor::startRead(llvm::ArrayRef<unsigned> globals) const {
  std::vector<Device::Part> parts;
  for (unsigned global : globals)
    parts.push_back({global, static_cast<uint64_t>(*plan::tensorBytes(
                                 metadata().globals(global).type()))});
  return target.startCopyOut(parts);
}
