//===- Png.h - Pictures as PNG files --------------------------------------===//
#ifndef DIT_RUNTIME_DATA_PNG_H
#define DIT_RUNTIME_DATA_PNG_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace dit::runtime {

/// 8-bit pixels, row by row, `channels` bytes each: 1 (gray) or 3 (RGB).
struct Picture {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 1;
  std::vector<uint8_t> pixels;
};

/// Keyword and text of tEXt chunks.
using PngText = std::vector<std::pair<std::string, std::string>>;

/// A picture from planes [channels, height, width] of values in [-1, 1]; what
/// lies outside is clamped, NaN becomes black.
Picture pictureFromPlanes(llvm::ArrayRef<float> planes, int64_t channels,
                          int64_t height, int64_t width);

/// Pictures of equal size in rows of `columns`, two white pixels apart.
Picture arrangeGrid(llvm::ArrayRef<Picture> pictures, int64_t columns);

/// The bytes of a PNG file.
llvm::Expected<std::vector<uint8_t>> encodePng(const Picture &picture,
                                               const PngText &text);

/// Writes a PNG file, whole or not at all.
llvm::Error writePng(llvm::StringRef path, const Picture &picture,
                     const PngText &text);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_PNG_H
