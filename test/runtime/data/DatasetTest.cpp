//===- DatasetTest.cpp - CIFAR-10 and latents, good and bad ---------------===//

#include "runtime/data/Dataset.h"

#include "runtime/data/Latents.h"
#include "runtime/data/Npy.h"
#include "runtime/diffusion/Philox.h"
#include "runtime/plan/Failure.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Bytes = std::vector<uint8_t>;

namespace {

/// A folder that is removed at the end.
struct Folder {
  llvm::SmallString<128> path;

  Folder() {
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("dataset", path));
  }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  std::string at(llvm::StringRef name) { return (path + "/" + name).str(); }
  void makeFolder(llvm::StringRef name) {
    EXPECT_FALSE(llvm::sys::fs::create_directory(at(name)));
  }
  void write(llvm::StringRef name, const Bytes &bytes) {
    std::error_code error;
    llvm::raw_fd_ostream file(at(name), error);
    ASSERT_FALSE(error);
    file.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  }
};

} // namespace

using DatasetOr = llvm::Expected<std::unique_ptr<Dataset>>;

static std::pair<Exit, std::string> failureOf(DatasetOr result) {
  if (result)
    return {Exit::Done, ""};
  return plan::describe(result.takeError());
}

static DatasetOr open(Folder &folder, const SampleShape &shape,
                      DatasetPart part = DatasetPart::Train) {
  return openDataset(folder.path, std::nullopt, part, shape);
}

/// Two records; byte i of the first picture is i mod 251, of the second 255.
static Bytes cifarBatch(uint8_t first, uint8_t second) {
  Bytes file = {first};
  for (int i = 0; i != 3072; ++i)
    file.push_back(i % 251);
  file.push_back(second);
  file.insert(file.end(), 3072, 255);
  return file;
}

static constexpr SampleShape cifarShape{3, 32, 32, 10};

TEST(DatasetTest, CifarRecords) {
  Folder folder;
  for (uint8_t i = 1; i <= 5; ++i)
    folder.write("data_batch_" + std::to_string(i) + ".bin", cifarBatch(i, 0));
  folder.write("test_batch.bin", cifarBatch(9, 8));
  DatasetOr dataset = open(folder, cifarShape);
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 10);
  EXPECT_TRUE((*dataset)->mirrors());
  std::vector<float> sample(3072);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(6, sample)), 4);
  for (int i = 0; i != 3072; ++i)
    EXPECT_NEAR(sample[i], i % 251 / 127.5 - 1, 1e-6);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(7, sample)), 0);
  EXPECT_EQ(sample[3071], 1);
  EXPECT_EQ((*dataset)->describe(7), "record 1 of data_batch_4.bin");
  DatasetOr test = open(folder, cifarShape, DatasetPart::Test);
  ASSERT_TRUE(bool(test));
  EXPECT_EQ(llvm::cantFail((*test)->read(0, sample)), 9);
}

TEST(DatasetTest, CifarFilesThatAreWrong) {
  Folder folder;
  folder.write("data_batch_1.bin", cifarBatch(1, 2));
  EXPECT_EQ(failureOf(open(folder, cifarShape)).first, Exit::Missing);
  EXPECT_EQ(failureOf(open(folder, {1, 32, 32, 10})).first,
            Exit::Contradiction);
  for (const char *name : {"data_batch_2.bin", "data_batch_3.bin",
                           "data_batch_4.bin", "data_batch_5.bin"})
    folder.write(name, cifarBatch(1, 2));
  EXPECT_EQ(failureOf(open(folder, cifarShape)).first, Exit::Done);
  Bytes cut = cifarBatch(1, 2);
  cut.pop_back();
  folder.write("data_batch_5.bin", cut);
  EXPECT_EQ(failureOf(open(folder, cifarShape)).first, Exit::Malformed);
  folder.write("data_batch_5.bin", cifarBatch(1, 10));
  auto [code, text] = failureOf(open(folder, cifarShape));
  EXPECT_EQ(code, Exit::Contradiction);
  EXPECT_NE(text.find("byte 3073: class 10; the model has 0 to 9"),
            std::string::npos);
}

//===----------------------------------------------------------------------===//
// Latents
//===----------------------------------------------------------------------===//

static constexpr SampleShape latentShape{2, 1, 3, 10};

/// An array of 64-bit integers.
static Array label(int64_t value, std::vector<int64_t> shape = {1}) {
  Array array{plan::ElementType::I64, std::move(shape), Bytes(8)};
  for (int i = 0; i != 8; ++i)
    array.bytes[i] = static_cast<uint64_t>(value) >> (8 * i) & 255;
  return array;
}

static void writeLatent(Folder &folder, const std::string &stem, float first,
                        const Array &label) {
  float values[6];
  for (int i = 0; i != 6; ++i)
    values[i] = first + static_cast<float>(i);
  ASSERT_FALSE(bool(writeNpy(folder.at("features/" + stem + ".npy"),
                             makeArray({1, 2, 1, 3}, values))));
  ASSERT_FALSE(bool(writeNpy(folder.at("labels/" + stem + ".npy"), label)));
}

TEST(DatasetTest, LatentPairs) {
  Folder folder;
  folder.makeFolder("features");
  folder.makeFolder("labels");
  writeLatent(folder, "10", 10, label(3));
  writeLatent(folder, "9", 9, label(4, {}));
  DatasetOr dataset = open(folder, latentShape);
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 2);
  EXPECT_FALSE((*dataset)->mirrors());
  std::vector<float> sample(6);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(0, sample)), 4);
  EXPECT_EQ(sample, (std::vector<float>{9, 10, 11, 12, 13, 14}));
  EXPECT_EQ(llvm::cantFail((*dataset)->read(1, sample)), 3);
  EXPECT_EQ(sample, (std::vector<float>{10, 11, 12, 13, 14, 15}));
  EXPECT_EQ((*dataset)->describe(1), "features/10.npy");
  EXPECT_EQ(failureOf(open(folder, latentShape, DatasetPart::Test)).first,
            Exit::Contradiction);
  EXPECT_EQ(
      failureOf(open(folder, latentShape, DatasetPart::TestOrWhole)).first,
      Exit::Done);
}

TEST(DatasetTest, LatentDistributions) {
  Folder folder;
  folder.makeFolder("features");
  folder.makeFolder("labels");
  // Two channels of the files are the mean and the deviation of one.
  writeLatent(folder, "0", 1, label(3));
  writeLatent(folder, "1", 2, label(4));
  writeLatent(folder, "2", -5, label(4));
  SampleShape shape{1, 1, 3, 10};
  DatasetOr dataset = open(folder, shape);
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  EXPECT_TRUE((*dataset)->isDistribution());
  EXPECT_FALSE((*dataset)->mirrors());
  std::vector<float> moments(6);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(1, moments)), 4);
  EXPECT_EQ(moments, (std::vector<float>{2, 3, 4, 5, 6, 7}));
  // -5, -4, -3 are means, -2 would be a deviation.
  llvm::Expected<int64_t> bad = (*dataset)->read(2, moments);
  ASSERT_FALSE(bool(bad));
  auto [code, text] = plan::describe(bad.takeError());
  EXPECT_EQ(code, Exit::Malformed);
  EXPECT_NE(text.find("value 3, a standard deviation, is negative"),
            std::string::npos);
  // All files are of the first one's kind.
  ASSERT_FALSE(bool(
      writeNpy(folder.at("features/1.npy"), makeArray({1, 1, 3}, {1, 2, 3}))));
  bad = (*dataset)->read(1, moments);
  ASSERT_FALSE(bool(bad));
  EXPECT_EQ(plan::describe(bad.takeError()).first, Exit::Contradiction);
}

TEST(DatasetTest, DrawnLatents) {
  // Six values: one and a half of Philox's counters.
  std::vector<float> moments{1, 2, 3, -4, 5, 6, 0.5, 0, 2, 1, 0.25, 3};
  std::vector<float> sample(6);
  drawLatent(moments, 0.5, 7, 1000, sample);
  for (uint32_t i = 0; i != 6; ++i)
    EXPECT_FLOAT_EQ(sample[i],
                    (moments[i] + moments[6 + i] * normal(7, i, 1000, 0, 5)) *
                        0.5f);
  EXPECT_EQ(sample[1], 1); // without a deviation
  std::vector<float> next(6), same(6);
  drawLatent(moments, 0.5, 7, 1001, next);
  EXPECT_NE(sample[0], next[0]);
  drawLatent(moments, 0.5, 7, 1000, same);
  EXPECT_EQ(sample, same);
  drawLatent(moments, 0.5, 8, 1000, same);
  EXPECT_NE(sample[0], same[0]);

  // The noise is standard normal: 40000 numbers, four standard errors.
  double sum = 0, squares = 0;
  std::vector<float> unit(200), numbers(100);
  std::fill(unit.begin() + 100, unit.end(), 1.0f);
  for (int64_t number = 0; number != 400; ++number) {
    drawLatent(unit, 1, 3, number, numbers);
    for (float value : numbers) {
      sum += value;
      squares += double(value) * value;
    }
  }
  EXPECT_NEAR(sum / 40000, 0, 0.02);
  EXPECT_NEAR(squares / 40000, 1, 0.0283);
}

TEST(DatasetTest, LatentsThatAreWrong) {
  Folder folder;
  folder.makeFolder("features");
  folder.makeFolder("labels");
  EXPECT_NE(failureOf(open(folder, latentShape)).second.find("no samples"),
            std::string::npos);
  writeLatent(folder, "0", 0, label(10));
  EXPECT_EQ(failureOf(open(folder, latentShape)).first, Exit::Contradiction);
  writeLatent(folder, "0", 0, label(1));
  EXPECT_EQ(failureOf(open(folder, {2, 3, 1, 10})).first, Exit::Contradiction);
  // Sample 1 is read when it is asked for: a bad sample.
  writeLatent(folder, "1", NAN, label(1));
  DatasetOr dataset = open(folder, latentShape);
  ASSERT_TRUE(bool(dataset));
  std::vector<float> sample(6);
  llvm::Expected<int64_t> bad = (*dataset)->read(1, sample);
  ASSERT_FALSE(bool(bad));
  EXPECT_NE(
      plan::describe(bad.takeError()).second.find("value 0 is not finite"),
      std::string::npos);
  ASSERT_FALSE(llvm::sys::fs::remove(folder.at("labels/1.npy")));
  EXPECT_NE(failureOf(open(folder, latentShape))
                .second.find("features/1.npy has no label"),
            std::string::npos);
  ASSERT_FALSE(llvm::sys::fs::remove(folder.at("features/0.npy")));
  ASSERT_FALSE(llvm::sys::fs::remove(folder.at("features/1.npy")));
  EXPECT_NE(failureOf(open(folder, latentShape))
                .second.find("labels/ has files without features"),
            std::string::npos);
}

TEST(DatasetTest, NamesAndPaths) {
  Folder folder;
  auto fails = [&](const std::string &path, const char *name) {
    return failureOf(
        openDataset(path, std::string(name), DatasetPart::Train, cifarShape));
  };
  auto [code, text] = fails(folder.path.str().str(), "mnits");
  EXPECT_EQ(code, Exit::Usage);
  EXPECT_NE(
      text.find("fashion-mnist, cifar10, latents, edm2, webdataset, folder"),
      std::string::npos);
  EXPECT_EQ(fails(folder.at("none"), "cifar10").first, Exit::Missing);
  EXPECT_EQ(fails(folder.path.str().str(), "cifar10").first, Exit::Missing);
  EXPECT_EQ(fails(folder.path.str().str(), "latents").first, Exit::Missing);
  EXPECT_EQ(fails(folder.path.str().str(), "edm2").first, Exit::Missing);
}
