//===- WebDatasetTest.cpp - Samples in tar files, good and bad ------------===//

#include "runtime/data/WebDataset.h"

#include "runtime/data/PictureFile.h"
#include "runtime/plan/Failure.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Bytes = std::vector<uint8_t>;

static Bytes bytesOf(llvm::StringRef text) {
  return Bytes(text.begin(), text.end());
}

/// Appends a ustar member.
static void add(Bytes &tar, const std::string &name, const Bytes &contents,
                char type = '0', const std::string &prefix = "") {
  char header[512] = {};
  std::strncpy(header, name.c_str(), 100);
  std::snprintf(header + 124, 12, "%011zo", contents.size());
  header[156] = type;
  std::memcpy(header + 257, "ustar\00000", 8);
  std::strncpy(header + 345, prefix.c_str(), 155);
  std::memset(header + 148, ' ', 8);
  unsigned sum = 0;
  for (char byte : header)
    sum += static_cast<uint8_t>(byte);
  std::snprintf(header + 148, 8, "%06o", sum);
  tar.insert(tar.end(), header, header + 512);
  tar.insert(tar.end(), contents.begin(), contents.end());
  tar.resize((tar.size() + 511) / 512 * 512);
}

static Bytes finished(Bytes tar) {
  tar.resize(tar.size() + 1024);
  return tar;
}

static std::pair<Exit, std::string> failureOf(llvm::ArrayRef<uint8_t> file) {
  auto members = listTar(file);
  if (members)
    return {Exit::Done, ""};
  return plan::describe(members.takeError());
}

TEST(WebDatasetTest, NamesShortAndLong) {
  Bytes tar;
  add(tar, "a.txt", bytesOf("hello"));
  add(tar, "b", {}, '5'); // a folder
  add(tar, "c.txt", bytesOf("x"), '0', "in/here");
  std::string longName = std::string(150, 'n') + ".txt";
  add(tar, "././@LongLink", bytesOf(longName), 'L');
  add(tar, "cut", bytesOf("yy"));
  add(tar, "pax", bytesOf("16 path=d/e.txt\n"), 'x');
  add(tar, "cut", bytesOf("zzz"));
  auto members = listTar(finished(tar));
  ASSERT_TRUE(bool(members)) << plan::describe(members.takeError()).second;
  ASSERT_EQ(members->size(), 4u);
  const char *names[] = {"a.txt", "in/here/c.txt", longName.c_str(), "d/e.txt"};
  // The blocks before: a folder has one, each long name two.
  uint64_t offsets[] = {512, 2048, 4096, 6144};
  uint64_t sizes[] = {5, 1, 2, 3};
  for (int i = 0; i != 4; ++i) {
    EXPECT_EQ((*members)[i].name, names[i]);
    EXPECT_EQ((*members)[i].offset, offsets[i]);
    EXPECT_EQ((*members)[i].bytes, sizes[i]);
  }
}

TEST(WebDatasetTest, ArchivesThatAreWrong) {
  Bytes tar;
  add(tar, "a.txt", bytesOf("hello"));
  for (size_t size = 0; size != tar.size() + 512; ++size) {
    Bytes cut = tar;
    cut.resize(size);
    EXPECT_EQ(failureOf(cut).first,
              size < tar.size() + 512 ? Exit::Malformed : Exit::Done);
  }
  EXPECT_EQ(failureOf(finished(tar)).first, Exit::Done);
  Bytes damaged = finished(tar);
  damaged[0] ^= 1;
  EXPECT_NE(failureOf(damaged).second.find("no header at byte 0"),
            std::string::npos);
  Bytes pax;
  add(pax, "pax", bytesOf("99 path=d/e.txt\n"), 'x');
  EXPECT_NE(failureOf(finished(pax)).second.find("pax"), std::string::npos);
}

TEST(WebDatasetTest, Samples) {
  llvm::SmallString<128> root;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("web", root));
  auto write = [&](llvm::StringRef name, const Bytes &bytes) {
    std::error_code error;
    llvm::raw_fd_ostream file((root + "/" + name).str(), error);
    ASSERT_FALSE(error);
    file.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  };
  auto picture = [](uint8_t value) {
    return llvm::cantFail(encodePng({2, 2, 1, Bytes(4, value)}, {}));
  };
  Bytes first, second;
  add(first, "s/0.v1.png", picture(0));
  add(first, "s/0.cls", bytesOf("3\n"));
  add(first, "s/0.json", bytesOf("{}"));
  add(first, "s/1.cls", bytesOf("4"));
  add(first, "s/1.png", picture(51));
  add(second, "s/0.png", picture(255));
  add(second, "s/0.cls", bytesOf("5"));
  write("1.tar", finished(first));
  write("2.tar", finished(second));
  SampleShape shape{1, 2, 2, 6};
  auto open = [&] {
    return openDataset(root, std::nullopt, DatasetPart::Train, shape);
  };
  auto dataset = open();
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 3);
  std::vector<float> sample(4);
  for (int64_t i = 0; i != 3; ++i) {
    EXPECT_EQ(llvm::cantFail((*dataset)->read(i, sample)), 3 + i);
    EXPECT_NEAR(sample[3], i == 0 ? -1 : i == 1 ? -0.6 : 1, 1e-6);
  }
  EXPECT_EQ((*dataset)->describe(2), "s/0.png of 2.tar");
  auto fails = [&](const char *name, const Bytes &contents,
                   llvm::StringRef what, Exit code) {
    Bytes tar = second;
    add(tar, name, contents);
    write("2.tar", finished(tar));
    auto other = open();
    ASSERT_FALSE(bool(other));
    auto [given, text] = plan::describe(other.takeError());
    EXPECT_EQ(given, code);
    EXPECT_NE(text.find(what), std::string::npos) << text;
  };
  fails("s/7.cls", bytesOf("1"), "'s/7' has no picture", Exit::Malformed);
  fails("s/7.png", picture(1), "'s/7' has no class", Exit::Malformed);
  fails("s/7.cls", bytesOf("x"), "is no class's number", Exit::Malformed);
  fails("s/7.cls", bytesOf("6"), "class 6; the model has 0 to 5",
        Exit::Contradiction);
  llvm::sys::fs::remove_directories(root);
}
