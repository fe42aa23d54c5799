//===- DatasetBatches.cpp - A data set's batches, read ahead --------------===//

#include "runtime/training/DatasetBatches.h"

#include "runtime/data/Latents.h"
#include "runtime/training/Order.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <utility>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

/// Bad samples that are told of one by one.
static constexpr int64_t mostComplaints = 10;

//===----------------------------------------------------------------------===//
// One batch
//===----------------------------------------------------------------------===//

int64_t DatasetBatches::indexOf(int64_t sample) const {
  int64_t position = sample % epochSize;
  if (!options.shuffle)
    return position;
  return Order(dataset->size(), options.seed, sample / epochSize)[position];
}

llvm::Error DatasetBatches::noteBad(int64_t index, llvm::Error why) {
  auto [code, text] = plan::describe(std::move(why));
  std::lock_guard<std::mutex> lock(mutex);
  bool known = !bad.insert(index).second;
  int64_t count = bad.size(), size = dataset->size();
  if (!known && count == 1)
    firstBad = text;
  if (!known && count <= mostComplaints)
    complaints.push_back(text + (count == mostComplaints
                                     ? "; more of them are only counted"
                                     : ""));
  if (count * 1000 <= size)
    return llvm::Error::success();
  constexpr int64_t listed = 8;
  std::string names;
  for (int64_t at : llvm::drop_end(bad, std::max<int64_t>(count - listed, 0)))
    names += (names.empty() ? "" : ", ") + dataset->describe(at);
  return failure(
      Exit::Malformed,
      llvm::Twine(count) + " of " + llvm::Twine(size) +
          " samples cannot be read, more than one in 1000: " + names +
          (count > listed ? ", ..." : "") + "; the first: " + firstBad);
}

llvm::Expected<int64_t>
DatasetBatches::readSample(int64_t sample, llvm::MutableArrayRef<float> to) {
  int64_t index = indexOf(sample);
  while (true) {
    llvm::Expected<int64_t> label = dataset->read(index, to);
    if (label)
      return label;
    // Ends before all were tried: too many of them are an error.
    if (llvm::Error error = noteBad(index, label.takeError()))
      return std::move(error);
    index = (index + 1) % dataset->size();
  }
}

llvm::Error DatasetBatches::fill(Slot &slot, int64_t first) {
  int64_t elements = shape.elements();
  slot.pictures.resize(options.batch * elements);
  slot.labels.resize(options.batch);
  slot.samples.resize(options.batch);
  bool isDrawn = dataset->isDistribution();
  std::vector<float> moments(isDrawn ? 2 * elements : 0);
  for (int64_t i = 0; i != options.batch; ++i) {
    int64_t sample = first + i;
    llvm::MutableArrayRef<float> to(&slot.pictures[i * elements], elements);
    llvm::Expected<int64_t> label =
        readSample(sample, isDrawn ? llvm::MutableArrayRef(moments) : to);
    if (!label)
      return label.takeError();
    if (isDrawn)
      drawLatent(moments, options.latentScale, options.seed, sample, to);
    slot.labels[i] = *label;
    slot.samples[i] = sample;
    if (options.mirror && isMirrored(options.seed, sample))
      for (int64_t row = 0; row != shape.channels * shape.height; ++row)
        std::ranges::reverse(to.slice(row * shape.width, shape.width));
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

void DatasetBatches::work() {
  std::unique_lock<std::mutex> lock(mutex);
  while (true) {
    wantsWork.wait(lock,
                   [&] { return stopping || claimed < given + options.ahead; });
    if (stopping)
      return;
    int64_t batch = claimed++;
    Slot &slot = slots[batch % slots.size()];
    lock.unlock();
    llvm::Error error = fill(slot, firstSample + batch * options.batch);
    lock.lock();
    slot.failed.reset();
    if (error)
      slot.failed = plan::describe(std::move(error));
    slot.filledFor = batch;
    hasBatch.notify_one();
  }
}

void DatasetBatches::start() {
  stopping = false;
  for (unsigned i = 0; i != options.threads; ++i)
    threads.emplace_back([this] { work(); });
}

void DatasetBatches::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
  }
  wantsWork.notify_all();
  for (std::thread &thread : threads)
    thread.join();
  threads.clear();
}

//===----------------------------------------------------------------------===//
// The source
//===----------------------------------------------------------------------===//

DatasetBatches::DatasetBatches(std::unique_ptr<Dataset> dataset,
                               const SampleShape &shape,
                               const BatchingOptions &options)
    : dataset(std::move(dataset)), shape(shape), options(options),
      slots(options.ahead + 1) {
  int64_t size = this->dataset->size();
  epochSize = options.shuffle ? size - size % options.perStep : size;
  this->options.mirror = options.mirror && this->dataset->mirrors();
}

llvm::Expected<std::unique_ptr<DatasetBatches>>
DatasetBatches::create(std::unique_ptr<Dataset> dataset,
                       const SampleShape &shape,
                       const BatchingOptions &options) {
  if (options.shuffle && dataset->size() < options.perStep)
    return failure(Exit::Contradiction,
                   "a step takes " + llvm::Twine(options.perStep) +
                       " samples, the data set has " +
                       llvm::Twine(dataset->size()) +
                       ": a smaller --global-batch or --batch is needed");
  return std::unique_ptr<DatasetBatches>(
      new DatasetBatches(std::move(dataset), shape, options));
}

llvm::Error DatasetBatches::seek(int64_t sample) {
  stop();
  firstSample = sample;
  claimed = given = 0;
  for (Slot &slot : slots)
    slot.filledFor = -1;
  return llvm::Error::success();
}

llvm::Expected<Batch> DatasetBatches::next() {
  if (threads.empty())
    start();
  std::unique_lock<std::mutex> lock(mutex);
  Slot &slot = slots[given % slots.size()];
  hasBatch.wait(lock, [&] { return slot.filledFor == given; });
  if (slot.failed)
    return failure(slot.failed->first, slot.failed->second);
  ++given;
  wantsWork.notify_one();
  return Batch{slot.pictures, slot.labels, slot.samples, {}, {}};
}

std::string DatasetBatches::describe(int64_t sample) const {
  return dataset->describe(indexOf(sample));
}

int64_t DatasetBatches::badSamples() const {
  std::lock_guard<std::mutex> lock(mutex);
  return bad.size();
}

std::vector<std::string> DatasetBatches::takeComplaints() {
  std::lock_guard<std::mutex> lock(mutex);
  return std::exchange(complaints, {});
}
