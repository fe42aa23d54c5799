//===- PictureFile.h - PNG and JPEG pictures, cut to a size ---------------===//
#ifndef DIT_RUNTIME_DATA_PICTUREFILE_H
#define DIT_RUNTIME_DATA_PICTUREFILE_H

#include "runtime/data/Png.h"

namespace dit::runtime {

/// Whether a file's name ends like a picture's: .png, .jpg or .jpeg.
bool isPictureName(llvm::StringRef name);

/// Decodes a PNG or JPEG file into 8-bit gray or RGB; transparency is dropped,
/// a gamma is not applied. Exit::Malformed where it is damaged or cut off,
/// Exit::Unsupported for CMYK, for more than 2^26 pixels, and where one edge is
/// more than 64 times the other.
llvm::Expected<Picture> decodePicture(llvm::ArrayRef<uint8_t> file);

/// Scales the shorter edge to `edge` and cuts the middle out, as ADM and DiT do
/// with Pillow, to the same bytes: halved by 2 x 2 boxes while both edges are
/// at least 2 `edge`, then bicubic.
Picture cropToSquare(Picture picture, int64_t edge);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_PICTUREFILE_H
