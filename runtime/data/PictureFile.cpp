//===- PictureFile.cpp - Decodes PNG and JPEG pictures --------------------===//

#include "runtime/data/PictureFile.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <png.h>

#include <jpeglib.h>

#include <jerror.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr uint64_t mostPixels = uint64_t(1) << 26;
static constexpr uint64_t mostRatio = 64;

bool dit::runtime::isPictureName(llvm::StringRef name) {
  return name.ends_with_insensitive(".png") ||
         name.ends_with_insensitive(".jpg") ||
         name.ends_with_insensitive(".jpeg");
}

/// Pictures that are nearly lines would grow without bound when their shorter
/// edge is scaled up.
static llvm::Error checkSize(uint64_t width, uint64_t height) {
  if (width * height <= mostPixels &&
      std::max(width, height) <= mostRatio * std::min(width, height))
    return llvm::Error::success();
  return failure(Exit::Unsupported,
                 llvm::Twine(width) + " x " + llvm::Twine(height) +
                     " pixels; at most 2^26 can be read, and edges of which "
                     "one is at most 64 times the other");
}

//===----------------------------------------------------------------------===//
// PNG
//===----------------------------------------------------------------------===//

static llvm::Expected<Picture> decodePng(llvm::ArrayRef<uint8_t> file) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&image, file.data(), file.size()))
    return failure(Exit::Malformed, llvm::Twine("PNG: ") + image.message);
  if (llvm::Error error = checkSize(image.width, image.height)) {
    png_image_free(&image);
    return std::move(error);
  }
  bool colour = image.format & PNG_FORMAT_FLAG_COLOR;
  // Read with transparency, so that no background is mixed in.
  image.format = colour ? PNG_FORMAT_RGBA : PNG_FORMAT_GA;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) {
    png_image_free(&image);
    return failure(Exit::Malformed, llvm::Twine("PNG: ") + image.message);
  }
  Picture picture{image.width, image.height, colour ? 3 : 1, {}};
  int64_t channels = picture.channels, area = picture.width * picture.height;
  picture.pixels.resize(area * channels);
  for (int64_t i = 0; i != area; ++i)
    for (int64_t c = 0; c != channels; ++c)
      picture.pixels[i * channels + c] = pixels[i * (channels + 1) + c];
  return picture;
}

//===----------------------------------------------------------------------===//
// JPEG
//===----------------------------------------------------------------------===//

namespace {

/// A decoder that leaves by longjmp.
struct JpegDecoder {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf leave;
  char message[JMSG_LENGTH_MAX] = "";

  static JpegDecoder &of(j_common_ptr info) {
    return *static_cast<JpegDecoder *>(info->client_data);
  }
};

} // namespace

static void leaveJpeg(j_common_ptr info) {
  JpegDecoder &decoder = JpegDecoder::of(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.leave, 1);
}

/// Of what libjpeg mends, missing data are no picture, and are not filled in
/// for seconds; stray bytes are borne.
static void noteJpegWarning(j_common_ptr info, int level) {
  int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
    leaveJpeg(info);
}

static void ignoreJpegMessage(j_common_ptr) {}

/// No object with a destructor may live in here.
static bool startJpeg(JpegDecoder &decoder, const uint8_t *file, size_t size) {
  if (setjmp(decoder.leave))
    return false;
  jpeg_create_decompress(&decoder.info);
  jpeg_mem_src(&decoder.info, file, size);
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

static bool readJpeg(JpegDecoder &decoder, uint8_t *pixels, size_t rowBytes) {
  if (setjmp(decoder.leave))
    return false;
  jpeg_start_decompress(&decoder.info);
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = pixels + decoder.info.output_scanline * rowBytes;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

static llvm::Expected<Picture> decodeJpeg(llvm::ArrayRef<uint8_t> file) {
  JpegDecoder decoder;
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = leaveJpeg;
  decoder.errors.emit_message = noteJpegWarning;
  decoder.errors.output_message = ignoreJpegMessage;
  auto finish = [&](llvm::Error error) {
    jpeg_destroy_decompress(&decoder.info);
    return error;
  };
  auto malformed = [&] {
    return finish(
        failure(Exit::Malformed, llvm::Twine("JPEG: ") + decoder.message));
  };
  if (!startJpeg(decoder, file.data(), file.size()))
    return malformed();
  jpeg_decompress_struct &info = decoder.info;
  if (llvm::Error error = checkSize(info.image_width, info.image_height))
    return finish(std::move(error));
  bool gray = info.jpeg_color_space == JCS_GRAYSCALE;
  if (!gray && info.jpeg_color_space != JCS_YCbCr &&
      info.jpeg_color_space != JCS_RGB)
    return finish(failure(Exit::Unsupported,
                          "JPEG: CMYK or an unknown colour space; gray, YCbCr "
                          "and RGB can be read"));
  info.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
  Picture picture{info.image_width, info.image_height, gray ? 1 : 3, {}};
  size_t rowBytes = picture.width * picture.channels;
  picture.pixels.resize(rowBytes * picture.height);
  if (!readJpeg(decoder, picture.pixels.data(), rowBytes))
    return malformed();
  jpeg_destroy_decompress(&info);
  return picture;
}

llvm::Expected<Picture>
dit::runtime::decodePicture(llvm::ArrayRef<uint8_t> file) {
  if (file.size() >= 4 && file[0] == 0x89 && file[1] == 'P')
    return decodePng(file);
  if (file.size() >= 2 && file[0] == 0xff && file[1] == 0xd8)
    return decodeJpeg(file);
  return failure(Exit::Malformed, "this is neither PNG nor JPEG");
}
