//===- WireReaderTest.cpp - Protobuf's wire format, right and wrong -------===//
#include "frontends/onnx/WireReader.h"
#include "frontends/onnx/ImportError.h"
#include "test/frontends/onnx/ModelWriter.h"
#include "gtest/gtest.h"

using namespace dit::onnx;
using namespace dit::onnx::test;

/// Reads all fields; the error's text, or "".
static std::string readAll(const std::string &message,
                           std::vector<WireField> *fields = nullptr) {
  llvm::Error error =
      forEachField(message, message, [&](const WireField &field) {
        if (fields)
          fields->push_back(field);
        return llvm::Error::success();
      });
  return llvm::toString(std::move(error));
}

TEST(WireReader, YieldsEveryWireType) {
  std::vector<WireField> fields;
  std::string message = number(1, 300) + bytes(2, "abc") + real(3, 1.5f) +
                        std::string("\x21\1\0\0\0\0\0\0\0", 9);
  EXPECT_EQ(readAll(message, &fields), "");
  ASSERT_EQ(fields.size(), 4u);
  EXPECT_EQ(fields[0].value, 300u);
  EXPECT_EQ(fields[1].bytes, "abc");
  EXPECT_EQ(fields[1].offset, 3u);
  EXPECT_EQ(llvm::bit_cast<float>(uint32_t(fields[2].value)), 1.5f);
  EXPECT_EQ(fields[3].number, 4u);
  EXPECT_EQ(fields[3].value, 1u);
}

TEST(WireReader, BytesAreViewsOfTheFile) {
  std::vector<WireField> fields;
  std::string message = bytes(9, "weights");
  EXPECT_EQ(readAll(message, &fields), "");
  EXPECT_EQ(fields[0].bytes.data(), message.data() + 2);
}

TEST(WireReader, TakesTheLargestVarint) {
  std::vector<WireField> fields;
  EXPECT_EQ(readAll(number(1, UINT64_MAX), &fields), "");
  EXPECT_EQ(fields[0].value, UINT64_MAX);
}

TEST(WireReader, RefusesMalformedBytes) {
  struct Case {
    const char *name;
    std::string bytes, message;
  };
  Case cases[] = {
      {"overlong varint", "\x08" + std::string(10, '\xff') + "\x01",
       "byte 1: a varint is longer than 64 bits"},
      {"65 bits", "\x08" + std::string(9, '\xff') + "\x02",
       "byte 1: a varint is longer than 64 bits"},
      {"varint cut", "\x08\x80",
       "byte 1: the data ends inside a varint (is the file truncated?)"},
      {"tag cut", "\x80",
       "byte 0: the data ends inside a varint (is the file truncated?)"},
      {"length past the end", "\x12\x05ok",
       "byte 2: a field of 5 bytes runs past the end of its message, where 2 "
       "are left (is the file truncated?)"},
      {"huge length", "\x12" + varint(UINT64_MAX),
       "byte 11: a field of 18446744073709551615 bytes runs past the end of "
       "its message, where 0 are left (is the file truncated?)"},
      {"fixed cut", std::string("\x1d\0\0", 3),
       "byte 1: a field of 4 bytes runs past the end of its message, where 2 "
       "are left (is the file truncated?)"},
      {"field 0", std::string("\0\0", 2),
       "byte 0: not a protobuf field tag (number 0)"},
      {"tag of 33 bits", varint(uint64_t(1) << 34) + "\0",
       "byte 0: not a protobuf field tag (number 2147483648)"},
      {"group", "\x0b\x0c",
       "byte 0: field 1 has wire type 3, which ONNX does not use"},
      {"length cut", "\x12\x80",
       "byte 1: the data ends inside a varint (is the file truncated?)"},
      {"value cut", "\x08",
       "byte 1: the data ends inside a varint (is the file truncated?)"},
  };
  for (const Case &test : cases)
    EXPECT_EQ(readAll(test.bytes), test.message) << test.name;
}

TEST(WireReader, StopsAtTheFirstErrorOfTheHandler) {
  unsigned calls = 0;
  std::string message = number(1, 1) + number(1, 2);
  llvm::Error error = forEachField(message, message, [&](const WireField &) {
    ++calls;
    return malformedAt(7, "enough");
  });
  EXPECT_EQ(llvm::toString(std::move(error)), "byte 7: enough");
  EXPECT_EQ(calls, 1u);
}

TEST(ImportError, CarriesItsExitCode) {
  llvm::Error error = addContext(makeError(ErrorKind::Refused, "no"), "file");
  llvm::handleAllErrors(std::move(error), [](const ImportError &cause) {
    EXPECT_EQ(cause.exitCode(), 77);
    EXPECT_EQ(cause.getMessage(), "file: no");
    EXPECT_EQ(cause.message(), "file: no");
    EXPECT_EQ(cause.convertToErrorCode(), llvm::inconvertibleErrorCode());
  });
}

TEST(ImportError, EscapesNames) {
  EXPECT_EQ(quote("a.b/c"), "'a.b/c'");
  EXPECT_EQ(quote("\x1b[31m'\xff"), "'\\x1B[31m\\x27\\xFF'");
  EXPECT_EQ(quote(std::string(200, 'x')), "'" + std::string(120, 'x') + "…'");
}
