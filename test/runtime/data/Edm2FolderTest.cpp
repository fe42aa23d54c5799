//===- Edm2FolderTest.cpp - Folders with a dataset.json, good and bad -----===//

#include "runtime/data/Dataset.h"

#include "runtime/data/Npy.h"
#include "runtime/data/PictureFile.h"
#include "runtime/plan/Failure.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static constexpr SampleShape latentShape{2, 1, 2, 10};

using DatasetOr = llvm::Expected<std::unique_ptr<Dataset>>;

namespace {

/// A folder with folders a and b, which is removed at the end.
class Edm2FolderTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("edm2", root));
    ASSERT_FALSE(llvm::sys::fs::create_directory(root + "/a"));
    ASSERT_FALSE(llvm::sys::fs::create_directory(root + "/b"));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(root); }

  void write(llvm::StringRef name, llvm::StringRef contents) {
    std::error_code error;
    llvm::raw_fd_ostream file((root + "/" + name).str(), error);
    ASSERT_FALSE(error);
    file << contents;
  }
  void writeList(llvm::StringRef pairs) {
    write("dataset.json", ("{\"labels\": [" + pairs + "]}").str());
  }
  void writeArray(llvm::StringRef name, const Array &array) {
    ASSERT_FALSE(bool(writeNpy((root + "/" + name).str(), array)));
  }
  DatasetOr open(const SampleShape &shape = latentShape) {
    return openDataset(root, std::nullopt, DatasetPart::Train, shape);
  }
  std::pair<Exit, std::string>
  failureOf(const SampleShape &shape = latentShape) {
    DatasetOr dataset = open(shape);
    if (dataset)
      return {Exit::Done, ""};
    return plan::describe(dataset.takeError());
  }
  /// The list has to fail so, with a text that has `what`.
  void expectFailure(llvm::StringRef pairs, Exit code, llvm::StringRef what) {
    writeList(pairs);
    auto [found, text] = failureOf();
    EXPECT_EQ(found, code) << pairs.str() << ": " << text;
    EXPECT_NE(text.find(what), std::string::npos) << text;
    EXPECT_NE(text.find("dataset.json'"), std::string::npos) << text;
  }

  llvm::SmallString<128> root;
};

} // namespace

static std::pair<Exit, std::string> readFailure(const Dataset &dataset,
                                                int64_t index, size_t size) {
  std::vector<float> sample(size);
  llvm::Expected<int64_t> label = dataset.read(index, sample);
  if (label)
    return {Exit::Done, ""};
  return plan::describe(label.takeError());
}

TEST_F(Edm2FolderTest, MeansAndDeviations) {
  writeArray("b/0.npy", makeArray({4, 1, 2}, {1, -2, 3, 4, .5, 0, 2, 1}));
  writeArray("a/1.npy", makeArray({1, 4, 1, 2}, {5, 6, 7, 8, 1, 2, 3, 4}));
  writeArray("a/unlisted.npy", makeArray({1}, {1}));
  writeList("[\"b/0.npy\", 9], [\"a/1.npy\", 0]");
  DatasetOr dataset = open();
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 2);
  EXPECT_TRUE((*dataset)->isDistribution());
  EXPECT_FALSE((*dataset)->mirrors());
  EXPECT_EQ((*dataset)->describe(0), "b/0.npy");
  EXPECT_EQ((*dataset)->describe(1), "a/1.npy");
  std::vector<float> moments(8);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(0, moments)), 9);
  EXPECT_EQ(moments, (std::vector<float>{1, -2, 3, 4, .5, 0, 2, 1}));
  EXPECT_EQ(llvm::cantFail((*dataset)->read(1, moments)), 0);
  EXPECT_EQ(moments, (std::vector<float>{5, 6, 7, 8, 1, 2, 3, 4}));
}

TEST_F(Edm2FolderTest, LatentsAsTheyAre) {
  bool lossy = false;
  writeArray("a/0.npy", convertArray(makeArray({2, 1, 2}, {1, -2, 3, 4}),
                                     plan::ElementType::F16, lossy));
  writeList("[\"a/0.npy\", 1]");
  DatasetOr dataset = open();
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  EXPECT_FALSE((*dataset)->isDistribution());
  EXPECT_FALSE((*dataset)->mirrors());
  std::vector<float> sample(4);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(0, sample)), 1);
  EXPECT_EQ(sample, (std::vector<float>{1, -2, 3, 4}));
}

TEST_F(Edm2FolderTest, Pictures) {
  Picture picture{2, 2, 3, {0, 0, 0, 255, 255, 255, 255, 0, 255, 0, 255, 0}};
  std::vector<uint8_t> png = llvm::cantFail(encodePng(picture, {}));
  llvm::StringRef bytes(reinterpret_cast<const char *>(png.data()), png.size());
  write("a/0.png", bytes);
  write("b/1.PNG", bytes.drop_back(20));
  // The labels are the list's, not the folders'.
  writeList("[\"a/0.png\", 4], [\"b/1.PNG\", 3]");
  DatasetOr dataset = open({3, 2, 2, 10});
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 2);
  EXPECT_TRUE((*dataset)->mirrors());
  std::vector<float> sample(12);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(0, sample)), 4);
  EXPECT_EQ(sample,
            (std::vector<float>{-1, 1, 1, -1, -1, 1, -1, 1, -1, 1, 1, -1}));
  auto [code, text] = readFailure(**dataset, 1, 12);
  EXPECT_EQ(code, Exit::Malformed);
  EXPECT_NE(text.find("b/1.PNG'"), std::string::npos) << text;
  EXPECT_EQ(failureOf({4, 2, 2, 10}).first, Exit::Contradiction);
}

/// The first file is read at once, the others when they are asked for.
TEST_F(Edm2FolderTest, FilesThatAreWrong) {
  Array good = makeArray({4, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  writeArray("a/0.npy", good);
  writeArray("a/other.npy", makeArray({3, 1, 2}, {1, 2, 3, 4, 5, 6}));
  writeArray("a/mean.npy", makeArray({2, 1, 2}, {1, 2, 3, 4}));
  writeArray("a/logarithm.npy",
             makeArray({4, 1, 2}, {1, 2, 3, 4, 5, 6, -7, 8}));
  Array integers = good;
  integers.type = plan::ElementType::I32;
  writeArray("a/integers.npy", integers);
  write("a/text.npy", "hello");
  const std::pair<std::string, Exit> bad[] = {
      {"a/none.npy", Exit::Missing},
      {"a/other.npy", Exit::Contradiction},
      {"a/mean.npy", Exit::Contradiction},
      {"a/logarithm.npy", Exit::Malformed},
      {"a/integers.npy", Exit::Contradiction},
      {"a/text.npy", Exit::Malformed}};
  for (const auto &[name, expected] : bad) {
    writeList("[\"a/0.npy\", 1], [\"" + name + "\", 1]");
    DatasetOr dataset = open();
    ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
    EXPECT_EQ(readFailure(**dataset, 0, 8).first, Exit::Done);
    auto [code, text] = readFailure(**dataset, 1, 8);
    EXPECT_EQ(code, expected) << text;
    EXPECT_NE(text.find("/" + name + "'"), std::string::npos) << text;
    if (name == "a/mean.npy") // is of another kind than the first, not wrong
      continue;
    writeList("[\"" + name + "\", 1]");
    EXPECT_EQ(failureOf().first, expected) << name;
  }
}

TEST_F(Edm2FolderTest, ListsThatAreWrong) {
  writeArray("a/0.npy", makeArray({2, 1, 2}, {1, 2, 3, 4}));
  writeList("[\"a/0.npy\", 1]");
  ASSERT_EQ(failureOf().first, Exit::Done);
  // All labels are checked at once, the files' contents are not.
  expectFailure("[\"a/0.npy\", 1], [\"a/1.npy\", 10]", Exit::Contradiction,
                "byte 28, 'a/1.npy': class 10; the model has 0 to 9");
  expectFailure("[\"a/0.npy\", -1]", Exit::Contradiction, "class -1");
  expectFailure("[\"a/0.npy\", 1], [\"a/0.webp\", 1]", Exit::Unsupported,
                "'a/0.webp': files of this kind are not supported");
  expectFailure("[\"a/0.npy\", 1], [\"a/0.png\", 1]", Exit::Malformed,
                "both pictures and .npy files");
  for (const char *path :
       {"../a/0.npy", "/a/0.npy", "a/../0.npy", "a\\\\0.npy", "a/0\\u0000.npy"})
    expectFailure(("[\"" + llvm::StringRef(path) + "\", 1]").str(),
                  Exit::Refused, "must stay in the folder");
  expectFailure("[\"a/0.npy\"]", Exit::Malformed, "byte 12: this is no pair");
  writeList("");
  auto [code, text] = failureOf();
  EXPECT_EQ(code, Exit::Malformed);
  EXPECT_NE(text.find("no samples"), std::string::npos) << text;
  for (const char *list : {"{\"labels\": null}", "{}"}) {
    write("dataset.json", list);
    std::tie(code, text) = failureOf();
    EXPECT_EQ(code, Exit::Contradiction);
    EXPECT_NE(text.find("has no labels"), std::string::npos) << text;
  }
  EXPECT_EQ(plan::describe(
                openDataset(root, std::nullopt, DatasetPart::Test, latentShape)
                    .takeError())
                .first,
            Exit::Contradiction);
}
