//===- PngTest.cpp - Pictures decoded again by libpng ---------------------===//

#include "runtime/data/Png.h"

#include "runtime/plan/Failure.h"

#include <cmath>
#include <gtest/gtest.h>
#include <png.h>

using namespace dit;
using namespace dit::runtime;

/// The pixels of a PNG file in `format`, by libpng's simplified reader.
static std::vector<uint8_t> decode(llvm::ArrayRef<uint8_t> file,
                                   uint32_t format, png_image &image) {
  image = {};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(
      png_image_begin_read_from_memory(&image, file.data(), file.size()));
  EXPECT_EQ(image.format, format);
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(
      png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
  return pixels;
}

TEST(PngTest, GrayAndColour) {
  png_image image;
  Picture gray = pictureFromPlanes({-1, 1, 0, -7, 7, NAN}, 1, 2, 3);
  auto file = encodePng(gray, {{"plan", "abc"}, {"seed", "7"}});
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(decode(*file, PNG_FORMAT_GRAY, image),
            (std::vector<uint8_t>{0, 255, 128, 0, 255, 0}));
  EXPECT_EQ(image.width, 3u);
  EXPECT_EQ(image.height, 2u);
  llvm::StringRef text(reinterpret_cast<char *>(file->data()), file->size());
  EXPECT_NE(text.find(llvm::StringRef("tEXtplan\0abc", 12)),
            llvm::StringRef::npos);
  EXPECT_NE(text.find(llvm::StringRef("tEXtseed\0007", 10)),
            llvm::StringRef::npos);
  // Planes red, green, blue become interleaved pixels.
  Picture colour = pictureFromPlanes({-1, 1, 0, 1, -1, -1}, 3, 1, 2);
  file = encodePng(colour, {});
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(decode(*file, PNG_FORMAT_RGB, image),
            (std::vector<uint8_t>{0, 128, 0, 255, 255, 0}));
}

TEST(PngTest, GridsPutPicturesInRows) {
  std::vector<Picture> pictures;
  for (uint8_t value : {10, 20, 30})
    pictures.push_back({1, 1, 1, {value}});
  Picture grid = arrangeGrid(pictures, 2);
  EXPECT_EQ(grid.width, 4);
  EXPECT_EQ(grid.height, 4);
  EXPECT_EQ(grid.pixels,
            (std::vector<uint8_t>{10, 255, 255, 20, 255, 255, 255, 255, 255,
                                  255, 255, 255, 30, 255, 255, 255}));
  EXPECT_EQ(arrangeGrid(pictures, 100).width, 7);
}

TEST(PngTest, WhatCannotBeEncodedIsAnError) {
  auto file = encodePng({0, 0, 1, {}}, {});
  ASSERT_FALSE(bool(file));
  EXPECT_EQ(plan::describe(file.takeError()).first, plan::Exit::Internal);
}
