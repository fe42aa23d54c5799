//===- PictureFileTest.cpp - Pictures decoded, scaled, from folders -------===//

#include "runtime/data/PictureFile.h"

#include "runtime/data/Dataset.h"
#include "runtime/plan/Failure.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>

#include <jpeglib.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Bytes = std::vector<uint8_t>;

static Picture makePicture(int64_t width, int64_t height, int64_t channels) {
  Picture picture{width, height, channels, {}};
  for (int64_t y = 0; y != height; ++y)
    for (int64_t x = 0; x != width; ++x)
      for (int64_t c = 0; c != channels; ++c)
        picture.pixels.push_back((x * x * 3 + y * y * x * 7 + c * 50) % 256);
  return picture;
}

/// A JPEG file of one colour.
static Bytes makeJpeg(const Bytes &colour, int64_t width, int64_t height) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char *memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = colour.size();
  info.in_color_space = colour.size() == 1   ? JCS_GRAYSCALE
                        : colour.size() == 3 ? JCS_RGB
                                             : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_start_compress(&info, TRUE);
  Bytes line;
  for (int64_t x = 0; x != width; ++x)
    line.insert(line.end(), colour.begin(), colour.end());
  for (int64_t y = 0; y != height; ++y) {
    JSAMPROW row = line.data();
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes file(memory, memory + size);
  std::free(memory);
  return file;
}

static Exit codeOf(llvm::ArrayRef<uint8_t> file) {
  llvm::Expected<Picture> picture = decodePicture(file);
  return picture ? Exit::Done : plan::describe(picture.takeError()).first;
}

TEST(PictureFileTest, CropsAreThoseOfPillow) {
  struct Case {
    int64_t width, height, channels, edge;
    Bytes expected; // by Pillow's resize() in ADM's steps
  };
  for (const Case &test :
       {Case{13, 19, 3, 4, {80,  106, 133, 160, 122, 126, 110, 133, 120, 135,
                            82,  100, 82,  111, 117, 102, 117, 141, 139, 127,
                            121, 120, 142, 133, 107, 104, 108, 155, 91,  111,
                            118, 149, 120, 155, 151, 121, 69,  101, 117, 119,
                            139, 107, 147, 155, 98,  93,  131, 147}},
        Case{3, 5, 1, 6, {0, 1, 5,  10, 17,  21,  0, 3,  10, 19,  30,  35,
                          0, 4, 17, 33, 50,  57,  0, 6,  27, 51,  76,  87,
                          0, 9, 39, 73, 108, 123, 0, 13, 55, 103, 150, 172}},
        Case{35, 20, 1, 6, {155, 112, 123, 132, 125, 112, 103, 133, 140,
                            122, 115, 111, 153, 142, 127, 133, 135, 136,
                            133, 131, 159, 109, 112, 124, 125, 124, 140,
                            110, 118, 123, 172, 116, 125, 136, 133, 129}}}) {
    Picture cut = cropToSquare(
        makePicture(test.width, test.height, test.channels), test.edge);
    EXPECT_EQ(cut.width, test.edge);
    EXPECT_EQ(cut.height, test.edge);
    EXPECT_EQ(cut.pixels, test.expected) << test.width;
  }
  Picture same = cropToSquare(makePicture(6, 6, 3), 6);
  EXPECT_EQ(same.pixels, makePicture(6, 6, 3).pixels);
}

TEST(PictureFileTest, PngRoundTripAndCuts) {
  for (int64_t channels : {1, 3}) {
    Picture picture = makePicture(13, 19, channels);
    Bytes file = llvm::cantFail(encodePng(picture, {}));
    Picture read = llvm::cantFail(decodePicture(file));
    EXPECT_EQ(read.width, 13);
    EXPECT_EQ(read.height, 19);
    EXPECT_EQ(read.channels, channels);
    EXPECT_EQ(read.pixels, picture.pixels);
    for (size_t size = 0; size < file.size() - 12; ++size)
      EXPECT_EQ(codeOf(llvm::ArrayRef(file).take_front(size)), Exit::Malformed)
          << size;
  }
}

TEST(PictureFileTest, Jpeg) {
  for (const Bytes &colour : {Bytes{200}, Bytes{200, 40, 90}}) {
    Bytes file = makeJpeg(colour, 20, 11);
    Picture read = llvm::cantFail(decodePicture(file));
    EXPECT_EQ(read.width, 20);
    EXPECT_EQ(read.height, 11);
    ASSERT_EQ(read.channels, static_cast<int64_t>(colour.size()));
    // Quality 75 quantises the mean by up to 2 and colours a little more.
    for (size_t i = 0; i != read.pixels.size(); ++i)
      EXPECT_NEAR(read.pixels[i], colour[i % colour.size()], 6);
    for (size_t size = 0; size < file.size() - 2; ++size)
      EXPECT_EQ(codeOf(llvm::ArrayRef(file).take_front(size)), Exit::Malformed)
          << size;
  }
  EXPECT_EQ(codeOf(makeJpeg({1, 2, 3, 4}, 8, 8)), Exit::Unsupported);
  EXPECT_EQ(codeOf(makeJpeg({7}, 60000, 1200)), Exit::Unsupported);
  EXPECT_EQ(codeOf(makeJpeg({7}, 130, 2)), Exit::Unsupported);
  EXPECT_EQ(codeOf(makeJpeg({7}, 128, 2)), Exit::Done);
}

TEST(PictureFileTest, FoldersAreClasses) {
  llvm::SmallString<128> root;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("pictures", root));
  auto write = [&](llvm::StringRef name, const Bytes &bytes) {
    std::error_code error;
    llvm::raw_fd_ostream file((root + "/" + name).str(), error);
    ASSERT_FALSE(error);
    file.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  };
  for (const char *name : {"/zebra", "/ant", "/bee"})
    ASSERT_FALSE(llvm::sys::fs::create_directory(root + name));
  Picture picture = makePicture(4, 4, 3);
  write("zebra/1.PNG", llvm::cantFail(encodePng(picture, {})));
  write("ant/b.jpeg", makeJpeg({51}, 4, 4));
  write("ant/a.png", {1, 2, 3});
  write("ant/notes.txt", {1, 2, 3});
  auto open = [&](const SampleShape &shape) {
    return openDataset(root, std::nullopt, DatasetPart::Train, shape);
  };
  auto dataset = open({3, 4, 4, 3});
  ASSERT_TRUE(bool(dataset)) << plan::describe(dataset.takeError()).second;
  ASSERT_EQ((*dataset)->size(), 3);
  std::vector<float> sample(48);
  llvm::Expected<int64_t> bad = (*dataset)->read(0, sample);
  ASSERT_FALSE(bool(bad));
  EXPECT_NE(plan::describe(bad.takeError()).second.find("a.png"),
            std::string::npos);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(1, sample)), 0);
  EXPECT_NEAR(sample[47], 51 / 127.5 - 1, 3 / 127.5);
  EXPECT_EQ(llvm::cantFail((*dataset)->read(2, sample)), 2);
  for (int64_t i = 0; i != 16; ++i)
    for (int64_t c = 0; c != 3; ++c)
      EXPECT_NEAR(sample[c * 16 + i], picture.pixels[i * 3 + c] / 127.5 - 1,
                  1e-6);
  for (const SampleShape &shape :
       {SampleShape{3, 4, 4, 2}, SampleShape{3, 4, 8, 3},
        SampleShape{4, 4, 4, 3}}) {
    auto other = open(shape);
    ASSERT_FALSE(bool(other));
    EXPECT_EQ(plan::describe(other.takeError()).first, Exit::Contradiction);
  }
  llvm::sys::fs::remove_directories(root);
}
