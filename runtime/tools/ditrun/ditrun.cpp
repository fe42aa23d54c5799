//===- ditrun.cpp - Runs plans --------------------------------------------===//

#include "runtime/devices/cpu/CpuDevice.h"
#include "runtime/devices/cuda/CudaDevice.h"
#include "runtime/executor/Initialise.h"
#include "runtime/plan/Memory.h"
#include "runtime/tools/ditrun/Modes.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr const char *version = "0.1.0";

/// The device for a plan's target; the CPU refuses what it does not know.
static llvm::Expected<std::unique_ptr<Device>>
createDevice(const proto::Target &target, const Options &options) {
  if (target.kind() == "cuda")
    return createCudaDevice(
        {options.threads, options.plan + ".tuning", options.tune});
  if (options.tune)
    return failure(Exit::Contradiction,
                   "--tune belongs to plans for target cuda; '" +
                       plan::escaped(options.plan) + "' is for " +
                       plan::escaped(target.kind()));
  return createCpuDevice(options.threads);
}

/// Flags that mean something for another kind of plan only.
static llvm::Error checkFlagsOf(llvm::StringRef mode, const Options &options) {
  if (mode == "train")
    return llvm::Error::success();
  for (const std::string &flag : options.given)
    if (isTrainingFlag(flag))
      return failure(Exit::Contradiction, flag + " belongs to train plans; '" +
                                              plan::escaped(options.plan) +
                                              "' is a " + mode + " plan");
  return llvm::Error::success();
}

/// "start: file 0.210 s, context 0.302 s, …": where the time until now went.
static std::string describeStart(double file, llvm::ArrayRef<Stage> stages,
                                 double parameters) {
  std::string text = llvm::formatv("start: file {0:f3} s", file);
  for (const Stage &stage : stages)
    text += llvm::formatv(", {0} {1:f3} s", stage.name, stage.seconds);
  return text + llvm::formatv(", parameters {0:f3} s", parameters).str();
}

/// A plan on a device, its parameters not yet set.
static llvm::Expected<std::unique_ptr<LoadedPlan>>
putOnDevice(plan::PlanFile file, std::optional<PlanWeights> weights,
            llvm::StringRef path, const Options &options) {
  llvm::Expected<std::unique_ptr<Device>> device =
      createDevice(file.metadata().target(), options);
  if (!device)
    return device.takeError();
  auto loaded = std::make_unique<LoadedPlan>(LoadedPlan{
      std::move(file), std::move(weights), std::move(*device), nullptr});
  llvm::Expected<std::unique_ptr<Executor>> executor =
      Executor::create(loaded->file.view(), *loaded->device);
  if (!executor)
    return plan::within(executor.takeError(), "'" + plan::escaped(path) + "'");
  loaded->executor = std::move(*executor);
  return loaded;
}

static llvm::Error setParameters(LoadedPlan &loaded) {
  return loaded.weights ? loaded.weights->write(*loaded.executor)
                        : initialiseParameters(*loaded.executor);
}

llvm::Expected<std::unique_ptr<LoadedPlan>>
dit::runtime::loadPlanWith(const Options &options, const std::string &path,
                           const TensorFile &weights) {
  llvm::Expected<plan::PlanFile> file = plan::PlanFile::open(path);
  if (!file)
    return file.takeError();
  llvm::Expected<Safetensors> tensors = Safetensors::collect(weights);
  if (!tensors)
    return tensors.takeError();
  llvm::Expected<PlanWeights> values =
      PlanWeights::create(std::move(*tensors), file->view());
  if (!values)
    return plan::within(values.takeError(), "'" + plan::escaped(path) + "'");
  file->replaceWeights(values->section());
  llvm::Expected<std::unique_ptr<LoadedPlan>> loaded =
      putOnDevice(std::move(*file), std::move(*values), path, options);
  if (!loaded)
    return loaded.takeError();
  if (llvm::Error error = setParameters(**loaded))
    return std::move(error);
  return loaded;
}

llvm::Expected<std::unique_ptr<LoadedPlan>>
dit::runtime::loadPlan(const Options &options, Terminal &terminal) {
  auto start = std::chrono::steady_clock::now();
  auto lap = [&] {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start, now))
        .count();
  };
  llvm::Expected<plan::PlanFile> file = plan::PlanFile::open(options.plan);
  if (!file)
    return file.takeError();
  if (llvm::Error error = checkFlagsOf(file->metadata().mode(), options))
    return std::move(error);
  std::optional<PlanWeights> weights;
  if (options.weights) {
    llvm::Expected<PlanWeights> opened =
        PlanWeights::open(*options.weights, file->view());
    if (!opened)
      return opened.takeError();
    weights = std::move(*opened);
    file->replaceWeights(weights->section());
  }
  double fileSeconds = lap();
  llvm::Expected<std::unique_ptr<LoadedPlan>> result =
      putOnDevice(std::move(*file), std::move(weights), options.plan, options);
  if (!result)
    return result.takeError();
  std::unique_ptr<LoadedPlan> loaded = std::move(*result);
  lap();
  if (llvm::Error error = setParameters(*loaded))
    return std::move(error);
  terminal.detail(
      "loaded " + plan::escaped(options.plan) + " (" +
      plan::escaped(loaded->file.metadata().model()) + ", " +
      plan::escaped(loaded->file.metadata().precision()) + ") on " +
      loaded->device->description() + "\n" +
      llvm::StringRef(plan::printMemoryTable(loaded->file.metadata())).rtrim() +
      "\n" +
      describeStart(fileSeconds, loaded->executor->startStages(), lap()));
  return loaded;
}

llvm::Expected<Exit> dit::runtime::runPlan(const Options &options,
                                           Terminal &terminal) {
  llvm::Expected<std::unique_ptr<LoadedPlan>> loaded =
      loadPlan(options, terminal);
  if (!loaded)
    return loaded.takeError();
  llvm::StringRef mode = (*loaded)->file.metadata().mode();
  if (mode == "train")
    return runTraining(options, **loaded, terminal);
  return mode == "sample" ? runSample(options, **loaded, terminal)
                          : runForward(options, **loaded, terminal);
}

static llvm::Expected<Exit> run(const Options &options) {
  Terminal terminal(options.quiet, options.verbose);
  switch (options.task) {
  case Task::Run:
    return runPlan(options, terminal);
  case Task::Inspect:
    return inspectPlan(options);
  case Task::Verify:
    return verifyPlan(options);
  case Task::Doctor:
    return printMachine(options);
  case Task::Help:
    llvm::outs() << helpText();
    return Exit::Done;
  case Task::Version:
    llvm::outs() << "ditrun " << version << "\n";
    return Exit::Done;
  }
  llvm_unreachable("all commands are above");
}

int main(int argc, char **argv) {
  // A file that may not grow is an error to report, not a signal to die of.
  std::signal(SIGXFSZ, SIG_IGN);
  std::vector<llvm::StringRef> arguments(argv + 1, argv + argc);
  llvm::Expected<Options> options = parseOptions(arguments);
  llvm::Expected<Exit> code =
      options ? run(*options) : llvm::Expected<Exit>(options.takeError());
  if (code)
    return static_cast<int>(*code);
  auto [exit, text] = plan::describe(code.takeError());
  llvm::errs() << "ditrun: " << text << "\n";
  return static_cast<int>(exit);
}
