//===- Sample.cpp - Samples pictures --------------------------------------===//

#include "runtime/data/Npy.h"
#include "runtime/tools/ditrun/Labels.h"
#include "runtime/tools/ditrun/Modes.h"
#include "runtime/tools/ditrun/PictureWriter.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static llvm::Error checkFlags(const Options &options) {
  for (const std::string &flag : options.given)
    if (llvm::is_contained({"--input", "--output"}, flag))
      return failure(Exit::Contradiction,
                     flag + " belongs to forward plans; '" +
                         plan::escaped(options.plan) +
                         "' is a sample plan: --labels, --num, -o");
  if (options.gridColumns && !options.folder)
    return failure(Exit::Contradiction,
                   "--grid needs -o DIR, beside which the grid is put");
  return llvm::Error::success();
}

llvm::Expected<SampleRequest>
dit::runtime::makeRequest(const Options &options,
                          const proto::Sampling &sampling) {
  SampleRequest request;
  Sampler sampler = options.sampler.value_or(
      sampling.schedule() == "flow" ? Sampler::Euler : Sampler::Ddim);
  if (options.eta && sampler != Sampler::Ddim)
    return failure(Exit::Contradiction, "--eta belongs to --sampler ddim; " +
                                            nameOf(sampler) +
                                            " has no such number");
  if (options.shift && sampler != Sampler::Euler)
    return failure(Exit::Contradiction, "--shift belongs to --sampler euler; " +
                                            nameOf(sampler) +
                                            " has no such number");
  request.sampler.sampler = sampler;
  request.sampler.steps = options.steps.value_or(50);
  request.sampler.eta = options.eta.value_or(0);
  request.sampler.shift = options.shift.value_or(1);
  request.guidance = options.guidance.value_or(sampling.classes() ? 4 : 1);
  if (options.guidedChannels)
    request.guidedChannels = *options.guidedChannels == -1
                                 ? sampling.channels()
                                 : *options.guidedChannels;
  request.seed = options.seed.value_or(0);
  llvm::Expected<std::vector<int64_t>> labels = pictureLabels(
      options.labels, options.count, sampling.classes(), sampling.batch());
  if (!labels)
    return labels.takeError();
  request.labels = std::move(*labels);
  if (options.initialNoise) {
    llvm::Expected<Array> noise = readArray(*options.initialNoise, {"x_T"});
    if (!noise)
      return noise.takeError();
    request.initialNoise = std::move(*noise);
  }
  if (options.stepNoise) {
    llvm::Expected<Array> noise = readArray(*options.stepNoise, {"z"});
    if (!noise)
      return noise.takeError();
    request.stepNoise = std::move(*noise);
  }
  return request;
}

/// Samples batch after batch into the writer until all are done or a stop is
/// asked for; returns how many pictures there are.
static llvm::Expected<int64_t> sampleAll(PictureSampler &sampler,
                                         PictureWriter &writer,
                                         Terminal &terminal,
                                         Timeline *timeline) {
  int64_t pictures = sampler.pictures(), steps = sampler.steps();
  for (int64_t first = 0; first < pictures; first += sampler.batch()) {
    int64_t count = std::min(sampler.batch(), pictures - first);
    auto proceed = [&](int64_t step) {
      double done = first + count * static_cast<double>(step) / steps;
      terminal.progress(done, pictures,
                        llvm::formatv("{0} of {1} pictures, step {2} of {3}",
                                      first, pictures, step, steps)
                            .str());
      return !stopRequested();
    };
    llvm::Expected<std::optional<Array>> finished =
        sampler.sample(first, proceed, timeline);
    if (!finished)
      return finished.takeError();
    if (!*finished)
      return first;
    if (llvm::Error error = writer.add(first, **finished))
      return std::move(error);
  }
  return pictures;
}

static std::string summary(const PictureSampler &sampler,
                           const SampleRequest &request, int64_t done,
                           double seconds) {
  return llvm::formatv(
             "{0}{1} pictures in {2:f2} s ({3:f1} a second): {4}, {5} steps, "
             "cfg {6} on {7} of the channels, seed {8}",
             done,
             done == sampler.pictures()
                 ? std::string()
                 : llvm::formatv(" of {0}", sampler.pictures()).str(),
             seconds, done / seconds, nameOf(request.sampler.sampler),
             sampler.steps(), printNumber(request.guidance),
             sampler.guidedChannels(), request.seed)
      .str();
}

static llvm::Expected<Exit> benchSampler(const Options &options,
                                         LoadedPlan &loaded,
                                         PictureSampler &sampler) {
  if (llvm::Error error = sampler.begin(0))
    return std::move(error);
  unsigned counter =
      *loaded.executor->findGlobal(loaded.file.metadata().sampling().step());
  // Every run is of the first step: the row of the tables stays in range.
  return runBench(
      options, loaded,
      benchFunction(loaded, sampler.stepFunction(), sampler.batch(), [&] {
        const uint8_t zero[8] = {};
        return loaded.executor->write(counter, zero);
      }));
}

llvm::Expected<Exit> dit::runtime::runSample(const Options &options,
                                             LoadedPlan &loaded,
                                             Terminal &terminal) {
  if (llvm::Error error = checkFlags(options))
    return std::move(error);
  llvm::Expected<SampleRequest> request =
      makeRequest(options, loaded.file.metadata().sampling());
  if (!request)
    return request.takeError();
  llvm::Expected<PictureSampler> sampler =
      PictureSampler::create(*loaded.executor, *request);
  if (!sampler)
    return sampler.takeError();
  if (options.benchSeconds)
    return benchSampler(options, loaded, *sampler);
  if (!options.folder && !options.savedArray && !options.expected &&
      !options.trace)
    return failure(Exit::Usage, "where shall the pictures go? -o DIR, "
                                "--save-npy FILE, or both");
  llvm::Expected<PictureWriter> writer =
      PictureWriter::create(options, *request, loaded.file.view());
  if (!writer)
    return writer.takeError();

  catchStopRequests();
  Timeline timeline;
  auto start = std::chrono::steady_clock::now();
  llvm::Expected<int64_t> done = sampleAll(*sampler, *writer, terminal,
                                           options.trace ? &timeline : nullptr);
  if (!done)
    return done.takeError();
  std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  if (llvm::Error error = writer->finish())
    return std::move(error);
  if (llvm::Error error = writeTraceFile(options, loaded, timeline))
    return std::move(error);
  terminal.note(summary(*sampler, *request, *done, passed.count()));
  terminal.clear();
  llvm::outs() << writer->report();
  if (writer->broken()) {
    terminal.warn(llvm::Twine(writer->broken()) +
                  " pictures have values that are not finite");
    return Exit::Diverged;
  }
  if (*done != sampler->pictures())
    return Exit::Stopped;
  if (!options.expected)
    return Exit::Done;
  llvm::Expected<bool> same = compareWith(options, "x_0", writer->all());
  if (!same)
    return same.takeError();
  return *same ? Exit::Done : Exit::Differs;
}
