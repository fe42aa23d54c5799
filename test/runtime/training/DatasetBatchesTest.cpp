//===- DatasetBatchesTest.cpp - Batches read ahead, in order --------------===//

#include "runtime/training/DatasetBatches.h"

#include "runtime/diffusion/Philox.h"
#include "runtime/training/Order.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static constexpr SampleShape shape{1, 2, 3, 10};

namespace {

/// Sample i has the values i, i + 1/8, ... and label i mod 10; some are bad.
class CountedSamples : public Dataset {
public:
  CountedSamples(int64_t count, std::set<int64_t> bad = {},
                 std::atomic<int64_t> *reads = nullptr, bool mirrored = true)
      : count(count), bad(std::move(bad)), reads(reads), mirrored(mirrored) {}

  int64_t size() const override { return count; }
  bool mirrors() const override { return mirrored; }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override {
    if (reads)
      ++*reads;
    // Threads finish in another order than they began.
    std::this_thread::sleep_for(std::chrono::microseconds(index % 3 * 50));
    if (bad.contains(index))
      return plan::failure(Exit::Malformed, describe(index) + ": broken");
    for (size_t i = 0; i != sample.size(); ++i)
      sample[i] = static_cast<float>(index) + static_cast<float>(i) / 8;
    return index % 10;
  }
  std::string describe(int64_t index) const override {
    return "sample-" + std::to_string(index);
  }

private:
  int64_t count;
  std::set<int64_t> bad;
  std::atomic<int64_t> *reads;
  bool mirrored;
};

} // namespace

static BatchingOptions batching() {
  BatchingOptions options;
  options.batch = 4;
  options.perStep = 8;
  options.seed = 3;
  options.threads = 3;
  return options;
}

static std::unique_ptr<DatasetBatches> open(std::unique_ptr<Dataset> dataset,
                                            const BatchingOptions &options) {
  auto batches = DatasetBatches::create(std::move(dataset), shape, options);
  EXPECT_TRUE(bool(batches));
  return std::move(*batches);
}

namespace {

/// Sample i is normal with mean i and deviation 1 + i / 100.
class Distributions : public Dataset {
public:
  int64_t size() const override { return 8; }
  bool mirrors() const override { return false; }
  bool isDistribution() const override { return true; }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override {
    EXPECT_EQ(sample.size(), 12u);
    for (size_t i = 0; i != sample.size(); ++i)
      sample[i] = static_cast<float>(i < 6 ? index : 1 + index / 100.0);
    return index;
  }
  std::string describe(int64_t index) const override {
    return std::to_string(index);
  }
};

} // namespace

// Every epoch has new noise, and it is a sample's own in any order of reading.
TEST(DatasetBatchesTest, DrawsFromDistributions) {
  BatchingOptions options = batching();
  options.latentScale = 0.25;
  auto source = open(std::make_unique<Distributions>(), options);
  ASSERT_FALSE(bool(source->seek(4)));
  for (int64_t first = 4; first != 24; first += 4) {
    llvm::Expected<Batch> batch = source->next();
    ASSERT_TRUE(bool(batch));
    for (int64_t i = 0; i != 4; ++i)
      for (uint32_t at = 0; at != 6; ++at) {
        float index = static_cast<float>(batch->labels[i]);
        EXPECT_FLOAT_EQ(batch->pictures[i * 6 + at],
                        (index + (1 + index / 100) *
                                     normal(3, at, first + i, 0, LatentNoise)) *
                            0.25f);
      }
  }
}

TEST(DatasetBatchesTest, OrderMirroringAndWholeSteps) {
  // 30 samples: an epoch has 24 of them, three steps of 8.
  auto source = open(std::make_unique<CountedSamples>(30), batching());
  for (int64_t first = 0; first != 96; first += 4) {
    llvm::Expected<Batch> batch = source->next();
    ASSERT_TRUE(bool(batch));
    ASSERT_EQ(batch->pictures.size(), 4u * 6);
    EXPECT_TRUE(batch->noise.empty());
    for (int64_t i = 0; i != 4; ++i) {
      int64_t sample = first + i;
      int64_t index = Order(30, 3, sample / 24)[sample % 24];
      EXPECT_EQ(batch->samples[i], sample);
      EXPECT_EQ(batch->labels[i], index % 10);
      EXPECT_EQ(source->describe(sample), "sample-" + std::to_string(index));
      for (int64_t y = 0; y != 2; ++y)
        for (int64_t x = 0; x != 3; ++x) {
          int64_t from = y * 3 + (isMirrored(3, sample) ? 2 - x : x);
          EXPECT_EQ(batch->pictures[i * 6 + y * 3 + x],
                    static_cast<float>(index) + static_cast<float>(from) / 8);
        }
    }
  }
}

TEST(DatasetBatchesTest, GoesOnFromAnySample) {
  auto straight = open(std::make_unique<CountedSamples>(30), batching());
  std::vector<std::vector<float>> all;
  for (int i = 0; i != 20; ++i)
    all.push_back(llvm::cantFail(straight->next()).pictures.vec());
  BatchingOptions other = batching();
  other.threads = 1;
  other.ahead = 1;
  auto resumed = open(std::make_unique<CountedSamples>(30), other);
  for (int64_t begin : {13, 2, 19, 0}) {
    ASSERT_FALSE(bool(resumed->seek(begin * 4)));
    for (int64_t i = begin; i != 20; ++i)
      EXPECT_EQ(llvm::cantFail(resumed->next()).pictures.vec(), all[i]);
  }
}

TEST(DatasetBatchesTest, ReadsNoFurtherAheadThanAsked) {
  std::atomic<int64_t> reads = 0;
  BatchingOptions options = batching();
  options.ahead = 3;
  auto source =
      open(std::make_unique<CountedSamples>(8000, std::set<int64_t>(), &reads),
           options);
  EXPECT_EQ(reads, 0);
  for (int64_t given = 1; given != 4; ++given) {
    llvm::cantFail(source->next());
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (reads < (given + 3) * 4 &&
           std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(reads, (given + 3) * 4);
  }
}

TEST(DatasetBatchesTest, EvaluationKeepsTheOrder) {
  BatchingOptions options = batching();
  options.shuffle = options.mirror = false;
  auto source = open(std::make_unique<CountedSamples>(6), options);
  for (int64_t first : {0, 4, 8}) {
    Batch batch = llvm::cantFail(source->next());
    for (int64_t i = 0; i != 4; ++i)
      EXPECT_EQ(batch.pictures[i * 6], static_cast<float>((first + i) % 6));
  }
}

TEST(DatasetBatchesTest, LatentsAreNotMirrored) {
  auto source = open(
      std::make_unique<CountedSamples>(30, std::set<int64_t>(), nullptr, false),
      batching());
  for (int i = 0; i != 6; ++i) {
    Batch batch = llvm::cantFail(source->next());
    for (int64_t j = 0; j != 4; ++j)
      EXPECT_EQ(batch.pictures[j * 6 + 1] - batch.pictures[j * 6], 0.125f);
  }
}

TEST(DatasetBatchesTest, BadSamplesAreReplacedAndCounted) {
  // Two of 2000 are 0.1 %, which is borne; the next good sample stands in.
  BatchingOptions options = batching();
  options.mirror = false;
  auto source = open(
      std::make_unique<CountedSamples>(2000, std::set<int64_t>{7, 8}), options);
  int64_t replaced = 0;
  for (int64_t first = 0; first != 2000; first += 4) {
    Batch batch = llvm::cantFail(source->next());
    for (int64_t i = 0; i != 4; ++i) {
      int64_t index = Order(2000, 3, 0)[first + i];
      bool bad = index == 7 || index == 8;
      replaced += bad;
      EXPECT_EQ(batch.pictures[i * 6], static_cast<float>(bad ? 9 : index));
      EXPECT_EQ(batch.labels[i], bad ? 9 : index % 10);
    }
  }
  EXPECT_EQ(replaced, 2);
  EXPECT_EQ(source->badSamples(), 2);
  std::vector<std::string> complaints = source->takeComplaints();
  std::sort(complaints.begin(), complaints.end());
  EXPECT_EQ(complaints,
            (std::vector<std::string>{"sample-7: broken", "sample-8: broken"}));
  EXPECT_TRUE(source->takeComplaints().empty());
}

TEST(DatasetBatchesTest, TellsOfTenBadSamplesOnly) {
  std::set<int64_t> bad;
  for (int64_t i = 0; i != 12; ++i)
    bad.insert(i * 997);
  auto source = open(std::make_unique<CountedSamples>(12000, bad), batching());
  for (int64_t first = 0; first != 12000; first += 4)
    llvm::cantFail(source->next());
  EXPECT_EQ(source->badSamples(), 12);
  std::vector<std::string> complaints = source->takeComplaints();
  ASSERT_EQ(complaints.size(), 10u);
  EXPECT_NE(complaints[9].find("more of them are only counted"),
            std::string::npos);
}

TEST(DatasetBatchesTest, TooManyBadSamplesAreNamed) {
  auto source =
      open(std::make_unique<CountedSamples>(2000, std::set<int64_t>{7, 8, 9}),
           batching());
  for (int64_t first = 0; first != 2000; first += 4) {
    llvm::Expected<Batch> batch = source->next();
    if (batch)
      continue;
    auto [code, text] = plan::describe(batch.takeError());
    EXPECT_EQ(code, Exit::Malformed);
    // Threads may meet any of them first.
    EXPECT_TRUE(llvm::StringRef(text).starts_with(
        "3 of 2000 samples cannot be read, more than one in 1000: "
        "sample-7, sample-8, sample-9; the first: sample-"))
        << text;
    return;
  }
  FAIL() << "no error";
}

TEST(DatasetBatchesTest, SetsSmallerThanAStep) {
  auto batches = DatasetBatches::create(std::make_unique<CountedSamples>(7),
                                        shape, batching());
  ASSERT_FALSE(bool(batches));
  EXPECT_EQ(plan::describe(batches.takeError()).first, Exit::Contradiction);
}
