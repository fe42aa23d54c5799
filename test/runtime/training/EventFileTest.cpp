//===- EventFileTest.cpp - TensorBoard's bytes ----------------------------===//

#include "runtime/training/EventFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace dit::runtime;

// RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(EventFileTest, CrcOfKnownVectors) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string rising, falling;
  for (char i = 0; i != 32; ++i) {
    rising += i;
    falling += static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(crc32c(falling), 0x113fdb5cu);
}

// (crc >> 15 | crc << 17) + 0xa282ead8 of 0xe3069283: 0x2507c60d + 0xa282ead8.
TEST(EventFileTest, MasksAsDocumented) {
  EXPECT_EQ(maskedCrc32c("123456789"), 0xc78ab0e5u);
}

TEST(EventFileTest, RecordLayout) {
  std::string record = encodeRecord("123456789");
  ASSERT_EQ(record.size(), 8 + 4 + 9 + 4u);
  EXPECT_EQ(record.substr(0, 8), std::string("\x09\0\0\0\0\0\0\0", 8));
  uint32_t crc = maskedCrc32c(record.substr(0, 8));
  EXPECT_EQ(std::memcmp(record.data() + 8, &crc, 4), 0);
  EXPECT_EQ(record.substr(12, 9), "123456789");
  EXPECT_EQ(record.substr(21), std::string("\xe5\xb0\x8a\xc7", 4));
}

// protoc --encode of {wall_time: 1.5 file_version: "brain.Event:2"}, and so on.
TEST(EventFileTest, Messages) {
  EXPECT_EQ(llvm::toHex(encodeFileVersion(1.5), true),
            "09000000000000f83f1a0d627261696e2e4576656e743a32");
  EXPECT_EQ(llvm::toHex(encodeSessionStart(1.5, 300), true),
            "09000000000000f83f10ac023a020801");
  // {wall_time: 1.5 step: 1 summary {value {tag: "a" simple_value: 0.5}
  //                                  value {tag: "bc" simple_value: -2}}}
  EXPECT_EQ(llvm::toHex(encodeScalars(1.5, 1, {{"a", 0.5}, {"bc", -2}}), true),
            "09000000000000f83f1001"
            "2a15"
            "0a08"
            "0a0161"
            "150000003f"
            "0a09"
            "0a026263"
            "15000000c0");
  // {wall_time: 1.5 step: 1 summary {value {tag: "p" image {height: 2 width: 3
  //  colorspace: 1 encoded_image_string: "\1\2\3"}}}}
  EXPECT_EQ(llvm::toHex(encodeImage(1.5, 1, "p", 3, 2, 1, {1, 2, 3}), true),
            "09000000000000f83f1001"
            "2a12"
            "0a10"
            "0a0170"
            "220b"
            "0802"
            "1003"
            "1801"
            "2203010203");
}

TEST(EventFileTest, WritesRecords) {
  llvm::SmallString<128> folder;
  llvm::cantFail(llvm::errorCodeToError(
      llvm::sys::fs::createUniqueDirectory("events", folder)));
  {
    EventFile file = llvm::cantFail(EventFile::create(folder, 7));
    llvm::cantFail(file.addScalars(7, {{"loss", 0.25}}));
  }
  std::error_code error;
  llvm::sys::fs::directory_iterator entry(folder, error);
  std::string path = entry->path();
  EXPECT_TRUE(
      llvm::sys::path::filename(path).starts_with("events.out.tfevents."));
  auto buffer = llvm::cantFail(
      llvm::errorOrToExpected(llvm::MemoryBuffer::getFile(path, false, false)));
  // Three records, whose lengths lead from one to the next.
  llvm::StringRef rest = buffer->getBuffer();
  std::vector<std::string> messages;
  while (rest.size() >= 16) {
    uint64_t length;
    std::memcpy(&length, rest.data(), 8);
    ASSERT_LE(length + 16, rest.size());
    uint32_t crc = maskedCrc32c(rest.substr(12, length));
    EXPECT_EQ(std::memcmp(rest.data() + 12 + length, &crc, 4), 0);
    messages.push_back(rest.substr(12, length).str());
    rest = rest.drop_front(16 + length);
  }
  EXPECT_TRUE(rest.empty());
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_NE(messages[0].find("brain.Event:2"), std::string::npos);
  EXPECT_NE(messages[2].find("loss"), std::string::npos);
  llvm::sys::fs::remove_directories(folder);
}
