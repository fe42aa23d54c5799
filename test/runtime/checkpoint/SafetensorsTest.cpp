//===- SafetensorsTest.cpp - Files of named tensors, good and bad ---------===//

#include "runtime/checkpoint/Safetensors.h"

#include "runtime/plan/Failure.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;

/// A file with this header and these many zero bytes of data.
static std::vector<uint8_t> file(llvm::StringRef header, size_t data = 0) {
  std::vector<uint8_t> bytes(8);
  llvm::support::endian::write64le(bytes.data(), header.size());
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.resize(bytes.size() + data);
  return bytes;
}

static std::pair<Exit, std::string> failureOf(llvm::ArrayRef<uint8_t> bytes) {
  llvm::Expected<Safetensors> tensors = Safetensors::decode(bytes);
  if (tensors)
    return {Exit::Done, ""};
  return plan::describe(tensors.takeError());
}

// The documentation's layout, spelled by hand.
TEST(SafetensorsTest, Reads) {
  std::vector<uint8_t> bytes = file(
      R"( {"__metadata__":{"format":"pt"},"b":{"shape":[2,3],"dtype":"BF16",)"
      R"("data_offsets":[4,16]} , "a\u00e9\ud83d\ude00\"\n":{"dtype":"F32",)"
      R"("shape":[],"data_offsets":[0,4]},"none":{"dtype":"I64","shape":[0,7],)"
      R"("data_offsets":[16,16]}}  )",
      16);
  bytes[bytes.size() - 16] = 0x80;
  bytes[bytes.size() - 13] = 0x3f;
  Safetensors tensors = llvm::cantFail(Safetensors::decode(bytes));
  ASSERT_EQ(tensors.tensors().size(), 3u);
  const Safetensors::Tensor *a = tensors.find("a\xc3\xa9\xf0\x9f\x98\x80\"\n");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->type, ElementType::F32);
  EXPECT_TRUE(a->shape.empty());
  EXPECT_EQ(a->bytes.vec(), (std::vector<uint8_t>{0x80, 0, 0, 0x3f}));
  EXPECT_EQ(tensors.find("b")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors.find("b")->bytes.size(), 12u);
  EXPECT_TRUE(tensors.find("none")->bytes.empty());
  EXPECT_FALSE(tensors.find("c"));
}

TEST(SafetensorsTest, WritesWhatItReads) {
  std::vector<TensorEntry> entries = {
      {"plain.weight", ElementType::F32, {2, 3}},
      {"empty", ElementType::F16, {0}},
      {"odd \"name\"\n", ElementType::BF16, {1}},
      {"number", ElementType::I64, {}}};
  std::vector<uint8_t> bytes = encodeSafetensorsHeader(entries);
  EXPECT_EQ(bytes.size() % 8, 0u);
  EXPECT_EQ(entries[3].begin, 26u);
  EXPECT_EQ(entries[3].end, 34u);
  std::string text(bytes.begin() + 8, bytes.end());
  EXPECT_EQ(text.substr(0, text.find_last_not_of(' ') + 1),
            R"({"plain.weight":{"dtype":"F32","shape":[2,3],)"
            R"("data_offsets":[0,24]},"empty":{"dtype":"F16","shape":[0],)"
            R"("data_offsets":[24,24]},"odd \"name\"\n":{"dtype":"BF16",)"
            R"("shape":[1],"data_offsets":[24,26]},"number":{"dtype":"I64",)"
            R"("shape":[],"data_offsets":[26,34]}})");
  bytes.resize(bytes.size() + 34);
  Safetensors tensors = llvm::cantFail(Safetensors::decode(bytes));
  for (const TensorEntry &entry : entries) {
    ASSERT_TRUE(tensors.find(entry.name)) << entry.name;
    EXPECT_EQ(tensors.find(entry.name)->type, entry.type);
    EXPECT_EQ(tensors.find(entry.name)->shape, entry.shape);
  }
}

TEST(SafetensorsTest, RefusesWhatIsNone) {
  struct Case {
    const char *header;
    size_t data;
    Exit code;
    const char *says;
  };
  const char *good =
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_EQ(failureOf(file(good, 4)).second, "");
  for (const Case &c : {
           Case{"", 0, Exit::Malformed, "lacks a '{'"},
           Case{"[]", 0, Exit::Malformed, "lacks a '{'"},
           Case{"{}", 4, Exit::Malformed, "has 4"},
           Case{"{} {}", 0, Exit::Malformed, "goes on"},
           Case{good, 8, Exit::Malformed, "has 8"},
           Case{good, 3, Exit::Malformed, "need 4"},
           Case{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8,
                Exit::Malformed, "hole"},
           Case{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                6, Exit::Malformed, "overlaps"},
           Case{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                8, Exit::Malformed, "'a' twice"},
           Case{R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],)"
                R"("data_offsets":[0,4]}})",
                4, Exit::Malformed, "stand once"},
           Case{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],)"
                R"("x":[1]}})",
                4, Exit::Malformed, "'x'"},
           Case{R"({"a":{"dtype":"F32","shape":[1]}})", 4, Exit::Malformed,
                "lacks dtype"},
           Case{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4,
                Exit::Malformed, "lacks dtype"},
           Case{R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4,
                Exit::Malformed, "whole number"},
           Case{R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
                4, Exit::Malformed, "lacks a ']'"},
           Case{R"({"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}})", 4,
                Exit::Malformed, "whole number"},
           Case{R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
                Exit::Malformed, "not its size"},
           Case{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4,
                Exit::Malformed, "not its size"},
           Case{R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,16],)"
                R"("data_offsets":[0,0]}})",
                0, Exit::Malformed, "not its size"},
           Case{R"({"a":{"dtype":"F32","shape":[99999999999999999999],)"
                R"("data_offsets":[0,0]}})",
                0, Exit::Malformed, "63 bits"},
           Case{R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})",
                1, Exit::Unsupported, "'a' is F8_E4M3"},
           Case{R"({"__metadata__":{"a":1}})", 0, Exit::Malformed, "lacks"},
           Case{R"({"__metadata__":{"a":{"b":"c"}}})", 0, Exit::Malformed,
                "lacks"},
           Case{"{\"\xff\":1}", 0, Exit::Malformed, "UTF-8"},
           Case{R"({"\ud800":1})", 0, Exit::Malformed, "surrogate"},
           Case{R"({"\x":1})", 0, Exit::Malformed, "escape"},
           Case{"{\"a", 0, Exit::Malformed, "within a string"},
       }) {
    auto [code, text] = failureOf(file(c.header, c.data));
    EXPECT_EQ(code, c.code) << c.header;
    EXPECT_NE(text.find(c.says), std::string::npos) << c.header << ": " << text;
  }
}

TEST(SafetensorsTest, RefusesWrongLengths) {
  EXPECT_EQ(failureOf({}).first, Exit::Malformed);
  std::vector<uint8_t> bytes = file("{}");
  for (uint64_t length : {uint64_t(3), uint64_t(100'000'001), ~uint64_t(0),
                          ~uint64_t(0) - 7, uint64_t(1) << 63}) {
    llvm::support::endian::write64le(bytes.data(), length);
    EXPECT_EQ(failureOf(bytes).first, Exit::Malformed) << length;
  }
  std::vector<uint8_t> zip = {'P', 'K', 3, 4, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(failureOf(zip).first, Exit::Refused);
  std::vector<uint8_t> pickle = {0x80, 2, '}', 'q', 0, '.'};
  EXPECT_EQ(failureOf(pickle).first, Exit::Refused);
}

TEST(SafetensorsTest, RefusesEveryTruncation) {
  std::vector<TensorEntry> entries = {{"a", ElementType::F32, {5}},
                                      {"b", ElementType::F16, {3, 1}}};
  std::vector<uint8_t> bytes = encodeSafetensorsHeader(entries);
  bytes.resize(bytes.size() + 26);
  ASSERT_EQ(failureOf(bytes).first, Exit::Done);
  for (size_t size = 0; size != bytes.size(); ++size)
    EXPECT_EQ(failureOf(llvm::ArrayRef(bytes).take_front(size)).first,
              Exit::Malformed)
        << size;
}

// Deep nesting and long lists must neither recurse nor blow up in memory.
TEST(SafetensorsTest, RefusesHostileHeadersFast) {
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(failureOf(file(std::string(20'000'000, '['))).first,
            Exit::Malformed);
  std::string nested = "{\"a\":";
  for (int i = 0; i != 1'000'000; ++i)
    nested += "{\"dtype\":";
  EXPECT_EQ(failureOf(file(nested)).first, Exit::Malformed);
  std::string numbers = "{\"a\":{\"shape\":[0";
  for (int i = 0; i != 10'000'000; ++i)
    numbers += ",0";
  EXPECT_EQ(failureOf(file(numbers + "]}}")).first, Exit::Malformed);
  std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  EXPECT_LT(passed.count(), 5);
}

namespace {

/// A folder with files in it.
struct SafetensorsFolder : testing::Test {
  SafetensorsFolder() {
    llvm::cantFail(llvm::errorCodeToError(
        llvm::sys::fs::createUniqueDirectory("safetensors", folder)));
  }
  ~SafetensorsFolder() override { llvm::sys::fs::remove_directories(folder); }
  std::string write(llvm::StringRef name, llvm::ArrayRef<uint8_t> bytes) {
    std::string path = (folder + "/" + name).str();
    std::error_code error;
    llvm::raw_fd_ostream os(path, error);
    os.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    return path;
  }
  std::string write(llvm::StringRef name, llvm::StringRef text) {
    return write(name,
                 llvm::ArrayRef(reinterpret_cast<const uint8_t *>(text.data()),
                                text.size()));
  }
  Exit exitOf(llvm::StringRef path) {
    llvm::Expected<Safetensors> tensors = Safetensors::open(path);
    return tensors ? Exit::Done : plan::describe(tensors.takeError()).first;
  }

  llvm::SmallString<128> folder;
};

} // namespace

TEST_F(SafetensorsFolder, OpensShards) {
  write("one.safetensors",
        file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  write("two.safetensors",
        file(R"({"b":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}})", 3));
  std::string index = write("model.safetensors.index.json",
                            R"({"metadata":{"total_size":7},"weight_map":
                               {"a":"one.safetensors","b":"two.safetensors"}})");
  Safetensors tensors = llvm::cantFail(Safetensors::open(index));
  EXPECT_EQ(tensors.tensors().size(), 2u);
  EXPECT_EQ(tensors.find("b")->bytes.size(), 3u);

  auto exitOfMap = [&](llvm::StringRef map) {
    return exitOf(write("bad.safetensors.index.json",
                        ("{\"weight_map\":" + map + "}").str()));
  };
  EXPECT_EQ(exitOfMap(R"({"a":"one.safetensors","b":"two.safetensors"})"),
            Exit::Done);
  EXPECT_EQ(exitOfMap(R"({"a":"one.safetensors","b":"one.safetensors"})"),
            Exit::Malformed);
  EXPECT_EQ(exitOfMap(R"({"b":"two.safetensors","c":"two.safetensors"})"),
            Exit::Malformed);
  EXPECT_EQ(exitOfMap(R"({"a":"none.safetensors"})"), Exit::Missing);
  EXPECT_EQ(exitOfMap(R"({"a":"../one.safetensors"})"), Exit::Refused);
  EXPECT_EQ(exitOfMap(R"({"a":"/etc/one.safetensors"})"), Exit::Refused);
  EXPECT_EQ(exitOfMap(R"({"a":"passwd"})"), Exit::Refused);
  EXPECT_EQ(exitOfMap(R"({"a":1})"), Exit::Malformed);
  EXPECT_EQ(exitOfMap("[]"), Exit::Malformed);
  EXPECT_EQ(exitOfMap(std::string(100'000, '[')), Exit::Malformed);
  EXPECT_EQ(exitOf(folder), Exit::Missing);
}
