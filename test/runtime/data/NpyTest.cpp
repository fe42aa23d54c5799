//===- NpyTest.cpp - Array files, good and bad ----------------------------===//

#include "runtime/data/Npy.h"

#include "runtime/data/Zip.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <zlib.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;

/// A .npy file with this dictionary and data, format `major`.0.
static std::vector<uint8_t> npy(const std::string &dictionary,
                                llvm::ArrayRef<uint8_t> data,
                                uint8_t major = 1) {
  std::vector<uint8_t> file = {0x93, 'N', 'U', 'M', 'P', 'Y', major, 0};
  for (int i = 0; i != (major == 1 ? 2 : 4); ++i)
    file.push_back(dictionary.size() >> (8 * i) & 255);
  file.insert(file.end(), dictionary.begin(), dictionary.end());
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

static std::string header(const std::string &descr, const std::string &shape,
                          const char *fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran +
         ", 'shape': " + shape + ", }   \n";
}

static std::pair<Exit, std::string> failureOf(llvm::ArrayRef<uint8_t> file) {
  auto array = decodeNpy(file);
  if (array)
    return {Exit::Done, ""};
  return plan::describe(array.takeError());
}

TEST(NpyTest, EveryTypeAndVersion) {
  struct Type {
    const char *descr;
    ElementType type;
    std::vector<uint8_t> bytes; // of the number 1
  };
  for (const Type &type :
       {Type{"<f2", ElementType::F16, {0, 0x3c}},
        Type{"<f4", ElementType::F32, {0, 0, 0x80, 0x3f}},
        Type{"<f8", ElementType::F64, {0, 0, 0, 0, 0, 0, 0xf0, 0x3f}},
        Type{"|i1", ElementType::I8, {1}}, Type{"|u1", ElementType::U8, {1}},
        Type{"<i2", ElementType::I16, {1, 0}},
        Type{"<i4", ElementType::I32, {1, 0, 0, 0}},
        Type{"<i8", ElementType::I64, {1, 0, 0, 0, 0, 0, 0, 0}},
        Type{"|b1", ElementType::Bool, {1}}})
    for (uint8_t major : {1, 2, 3}) {
      auto array =
          decodeNpy(npy(header(type.descr, "(1,)"), type.bytes, major));
      ASSERT_TRUE(bool(array)) << llvm::toString(array.takeError());
      EXPECT_EQ(array->type, type.type);
      EXPECT_EQ(array->shape, (std::vector<int64_t>{1}));
      EXPECT_EQ(arrayValues(*array), (std::vector<double>{1}));
      // The other way, read again.
      auto again = decodeNpy(encodeNpy(*array));
      ASSERT_TRUE(bool(again));
      EXPECT_EQ(again->bytes, array->bytes);
      EXPECT_EQ(again->type, array->type);
    }
}

TEST(NpyTest, BigEndianIsTurned) {
  auto array =
      decodeNpy(npy(header(">f4", "(2,)"), {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0}));
  ASSERT_TRUE(bool(array));
  EXPECT_EQ(arrayValues(*array), (std::vector<double>{1, -2}));
}

TEST(NpyTest, FortranOrderIsTurned) {
  // a[i][j][k] = 100 i + 10 j + k of shape 2, 3, 2, first index fastest.
  std::vector<uint8_t> data;
  for (int k = 0; k != 2; ++k)
    for (int j = 0; j != 3; ++j)
      for (int i = 0; i != 2; ++i)
        data.push_back(100 * i + 10 * j + k);
  auto array = decodeNpy(npy(header("|u1", "(2, 3, 2)", "True"), data));
  ASSERT_TRUE(bool(array));
  EXPECT_EQ(array->bytes, (std::vector<uint8_t>{0, 1, 10, 11, 20, 21, 100, 101,
                                                110, 111, 120, 121}));
}

TEST(NpyTest, ScalarsEmptyAndPython2Shapes) {
  auto scalar = decodeNpy(npy(header("|u1", "()"), {9}));
  ASSERT_TRUE(bool(scalar));
  EXPECT_TRUE(scalar->shape.empty());
  auto empty = decodeNpy(npy(header("<f4", "(0, 4)"), {}));
  ASSERT_TRUE(bool(empty));
  EXPECT_EQ(empty->elements(), 0);
  EXPECT_TRUE(bool(decodeNpy(npy(header("|u1", "(2L, 1L)"), {1, 2}))));
}

TEST(NpyTest, PicklesAreRefused) {
  auto [code, text] = failureOf(npy(header("|O", "(1,)"), {0x80, 4}));
  EXPECT_EQ(code, Exit::Refused);
  EXPECT_NE(text.find("pickled"), std::string::npos);
  auto [bare, bareText] = failureOf({0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(bare, Exit::Malformed);
  EXPECT_NE(bareText.find("pickle"), std::string::npos);
}

TEST(NpyTest, OtherTypesAreUnsupported) {
  for (const char *descr : {"<c8", "<U3", "<u2", "|V2", "<M8[ns]"})
    EXPECT_EQ(failureOf(npy(header(descr, "(1,)"), {0})).first,
              Exit::Unsupported)
        << descr;
  EXPECT_EQ(failureOf(npy("{'descr': [('a', '<f4')], 'fortran_order': False, "
                          "'shape': (1,), }",
                          {0, 0, 0, 0}))
                .first,
            Exit::Unsupported);
  EXPECT_EQ(failureOf(npy(header("|u1", "(1,)"), {0}, 4)).first,
            Exit::Unsupported);
}

TEST(NpyTest, HeadersThatAreBroken) {
  for (const std::string &dictionary :
       {std::string(), std::string("nonsense"), std::string("{'descr': '<f4'"),
        std::string("{'descr' '<f4'}"), std::string("{'descr': '<f4', }"),
        std::string("{'a': 1}"), header("|u1", "(1,)") + "x",
        header("|u1", "(1)"), header("|u1", "(-1,)"), header("|u1", "(1"),
        header("|u1", "[1]"), header("|u1", "(99999999999999999999,)"),
        header("|u1", "(4000000000000, 4000000000000)"),
        header("|u1", "(1,)", "Maybe"), std::string("{'descr: 1}"),
        std::string("{'descr': '|u1', 'descr': '|u1', 'shape': (1,)}"),
        std::string("{'descr': '|u1'; }")}) {
    auto [code, text] = failureOf(npy(dictionary, {0}));
    EXPECT_EQ(code, Exit::Malformed) << dictionary;
    EXPECT_NE(text.find("npy"), std::string::npos) << text;
  }
}

// Found by the fuzzer: the header begins where the file ends.
TEST(NpyTest, EmptyHeaderAtTheEnd) {
  EXPECT_EQ(failureOf(npy("", {})).first, Exit::Malformed);
}

TEST(NpyTest, TruncatedAnywhere) {
  for (uint8_t major : {1, 2}) {
    std::vector<uint8_t> file =
        npy(header("<f4", "(2,)"), {0, 0, 0, 0, 0, 0, 0, 0}, major);
    for (size_t length = 0; length != file.size(); ++length)
      EXPECT_EQ(failureOf(llvm::ArrayRef(file).take_front(length)).first,
                Exit::Malformed)
          << length;
    file.push_back(0);
    EXPECT_EQ(failureOf(file).first, Exit::Malformed);
  }
}

TEST(ArrayTest, ConversionsSayWhenTheyLose) {
  auto convert = [](Array array, ElementType type) {
    bool lossy = false;
    std::vector<double> values = arrayValues(convertArray(array, type, lossy));
    return std::pair(values, lossy);
  };
  using Result = std::pair<std::vector<double>, bool>;
  Array floats = makeArray({3}, {1, -2, 255});
  EXPECT_EQ(convert(floats, ElementType::I64), (Result{{1, -2, 255}, false}));
  EXPECT_EQ(convert(floats, ElementType::U8), (Result{{1, 0, 255}, true}));
  EXPECT_EQ(convert(makeArray({1}, {0.5f}), ElementType::I32),
            (Result{{0}, true}));
  EXPECT_EQ(convert(makeArray({1}, {1e30f}), ElementType::F16).second, true);
  EXPECT_EQ(convert(makeArray({1}, {0.1f}), ElementType::BF16).second, false);
  EXPECT_EQ(convert(makeArray({2}, {0, 2}), ElementType::Bool),
            (Result{{0, 1}, true}));
  EXPECT_EQ(convert(makeArray({1}, {NAN}), ElementType::I64).second, true);
  Array large{ElementType::I64, {1}, {1, 0, 0, 0, 0, 0, 0x20, 0}}; // 2^53 + 1
  EXPECT_EQ(convert(large, ElementType::F64).second, true);
  EXPECT_EQ(convert(large, ElementType::I32), (Result{{2147483647.0}, true}));
  for (ElementType type :
       {ElementType::F16, ElementType::BF16, ElementType::F64, ElementType::I8,
        ElementType::I16, ElementType::I32, ElementType::Bool}) {
    Array array{type, {2}, {}};
    array.bytes.assign(2 * plan::elementBytes(type), 0);
    EXPECT_EQ(convert(array, ElementType::F32), (Result{{0, 0}, false}));
  }
}

TEST(NpyTest, BF16IsWrittenAsFloat) {
  Array array{ElementType::BF16, {1}, {0x80, 0x3f}};
  auto read = decodeNpy(encodeNpy(array));
  ASSERT_TRUE(bool(read));
  EXPECT_EQ(read->type, ElementType::F32);
  EXPECT_EQ(arrayValues(*read), (std::vector<double>{1}));
}

namespace {

/// Builds a zip archive member by member.
class ZipBuilder {
public:
  void add(const std::string &name, llvm::ArrayRef<uint8_t> data,
           bool deflated) {
    std::vector<uint8_t> packed = data.vec();
    if (deflated) {
      z_stream stream = {};
      deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
      packed.resize(deflateBound(&stream, data.size()));
      stream.next_in = const_cast<uint8_t *>(data.data());
      stream.avail_in = data.size();
      stream.next_out = packed.data();
      stream.avail_out = packed.size();
      deflate(&stream, Z_FINISH);
      packed.resize(stream.total_out);
      deflateEnd(&stream);
    }
    uint32_t checksum = crc32_z(0, data.data(), data.size());
    uint32_t offset = file.size();
    auto fields = [&](std::vector<uint8_t> &to) {
      number(to, 0, 2);
      number(to, deflated ? 8 : 0, 2);
      number(to, 0, 4);
      number(to, checksum, 4);
      number(to, packed.size(), 4);
      number(to, data.size(), 4);
      number(to, name.size(), 2);
      number(to, 0, 2);
    };
    number(file, 0x04034b50, 4);
    number(file, 20, 2);
    fields(file);
    file.insert(file.end(), name.begin(), name.end());
    file.insert(file.end(), packed.begin(), packed.end());
    number(directory, 0x02014b50, 4);
    number(directory, 20, 4);
    fields(directory);
    number(directory, 0, 2 + 2 + 2 + 4);
    number(directory, offset, 4);
    directory.insert(directory.end(), name.begin(), name.end());
    ++count;
  }
  std::vector<uint8_t> finish() {
    uint32_t offset = file.size();
    file.insert(file.end(), directory.begin(), directory.end());
    number(file, 0x06054b50, 4);
    number(file, 0, 4);
    number(file, count, 2);
    number(file, count, 2);
    number(file, directory.size(), 4);
    number(file, offset, 4);
    number(file, 0, 2);
    return file;
  }

private:
  static void number(std::vector<uint8_t> &to, uint64_t value, int bytes) {
    for (int i = 0; i != bytes; ++i)
      to.push_back(i < 8 ? value >> (8 * i) & 255 : 0);
  }

  std::vector<uint8_t> file, directory;
  int count = 0;
};

std::vector<uint8_t> makeArchive() {
  ZipBuilder zip;
  std::vector<float> many(1000, 3);
  zip.add("a.npy", encodeNpy(makeArray({2}, {1, 2})), false);
  zip.add("in_b.npy", encodeNpy(makeArray({1000}, many)), true);
  return zip.finish();
}

} // namespace

TEST(NpzTest, StoredAndDeflated) {
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("npz", "npz", path));
  std::vector<uint8_t> bytes = makeArchive();
  {
    std::error_code status;
    llvm::raw_fd_ostream os(path, status);
    os.write(reinterpret_cast<char *>(bytes.data()), bytes.size());
  }
  auto a = readArray(path, {"in_a", "a"});
  ASSERT_TRUE(bool(a)) << llvm::toString(a.takeError());
  EXPECT_EQ(arrayValues(*a), (std::vector<double>{1, 2}));
  auto b = readArray(path, {"in_b"});
  ASSERT_TRUE(bool(b)) << llvm::toString(b.takeError());
  EXPECT_EQ(arrayValues(*b), std::vector<double>(1000, 3));
  auto missing = readArray(path, {"in_c", "c"});
  auto [code, text] = plan::describe(missing.takeError());
  EXPECT_EQ(code, Exit::Missing);
  EXPECT_NE(text.find("no array 'in_c' or 'c', only a, in_b"),
            std::string::npos)
      << text;
  llvm::sys::fs::remove(path);
}

TEST(NpzTest, TruncatedOrFlippedIsRefusedOrUnchanged) {
  std::vector<uint8_t> bytes = makeArchive();
  auto readAll = [](llvm::ArrayRef<uint8_t> file) -> llvm::Error {
    auto archive = ZipArchive::open(file);
    if (!archive)
      return archive.takeError();
    for (const ZipArchive::Entry &entry : archive->entries()) {
      auto member = archive->read(entry);
      if (!member)
        return member.takeError();
    }
    return llvm::Error::success();
  };
  EXPECT_FALSE(readAll(bytes));
  for (size_t length = 0; length != bytes.size(); ++length)
    EXPECT_EQ(
        plan::describe(readAll(llvm::ArrayRef(bytes).take_front(length))).first,
        Exit::Malformed)
        << length;
  // Not every byte is checked (dates, for instance), but none crashes.
  for (size_t i = 0; i != bytes.size(); ++i)
    for (uint8_t mask : {0x01, 0x80, 0xff}) {
      bytes[i] ^= mask;
      llvm::consumeError(readAll(bytes));
      bytes[i] ^= mask;
    }
}
