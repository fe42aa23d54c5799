//===- Png.cpp - Pictures as PNG files ------------------------------------===//

#include "runtime/data/Png.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/OutputFile.h"

#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <png.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

Picture dit::runtime::pictureFromPlanes(llvm::ArrayRef<float> planes,
                                        int64_t channels, int64_t height,
                                        int64_t width) {
  Picture picture{width, height, channels, {}};
  int64_t area = height * width;
  picture.pixels.resize(area * channels);
  for (int64_t i = 0; i != area; ++i)
    for (int64_t c = 0; c != channels; ++c) {
      float value = (planes[c * area + i] + 1) * 127.5f;
      // NaN fails the comparison and becomes 0.
      picture.pixels[i * channels + c] =
          value > 0 ? static_cast<uint8_t>(std::lrint(std::min(value, 255.0f)))
                    : 0;
    }
  return picture;
}

Picture dit::runtime::arrangeGrid(llvm::ArrayRef<Picture> pictures,
                                  int64_t columns) {
  constexpr int64_t gap = 2;
  const Picture &first = pictures.front();
  columns = std::min<int64_t>(columns, pictures.size());
  int64_t rows = (pictures.size() + columns - 1) / columns;
  Picture grid;
  grid.channels = first.channels;
  grid.width = columns * (first.width + gap) - gap;
  grid.height = rows * (first.height + gap) - gap;
  grid.pixels.assign(grid.width * grid.height * grid.channels, 255);
  int64_t rowBytes = first.width * first.channels;
  for (size_t i = 0; i != pictures.size(); ++i) {
    int64_t left = (i % columns) * (first.width + gap);
    int64_t top = (i / columns) * (first.height + gap);
    for (int64_t y = 0; y != first.height; ++y)
      std::copy_n(pictures[i].pixels.begin() + y * rowBytes, rowBytes,
                  grid.pixels.begin() +
                      ((top + y) * grid.width + left) * grid.channels);
  }
  return grid;
}

static void appendBytes(png_structp png, png_bytep data, size_t size) {
  auto *bytes = static_cast<std::vector<uint8_t> *>(png_get_io_ptr(png));
  bytes->insert(bytes->end(), data, data + size);
}

static void ignoreFlush(png_structp) {}
static void ignoreWarning(png_structp, png_const_charp) {}
static void leave(png_structp png, png_const_charp) { png_longjmp(png, 1); }

/// libpng leaves by longjmp: no object with a destructor may live in here.
static bool encode(png_structp png, png_infop info, const Picture &picture,
                   png_textp texts, int textCount) {
  if (setjmp(png_jmpbuf(png)))
    return false;
  png_set_IHDR(png, info, picture.width, picture.height, 8,
               picture.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (textCount)
    png_set_text(png, info, texts, textCount);
  png_write_info(png, info);
  for (int64_t y = 0; y != picture.height; ++y)
    png_write_row(png,
                  picture.pixels.data() + y * picture.width * picture.channels);
  png_write_end(png, info);
  return true;
}

llvm::Expected<std::vector<uint8_t>>
dit::runtime::encodePng(const Picture &picture, const PngText &text) {
  std::vector<uint8_t> bytes;
  std::vector<png_text> texts;
  for (const auto &[keyword, value] : text) {
    png_text entry = {};
    entry.compression = PNG_TEXT_COMPRESSION_NONE;
    entry.key = const_cast<char *>(keyword.c_str());
    entry.text = const_cast<char *>(value.c_str());
    entry.text_length = value.size();
    texts.push_back(entry);
  }
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr,
                                            leave, ignoreWarning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  bool done = false;
  if (info) {
    png_set_write_fn(png, &bytes, appendBytes, ignoreFlush);
    done = encode(png, info, picture, texts.data(), texts.size());
  }
  png_destroy_write_struct(&png, &info);
  if (!done)
    return failure(Exit::Internal,
                   "cannot encode a picture of " + llvm::Twine(picture.width) +
                       " x " + llvm::Twine(picture.height) + " pixels as PNG");
  return bytes;
}

llvm::Error dit::runtime::writePng(llvm::StringRef path, const Picture &picture,
                                   const PngText &text) {
  llvm::Expected<std::vector<uint8_t>> bytes = encodePng(picture, text);
  if (!bytes)
    return bytes.takeError();
  return plan::writeFile(path, *bytes);
}
