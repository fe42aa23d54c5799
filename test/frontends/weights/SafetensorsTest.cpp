//===- SafetensorsTest.cpp - Weight files, good and bad -------------------===//
#include "frontends/weights/Safetensors.h"

#include "frontends/onnx/ImportError.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

using namespace dit;
using llvm::StringRef;

/// A file with this header and `bytes` zero bytes of data.
static std::string makeFile(StringRef header, size_t bytes) {
  std::string file;
  for (unsigned byte = 0; byte < 8; ++byte)
    file += static_cast<char>((header.size() >> (8 * byte)) & 255);
  return file + header.str() + std::string(bytes, '\0');
}

namespace {
/// What went wrong, and the exit code.
struct Failure {
  std::string message;
  int code = 0;
  bool says(StringRef text) const { return StringRef(message).contains(text); }
};
} // namespace

template <typename T>
static Failure failureOf(llvm::Expected<T> result) {
  Failure failure;
  if (!result)
    llvm::handleAllErrors(
        result.takeError(), [&](const onnx::ImportError &error) {
          failure = {error.getMessage().str(), error.exitCode()};
        });
  return failure;
}

static Failure parse(StringRef header, size_t bytes) {
  return failureOf(parseSafetensors(makeFile(header, bytes), nullptr));
}

TEST(Safetensors, ReadsTensors) {
  std::string file =
      makeFile(R"({"__metadata__":{"format":"pt"},)"
               R"("b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},)"
               R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
               R"("none":{"dtype":"F32","shape":[0,7],"data_offsets":[8,8]}})",
               14);
  auto tensors = parseSafetensors(file, nullptr);
  ASSERT_TRUE(static_cast<bool>(tensors));
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ((*tensors)[0].bytes.data(), file.data() + file.size() - 14);
  EXPECT_EQ((*tensors)[0].bytes.size(), 8u);
  EXPECT_EQ((*tensors)[2].name, "b");
  EXPECT_EQ((*tensors)[2].type, "F16");
}

TEST(Safetensors, EveryTruncationIsRefused) {
  std::string file =
      makeFile(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_EQ(
        failureOf(parseSafetensors(StringRef(file).take_front(size), nullptr))
            .code,
        65)
        << size;
}

// Read or refused, never out of bounds (the sanitizer builds look).
TEST(Safetensors, EveryBitFlipEnds) {
  std::string file =
      makeFile(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8);
  size_t refused = 0;
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    auto tensors = parseSafetensors(file, nullptr);
    if (!tensors)
      refused += failureOf(std::move(tensors)).code != 0;
    else
      for (const StoredTensor &tensor : *tensors)
        EXPECT_LE(tensor.bytes.end(), file.data() + file.size());
    file[bit / 8] ^= static_cast<char>(1 << (bit % 8));
  }
  // Flips in the values and in the name make another file, not a bad one.
  EXPECT_GT(refused, 300u);
}

TEST(Safetensors, BadHeaders) {
  auto one = [](StringRef entry) { return "{\"a\":" + entry.str() + "}"; };
  EXPECT_TRUE(parse("", 0).says("bad JSON"));
  EXPECT_TRUE(parse("[]", 0).says("no object"));
  EXPECT_TRUE(parse("{\"a\":{}}", 0).says("must have a dtype"));
  EXPECT_TRUE(
      parse(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), 8)
          .says("must have a dtype"));
  EXPECT_TRUE(parse(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), 8)
                  .says("two data_offsets"));
  EXPECT_TRUE(
      parse(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,12]})"), 8)
          .says("the file has 8 bytes of data"));
  EXPECT_TRUE(
      parse(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), 8)
          .says("needs 12 bytes, but has 8"));
  EXPECT_TRUE(
      parse(
          one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"),
          8)
          .says("64 bits"));
  Failure type =
      parse(one(R"({"dtype":"F4","shape":[8],"data_offsets":[0,8]})"), 8);
  EXPECT_TRUE(type.says("dtype 'F4'"));
  EXPECT_EQ(type.code, 69);
}

TEST(Safetensors, OverlapsHolesAndDuplicates) {
  StringRef a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  auto with = [&](StringRef other) {
    return "{" + a.str() + "," + other.str() + "}";
  };
  EXPECT_TRUE(
      parse(with(R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]})"),
            12)
          .says("'b' overlaps the one before it"));
  EXPECT_TRUE(
      parse(with(R"("b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]})"),
            20)
          .says("'b' leaves a hole before it"));
  EXPECT_TRUE(parse("{" + a.str() + "}", 9).says("last 1 bytes belong to no"));
  EXPECT_TRUE(parse(with(a), 8).says("same key twice"));
}

TEST(Safetensors, DeepNestingIsRefusedBeforeItIsParsed) {
  EXPECT_TRUE(parse(std::string(1000000, '['), 0).says("nests deeper"));
  EXPECT_TRUE(parse("{\"[[[[[[[[\": 1}", 0).says("must have a dtype"));
}

TEST(Safetensors, OtherFormats) {
  Failure zip = failureOf(parseSafetensors("PK\x03\x04 and more", nullptr));
  EXPECT_EQ(zip.code, 77);
  EXPECT_TRUE(zip.says("PyTorch"));
  EXPECT_EQ(failureOf(parseSafetensors("\x80\x02}q\x01.", nullptr)).code, 77);
  // 2^40 bytes of header, and 101 MB that are there.
  EXPECT_TRUE(
      failureOf(parseSafetensors(StringRef("\0\0\0\0\0\1\0\0", 8), nullptr))
          .says("100 MB at most"));
}

namespace {
/// A folder of weights that goes away.
struct WeightFolder : testing::Test {
  WeightFolder() {
    std::error_code code =
        llvm::sys::fs::createUniqueDirectory("dit-weights", folder);
    EXPECT_FALSE(code);
  }
  ~WeightFolder() override { llvm::sys::fs::remove_directories(folder); }
  std::string write(StringRef name, StringRef text) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    std::error_code code;
    llvm::raw_fd_ostream(path, code) << text;
    EXPECT_FALSE(code);
    return path.str().str();
  }
  static std::string tensor(StringRef name) {
    return makeFile(
        "{\"" + name.str() +
            R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        4);
  }
  llvm::SmallString<128> folder;
};
} // namespace

TEST_F(WeightFolder, FileFolderAndIndex) {
  std::string file = write("one.safetensors", tensor("a"));
  auto fromFile = openWeights(file);
  ASSERT_TRUE(static_cast<bool>(fromFile));
  EXPECT_EQ(fromFile->size(), 1u);
  auto fromFolder = openWeights(folder);
  ASSERT_TRUE(static_cast<bool>(fromFolder));

  write("two.safetensors", tensor("b"));
  Failure two = failureOf(openWeights(folder));
  EXPECT_TRUE(two.says("2 safetensors files"));
  EXPECT_EQ(two.code, 66);
  write("all.safetensors.index.json",
        R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  auto sharded = openWeights(folder);
  ASSERT_TRUE(static_cast<bool>(sharded));
  ASSERT_EQ(sharded->size(), 2u);
  EXPECT_EQ((*sharded)[1].name, "b");
  EXPECT_EQ(failureOf(openWeights("/nonexistent.safetensors")).code, 66);
}

TEST_F(WeightFolder, BadIndices) {
  write("one.safetensors", tensor("a"));
  auto index = [&](StringRef map) {
    return failureOf(openWeights(write(
        "m.safetensors.index.json", "{\"weight_map\":{" + map.str() + "}}")));
  };
  EXPECT_EQ(index(R"("a":"../one.safetensors")").code, 77);
  EXPECT_EQ(index(R"("a":"/etc/one.safetensors")").code, 77);
  EXPECT_EQ(index(R"("a":"one.pt")").code, 77);
  EXPECT_TRUE(index(R"("a":1)").says("gives no file for tensor 'a'"));
  EXPECT_TRUE(index(R"("b":"one.safetensors")").says("has tensor 'a'"));
  EXPECT_TRUE(index(R"("a":"one.safetensors","b":"one.safetensors")")
                  .says("'b' is not in its shard"));
  EXPECT_EQ(index(R"("a":"two.safetensors")").code, 66);
  EXPECT_TRUE(failureOf(openWeights(write("n.safetensors.index.json", "{}")))
                  .says("has no weight_map"));
}
