//===- IdxTest.cpp - MNIST's files, good and bad --------------------------===//

#include "runtime/data/Idx.h"

#include "runtime/plan/Failure.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>
#include <zlib.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Bytes = std::vector<uint8_t>;

/// An IDX file with these dimensions; value i is i mod `modulus`.
static Bytes idx(llvm::ArrayRef<uint32_t> shape, unsigned modulus) {
  Bytes file = {0, 0, 8, static_cast<uint8_t>(shape.size())};
  size_t count = 1;
  for (uint32_t dimension : shape) {
    for (int shift = 24; shift >= 0; shift -= 8)
      file.push_back(dimension >> shift & 255);
    count *= dimension;
  }
  for (size_t i = 0; i != count; ++i)
    file.push_back(i % modulus);
  return file;
}

static Bytes gzip(Bytes contents) {
  Bytes file(contents.size() + 100);
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8,
                         Z_DEFAULT_STRATEGY),
            Z_OK);
  stream.next_in = contents.data();
  stream.avail_in = contents.size();
  stream.next_out = file.data();
  stream.avail_out = file.size();
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  file.resize(stream.total_out);
  deflateEnd(&stream);
  return file;
}

template <typename T>
static std::pair<Exit, std::string> failureOf(llvm::Expected<T> result) {
  if (result)
    return {Exit::Done, ""};
  return plan::describe(result.takeError());
}

TEST(IdxTest, PlainAndPacked) {
  Bytes file = idx({2, 3, 4}, 256);
  for (const Bytes &bytes : {file, gzip(file)}) {
    llvm::Expected<Array> array = decodeIdx(bytes);
    ASSERT_TRUE(bool(array));
    EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3, 4}));
    ASSERT_EQ(array->bytes.size(), 24u);
    for (size_t i = 0; i != 24; ++i)
      EXPECT_EQ(array->bytes[i], i);
  }
}

TEST(IdxTest, PackedFilesCutAnywhereAreRefused) {
  Bytes file = gzip(idx({2, 3, 4}, 256));
  for (size_t size = 0; size != file.size(); ++size) {
    auto [code, text] =
        failureOf(decodeIdx(llvm::ArrayRef(file).take_front(size)));
    EXPECT_EQ(code, Exit::Malformed) << size;
  }
  EXPECT_NE(failureOf(decodeIdx(llvm::ArrayRef(file).drop_back()))
                .second.find("truncated"),
            std::string::npos);
}

TEST(IdxTest, DamageIsFound) {
  Bytes file = idx({2, 3, 4}, 256);
  // The CRC covers every value.
  Bytes packed = gzip(file);
  packed[packed.size() - 8] ^= 1;
  EXPECT_EQ(failureOf(decodeIdx(packed)).first, Exit::Malformed);
  packed = gzip(file);
  packed.push_back(0);
  EXPECT_NE(failureOf(decodeIdx(packed)).second.find("bytes follow the end"),
            std::string::npos);
  Bytes magic = file;
  magic[0] = 1;
  EXPECT_NE(failureOf(decodeIdx(magic)).second.find("no IDX file"),
            std::string::npos);
  Bytes type = file;
  type[2] = 0x0d; // fp32
  EXPECT_EQ(failureOf(decodeIdx(type)).first, Exit::Unsupported);
  // One value too few, one too many, dimensions whose product overflows.
  for (const Bytes &bytes : {Bytes(file.begin(), file.end() - 1),
                             Bytes(file.begin(), file.end() - 20), [&] {
                               Bytes longer = file;
                               longer.push_back(0);
                               return longer;
                             }()})
    EXPECT_EQ(failureOf(decodeIdx(bytes)).first, Exit::Malformed);
  Bytes huge(4 + 4 * 255, 0xff);
  huge[0] = huge[1] = 0;
  huge[2] = 8;
  EXPECT_EQ(failureOf(decodeIdx(huge)).first, Exit::Malformed);
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

namespace {

/// A folder that is removed at the end.
struct Folder {
  llvm::SmallString<128> path;

  Folder() { EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("idx", path)); }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  void write(llvm::StringRef name, const Bytes &bytes) {
    std::error_code error;
    llvm::raw_fd_ostream file((path + "/" + name).str(), error);
    ASSERT_FALSE(error);
    file.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  }
};

} // namespace

static constexpr SampleShape shape{1, 6, 8, 10};

TEST(IdxTest, PicturesLieInTheMiddle) {
  Folder folder;
  folder.write("train-images-idx3-ubyte.gz", gzip(idx({3, 4, 4}, 251)));
  folder.write("train-labels-idx1-ubyte.gz", gzip(idx({3}, 10)));
  folder.write("t10k-images-idx3-ubyte", idx({1, 4, 4}, 251));
  folder.write("t10k-labels-idx1-ubyte", idx({1}, 10));
  auto dataset =
      openDataset(folder.path, std::nullopt, DatasetPart::Train, shape);
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 3);
  std::vector<float> sample(48, 7);
  llvm::Expected<int64_t> label = (*dataset)->read(2, sample);
  ASSERT_TRUE(bool(label));
  EXPECT_EQ(*label, 2);
  for (int64_t y = 0; y != 6; ++y)
    for (int64_t x = 0; x != 8; ++x) {
      bool inside = y >= 1 && y < 5 && x >= 2 && x < 6;
      double byte = 2 * 16 + (y - 1) * 4 + (x - 2);
      EXPECT_NEAR(sample[y * 8 + x], inside ? byte / 255 * 2 - 1 : -1, 1e-6);
    }
  auto test = openDataset(folder.path, std::nullopt, DatasetPart::Test, shape);
  ASSERT_TRUE(bool(test));
  EXPECT_EQ((*test)->size(), 1);
}

TEST(IdxTest, FoldersThatDoNotFit) {
  Folder folder;
  auto open = [&](const SampleShape &shape) {
    return failureOf(
        openDataset(folder.path, std::nullopt, DatasetPart::Train, shape));
  };
  EXPECT_EQ(open(shape).first, Exit::Unsupported);
  folder.write("train-images-idx3-ubyte", idx({3, 4, 4}, 251));
  EXPECT_EQ(open(shape).first, Exit::Missing);
  folder.write("train-labels-idx1-ubyte", idx({2}, 10));
  EXPECT_NE(open(shape).second.find("3 pictures and 2 labels"),
            std::string::npos);
  folder.write("train-labels-idx1-ubyte", idx({3, 1}, 10));
  EXPECT_NE(open(shape).second.find("2 dimensions, expected 1"),
            std::string::npos);
  folder.write("train-labels-idx1-ubyte", idx({3}, 10));
  EXPECT_EQ(open(shape).first, Exit::Done);
  EXPECT_EQ(open({3, 6, 8, 10}).first, Exit::Contradiction);
  EXPECT_EQ(open({1, 3, 8, 10}).first, Exit::Contradiction);
  EXPECT_NE(open({1, 6, 8, 2})
                .second.find("train label 2: class 2; the model has 0 to 1"),
            std::string::npos);
  folder.write("train-images-idx3-ubyte", idx({0, 4, 4}, 251));
  folder.write("train-labels-idx1-ubyte", idx({0}, 10));
  EXPECT_NE(open(shape).second.find("no samples"), std::string::npos);
}
