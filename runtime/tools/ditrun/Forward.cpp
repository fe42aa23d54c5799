//===- Forward.cpp - Runs a model once ------------------------------------===//

#include "runtime/data/Npy.h"
#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Shape.h"
#include "runtime/tools/ditrun/Modes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

/// Flags that only mean something for the other kind of plan.
static llvm::Error checkFlags(const Options &options) {
  for (const std::string &flag : options.given)
    if (llvm::is_contained({"--labels", "--num", "--sampler", "--steps",
                            "--cfg", "--cfg-channels", "--eta", "--shift",
                            "--seed", "--init-noise", "--noise", "-o", "--grid",
                            "--save-npy"},
                           flag))
      return failure(Exit::Contradiction,
                     flag + " belongs to sample plans; '" +
                         plan::escaped(options.plan) +
                         "' is a forward plan: --input, --output, --expect");
  return llvm::Error::success();
}

static std::string interfaceNames(
    const google::protobuf::RepeatedPtrField<proto::Interface> &entries) {
  return llvm::join(llvm::map_range(entries,
                                    [](const proto::Interface &entry) {
                                      return plan::escaped(entry.name());
                                    }),
                    ", ");
}

/// "NAME=FILE" taken apart; the name is one of `entries`.
static llvm::Expected<std::pair<const proto::Interface *, std::string>>
splitBinding(
    llvm::StringRef flag, llvm::StringRef text,
    const google::protobuf::RepeatedPtrField<proto::Interface> &entries) {
  auto [name, path] = text.split('=');
  if (path.empty())
    return failure(Exit::Usage, flag + " '" + plan::escaped(text) +
                                    "': must be NAME=FILE.npy");
  for (const proto::Interface &entry : entries)
    if (entry.name() == name)
      return std::pair(&entry, path.str());
  return failure(Exit::Contradiction, flag + " '" + plan::escaped(name) +
                                          "': the plan has " +
                                          interfaceNames(entries));
}

/// Equal, or one value in either spelling ([] or [1]).
static bool shapesAgree(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b) {
  return a == b || (a.size() <= 1 && b.size() <= 1 &&
                    plan::elementCount(a) == 1 && plan::elementCount(b) == 1);
}

static llvm::Error writeInput(LoadedPlan &loaded, Terminal &terminal,
                              const proto::Interface &entry,
                              const Array &array) {
  unsigned global = *loaded.executor->findGlobal(entry.global());
  const proto::Tensor &type = loaded.file.metadata().globals(global).type();
  if (!shapesAgree(array.shape, plan::dimensions(type.shape())))
    return failure(Exit::Contradiction,
                   "--input " + plan::escaped(entry.name()) + " is " +
                       plan::printShape(array.shape) + ", the plan takes " +
                       plan::printTensor(type) +
                       "; compile it with --batch or --dim for this size");
  bool lossy = false;
  Array converted = convertArray(array, plan::elementType(type.type()), lossy);
  if (lossy)
    terminal.warn("--input " + plan::escaped(entry.name()) + ": " +
                  plan::elementName(array.type) +
                  " values changed when put "
                  "into " +
                  plan::elementName(converted.type));
  return loaded.executor->write(global, converted.bytes);
}

/// Reads every input from its own file, or from one archive.
static llvm::Error writeInputs(const Options &options, LoadedPlan &loaded,
                               Terminal &terminal) {
  const proto::Plan &plan = loaded.file.metadata();
  llvm::StringMap<Array> arrays;
  for (const std::string &text : options.inputs) {
    if (text.find('=') == std::string::npos) {
      for (const proto::Interface &entry : plan.inputs()) {
        llvm::Expected<Array> array =
            readArray(text, {"in_" + entry.name(), entry.name()});
        if (!array)
          return array.takeError();
        arrays[entry.name()] = std::move(*array);
      }
      continue;
    }
    auto binding = splitBinding("--input", text, plan.inputs());
    if (!binding)
      return binding.takeError();
    const std::string &name = binding->first->name();
    llvm::Expected<Array> array =
        readArray(binding->second, {"in_" + name, name});
    if (!array)
      return array.takeError();
    arrays[name] = std::move(*array);
  }
  std::vector<std::string> missing;
  for (const proto::Interface &entry : plan.inputs()) {
    auto found = arrays.find(entry.name());
    if (found == arrays.end())
      missing.push_back(plan::escaped(entry.name()));
    else if (llvm::Error error =
                 writeInput(loaded, terminal, entry, found->second))
      return error;
  }
  if (!missing.empty())
    return failure(Exit::Usage, "no value for the input " +
                                    llvm::join(missing, ", ") + ": --input " +
                                    missing.front() +
                                    "=FILE.npy, or --input FILE.npz for all");
  return llvm::Error::success();
}

/// Values for a benchmark: normal numbers for floats, zeros else.
static llvm::Error writeRandomInputs(LoadedPlan &loaded) {
  for (const proto::Interface &entry : loaded.file.metadata().inputs()) {
    unsigned global = *loaded.executor->findGlobal(entry.global());
    const proto::Tensor &type = loaded.file.metadata().globals(global).type();
    if (!plan::isFloat(plan::elementType(type.type())))
      continue;
    std::vector<float> values(
        *plan::elementCount(plan::dimensions(type.shape())));
    for (size_t i = 0; i != values.size(); ++i)
      values[i] = normal(0, i, global, 0, InitialNoise);
    bool lossy = false;
    Array array =
        convertArray(makeArray(plan::dimensions(type.shape()), values),
                     plan::elementType(type.type()), lossy);
    if (llvm::Error error = loaded.executor->write(global, array.bytes))
      return error;
  }
  return llvm::Error::success();
}

static llvm::Expected<Array> readOutput(LoadedPlan &loaded,
                                        const proto::Interface &entry) {
  unsigned global = *loaded.executor->findGlobal(entry.global());
  const proto::Tensor &type = loaded.file.metadata().globals(global).type();
  llvm::Expected<std::vector<uint8_t>> bytes = loaded.executor->read(global);
  if (!bytes)
    return bytes.takeError();
  return Array{plan::elementType(type.type()),
               plan::dimensions(type.shape()).vec(), std::move(*bytes)};
}

/// "y: f32[2, 8], from -1.5 to 2.25, mean 0.5"
static void summarise(llvm::StringRef name, const Array &array) {
  std::vector<double> values = arrayValues(array);
  llvm::outs() << plan::escaped(name) << ": " << plan::elementName(array.type)
               << plan::printShape(array.shape);
  if (!values.empty()) {
    double sum = 0;
    for (double value : values)
      sum += value;
    llvm::outs() << llvm::formatv(
        ", from {0:f6} to {1:f6}, mean {2:f6}",
        *std::min_element(values.begin(), values.end()),
        *std::max_element(values.begin(), values.end()), sum / values.size());
  }
  llvm::outs() << "\n";
}

static llvm::Error writeOutputs(const Options &options, LoadedPlan &loaded) {
  for (const std::string &text : options.outputs) {
    auto binding =
        splitBinding("--output", text, loaded.file.metadata().outputs());
    if (!binding)
      return binding.takeError();
    llvm::Expected<Array> array = readOutput(loaded, *binding->first);
    if (!array)
      return array.takeError();
    if (llvm::Error error = writeNpy(binding->second, *array))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<Exit> dit::runtime::runForward(const Options &options,
                                              LoadedPlan &loaded,
                                              Terminal &terminal) {
  if (llvm::Error error = checkFlags(options))
    return std::move(error);
  // Bad names are found before anything runs.
  for (const std::string &text : options.outputs)
    if (auto binding =
            splitBinding("--output", text, loaded.file.metadata().outputs());
        !binding)
      return binding.takeError();
  bool drawn = options.benchSeconds && options.inputs.empty();
  if (llvm::Error error = drawn ? writeRandomInputs(loaded)
                                : writeInputs(options, loaded, terminal))
    return std::move(error);
  unsigned function = *loaded.executor->findStep("forward");
  if (options.benchSeconds)
    return runBench(options, loaded, benchFunction(loaded, function, 0, [] {
                      return llvm::Error::success();
                    }));
  Timeline timeline;
  if (llvm::Error error =
          loaded.executor->run(function, options.trace ? &timeline : nullptr))
    return std::move(error);
  if (llvm::Error error = writeTraceFile(options, loaded, timeline))
    return std::move(error);
  if (llvm::Error error = writeOutputs(options, loaded))
    return std::move(error);
  Exit code = Exit::Done;
  for (const proto::Interface &entry : loaded.file.metadata().outputs()) {
    llvm::Expected<Array> array = readOutput(loaded, entry);
    if (!array)
      return array.takeError();
    if (!options.expected) {
      if (options.outputs.empty())
        summarise(entry.name(), *array);
      continue;
    }
    llvm::Expected<bool> same = compareWith(options, entry.name(), *array);
    if (!same)
      return same.takeError();
    if (!*same)
      code = Exit::Differs;
  }
  return code;
}
