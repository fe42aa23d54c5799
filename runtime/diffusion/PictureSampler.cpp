//===- PictureSampler.cpp - Runs a sample plan ----------------------------===//
//
//   once             tables: timesteps and coefficients; seed, guidance
//   each execution   labels and picture numbers; prologue; sample_init (x_T)
//   each K steps     prologue again, where the plan hoists K steps
//   each step        given noise, if any; sample_step, or sample_step_single
//
// The host waits for nothing but the last step: the counter, the tables and
// x_t are the device's.
//
// The last execution may have fewer pictures than the plan's batch: the rest
// repeat its last label and are dropped.
//
//===----------------------------------------------------------------------===//

#include "runtime/diffusion/PictureSampler.h"

#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

template <typename T>
static llvm::ArrayRef<uint8_t> bytesOf(llvm::ArrayRef<T> values) {
  return {reinterpret_cast<const uint8_t *>(values.data()),
          values.size() * sizeof(T)};
}

int64_t PictureSampler::pictureElements() const {
  return sampling->channels() * sampling->height() * sampling->width();
}

/// A given noise array: fp32 of the expected shape.
static llvm::Error takeNoise(std::optional<Array> &array, llvm::StringRef flag,
                             llvm::ArrayRef<int64_t> shape) {
  if (!array)
    return llvm::Error::success();
  if (llvm::ArrayRef(array->shape) != shape)
    return failure(Exit::Contradiction,
                   flag + " has shape " + plan::printShape(array->shape) +
                       ", this run needs " + plan::printShape(shape));
  bool lossy = false;
  *array = convertArray(*array, ElementType::F32, lossy);
  return llvm::Error::success();
}

llvm::Error PictureSampler::check() {
  const proto::Sampling &s = *sampling;
  bool isFlow = s.schedule() == "flow" && s.prediction() == "flow";
  if (!isFlow && (s.schedule() != "ddpm-linear" ||
                  (s.prediction() != "eps" && s.prediction() != "v")))
    return failure(Exit::Unsupported,
                   "the plan's schedule '" + plan::escaped(s.schedule()) +
                       "' with prediction '" + plan::escaped(s.prediction()) +
                       "' has no sampler here; ddpm-linear with eps or v has, "
                       "and flow with flow");
  request.sampler.learnedSigma = s.learned_sigma();
  if (isFlow)
    request.sampler.prediction = Prediction::Flow;
  else if (s.prediction() == "v")
    request.sampler.prediction = Prediction::Velocity;
  if (request.sampler.steps > s.max_steps())
    return failure(Exit::Contradiction,
                   "--steps " + llvm::Twine(request.sampler.steps) +
                       ": the plan's tables have " +
                       llvm::Twine(s.max_steps()) + " rows");
  for (int64_t label : request.labels)
    if (label < 0 || (s.classes() && label >= s.classes()))
      return failure(Exit::Contradiction,
                     "--labels: " + llvm::Twine(label) +
                         " is no class of this model, which has " +
                         llvm::Twine(s.classes()) + ": 0 to " +
                         llvm::Twine(s.classes() - 1));
  int64_t channels = request.guidedChannels.value_or(
      s.default_cfg_channels() ? s.default_cfg_channels() : s.channels());
  if (channels < 1 || channels > s.channels())
    return failure(Exit::Contradiction,
                   "--cfg-channels " + llvm::Twine(channels) +
                       ": the model has " + llvm::Twine(s.channels()) +
                       " channels");
  request.guidedChannels = channels;
  int64_t count = pictures();
  if (llvm::Error error =
          takeNoise(request.initialNoise, "--init-noise",
                    {count, s.channels(), s.height(), s.width()}))
    return error;
  return takeNoise(
      request.stepNoise, "--noise",
      {request.sampler.steps, count, s.channels(), s.height(), s.width()});
}

llvm::Error PictureSampler::chooseSteps() {
  prologue = executor->findStep("prologue");
  init = executor->findStep("sample_init");
  std::optional<unsigned> guided = executor->findStep("sample_step");
  std::optional<unsigned> single = executor->findStep("sample_step_single");
  bool unguided = request.guidance == 1;
  if (unguided && single) {
    step = *single;
    return llvm::Error::success();
  }
  if (guided && (unguided || !sampling->guidance().empty())) {
    step = *guided;
    return llvm::Error::success();
  }
  return failure(Exit::Contradiction,
                 "--cfg " + llvm::formatv("{0:f2}", request.guidance).str() +
                     ": the plan has no guided step; use --cfg 1");
}

llvm::Error PictureSampler::writeNumber(const std::string &global,
                                        int64_t value) {
  return executor->write(*executor->findGlobal(global),
                         bytesOf<int64_t>(value));
}

llvm::Error PictureSampler::fillTables() {
  llvm::Expected<SamplerTable> table = makeSamplerTable(request.sampler);
  if (!table)
    return table.takeError();
  std::vector<float> rows(sampling->max_steps() * 8);
  std::vector<float> timesteps(sampling->max_steps());
  for (size_t i = 0; i != table->timesteps.size(); ++i) {
    timesteps[i] = static_cast<float>(table->timesteps[i]);
    for (size_t column = 0; column != 8; ++column)
      rows[8 * i + column] = table->coefficients[i][column];
  }
  if (llvm::Error error =
          executor->write(*executor->findGlobal(sampling->coefficients()),
                          bytesOf(llvm::ArrayRef(rows))))
    return error;
  // Timesteps below 1000 are exact in every type but bf16, in which the model
  // would have been told the same.
  unsigned global = *executor->findGlobal(sampling->timesteps());
  bool lossy = false;
  Array converted = convertArray(
      makeArray({sampling->max_steps()}, timesteps),
      plan::elementType(executor->metadata().globals(global).type().type()),
      lossy);
  if (lossy)
    return failure(
        Exit::Unsupported,
        "the plan's timesteps have a type that cannot hold " +
            llvm::Twine(request.sampler.prediction == Prediction::Flow
                            ? "a flow's: export the model with a float timestep"
                            : "999"));
  if (llvm::Error error = executor->write(global, converted.bytes))
    return error;
  if (llvm::Error error = writeNumber(sampling->seed(), request.seed))
    return error;
  if (sampling->guidance().empty())
    return llvm::Error::success();
  std::vector<float> guidance(sampling->channels(), 1);
  std::fill_n(guidance.begin(), *request.guidedChannels, request.guidance);
  return executor->write(*executor->findGlobal(sampling->guidance()),
                         bytesOf(llvm::ArrayRef(guidance)));
}

llvm::Expected<PictureSampler> PictureSampler::create(Executor &executor,
                                                      SampleRequest request) {
  PictureSampler sampler(executor, std::move(request));
  if (llvm::Error error = sampler.check())
    return std::move(error);
  if (llvm::Error error = sampler.chooseSteps())
    return std::move(error);
  if (llvm::Error error = sampler.fillTables())
    return std::move(error);
  return sampler;
}

uint64_t PictureSampler::flops() const {
  const proto::Plan &plan = executor->metadata();
  uint64_t all = plan.functions(step).flops() * steps();
  if (prologue) {
    int64_t every = sampling->hoist_steps();
    all += plan.functions(*prologue).flops() *
           (every ? llvm::divideCeil(steps(), every) : 1);
  }
  return all;
}

llvm::Error PictureSampler::writeLabels(int64_t first) {
  std::vector<int64_t> labels(batch()), numbers(batch());
  for (int64_t i = 0; i != batch(); ++i) {
    labels[i] = request.labels[std::min(first + i, pictures() - 1)];
    numbers[i] = first + i;
  }
  if (llvm::Error error =
          executor->write(*executor->findGlobal(sampling->pictures()),
                          bytesOf(llvm::ArrayRef(numbers))))
    return error;
  if (sampling->labels().empty())
    return llvm::Error::success();
  return executor->write(*executor->findGlobal(sampling->labels()),
                         bytesOf(llvm::ArrayRef(labels)));
}

/// The part of a noise array that belongs to the pictures from `first` on;
/// `row` numbers its outermost index. Zero for what is not there.
static std::vector<float> noisePart(const Array &array, int64_t row,
                                    int64_t first, int64_t batch,
                                    int64_t pictures, int64_t elements) {
  std::vector<float> part(batch * elements);
  int64_t count = std::min(batch, pictures - first);
  std::memcpy(part.data(),
              array.bytes.data() +
                  (row * pictures + first) * elements * sizeof(float),
              count * elements * sizeof(float));
  return part;
}

llvm::Error PictureSampler::writeNoise(llvm::ArrayRef<float> values) {
  if (sampling->noise().empty() || sampling->use_noise().empty())
    return failure(Exit::Contradiction,
                   "the plan takes no given noise (--init-noise, --noise)");
  if (llvm::Error error = executor->write(
          *executor->findGlobal(sampling->noise()), bytesOf(values)))
    return error;
  return writeNumber(sampling->use_noise(), 1);
}

/// x_T: by the plan's own step, from given or drawn noise; by the host where
/// the plan has no such step.
llvm::Error PictureSampler::writeInitialNoise(int64_t first) {
  int64_t elements = pictureElements();
  std::vector<float> noise(batch() * elements);
  if (request.initialNoise)
    noise = noisePart(*request.initialNoise, 0, first, batch(), pictures(),
                      elements);
  if (!init) {
    if (!request.initialNoise)
      for (int64_t i = 0; i != batch() * elements; ++i)
        noise[i] = normal(request.seed, i % elements, first + i / elements, 0,
                          InitialNoise);
    return executor->write(*executor->findGlobal(sampling->latent()),
                           bytesOf(llvm::ArrayRef(noise)));
  }
  if (request.initialNoise)
    return writeNoise(noise);
  return llvm::Error::success();
}

/// Timed functions run to their end, one after the other.
llvm::Error PictureSampler::start(unsigned function, Timeline *timeline) {
  return timeline ? executor->run(function, timeline)
                  : executor->start(function);
}

llvm::Error PictureSampler::begin(int64_t first, Timeline *timeline) {
  if (llvm::Error error = writeLabels(first))
    return error;
  if (llvm::Error error = writeNumber(sampling->step(), 0))
    return error;
  if (!sampling->use_noise().empty())
    if (llvm::Error error = writeNumber(sampling->use_noise(), 0))
      return error;
  if (prologue)
    if (llvm::Error error = start(*prologue, timeline))
      return error;
  if (llvm::Error error = writeInitialNoise(first))
    return error;
  if (init)
    if (llvm::Error error = start(*init, timeline))
      return error;
  if (!sampling->use_noise().empty())
    return writeNumber(sampling->use_noise(), 0);
  return llvm::Error::success();
}

llvm::Error PictureSampler::writeStepNoise(int64_t first, int64_t index) {
  if (!request.stepNoise)
    return llvm::Error::success();
  return writeNoise(noisePart(*request.stepNoise, index, first, batch(),
                              pictures(), pictureElements()));
}

/// Names the steps that `error` may be of: the last started and those before
/// that are still under way.
llvm::Error PictureSampler::atSteps(llvm::Error error, int64_t last) const {
  int64_t count = std::max(executor->underWay(), 1u);
  int64_t begin = std::max<int64_t>(last - count + 1, 0);
  std::string which = begin == last
                          ? "step " + std::to_string(last)
                          : "one of the steps " + std::to_string(begin) +
                                " to " + std::to_string(last);
  return plan::within(std::move(error),
                      which + " of " + std::to_string(steps()));
}

llvm::Error PictureSampler::startStep(int64_t first, int64_t index,
                                      Timeline *timeline) {
  if (llvm::Error error = writeStepNoise(first, index))
    return error;
  // begin() has run the first.
  bool renews =
      index && sampling->hoist_steps() && index % sampling->hoist_steps() == 0;
  if (renews)
    if (llvm::Error error = start(*prologue, timeline))
      return error;
  return start(step, timeline);
}

llvm::Expected<std::optional<Array>>
PictureSampler::sample(int64_t first,
                       llvm::function_ref<bool(int64_t step)> proceed,
                       Timeline *timeline) {
  if (llvm::Error error = begin(first, timeline))
    return std::move(error);
  for (int64_t index = 0; index != steps(); ++index) {
    if (!proceed(index)) {
      if (llvm::Error error = executor->finish())
        return atSteps(std::move(error), index - 1);
      return std::nullopt;
    }
    if (llvm::Error error = startStep(first, index, timeline))
      return atSteps(std::move(error), index);
  }
  if (llvm::Error error = executor->finish())
    return atSteps(std::move(error), steps() - 1);
  llvm::Expected<std::vector<uint8_t>> bytes =
      executor->read(*executor->findGlobal(sampling->latent()));
  if (!bytes)
    return bytes.takeError();
  int64_t count = std::min(batch(), pictures() - first);
  bytes->resize(count * pictureElements() * sizeof(float));
  return Array{
      ElementType::F32,
      {count, sampling->channels(), sampling->height(), sampling->width()},
      std::move(*bytes)};
}
