//===- EventFile.h - TensorBoard's event files ----------------------------===//
//
// A file of records:
//
//   u64  length of the data, little-endian
//   u32  masked CRC-32C of these 8 bytes
//        the data: a protobuf message tensorflow.Event
//   u32  masked CRC-32C of the data
//
// mask(crc) = rotate right by 15, plus 0xa282ead8. The messages are so small
// that they are written by hand: Event {1 double wall_time, 2 int64 step,
// 3 string file_version, 5 Summary {1 Value {1 string tag, 2 float
// simple_value, 4 Image {1 height, 2 width, 3 colorspace, 4 bytes png}}}, 7
// SessionLog {1 status}}.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_TRAINING_EVENTFILE_H
#define DIT_RUNTIME_TRAINING_EVENTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <utility>

namespace dit::runtime {

/// CRC-32C (Castagnoli) of some bytes.
uint32_t crc32c(llvm::StringRef bytes);

/// What event files store in its place.
uint32_t maskedCrc32c(llvm::StringRef bytes);

/// One record around a message.
std::string encodeRecord(llvm::StringRef message);

/// The message that begins a file.
std::string encodeFileVersion(double wallTime);

/// The message after which TensorBoard drops what older files of the folder
/// say of `step` and later ones.
std::string encodeSessionStart(double wallTime, int64_t step);

/// Numbers by tag.
std::string
encodeScalars(double wallTime, int64_t step,
              llvm::ArrayRef<std::pair<std::string, double>> scalars);

/// A picture: a whole PNG file's bytes.
std::string encodeImage(double wallTime, int64_t step, llvm::StringRef tag,
                        int64_t width, int64_t height, int64_t channels,
                        llvm::ArrayRef<uint8_t> png);

/// A file that grows record by record; each is in the file when add() returns.
class EventFile {
public:
  /// Makes events.out.tfevents.TIME.HOST.PID in `folder`, for steps from
  /// `firstStep` on.
  static llvm::Expected<EventFile> create(llvm::StringRef folder,
                                          int64_t firstStep);

  EventFile(EventFile &&other) noexcept;
  EventFile &operator=(EventFile &&) = delete;
  ~EventFile();

  /// Appends numbers of a step, now.
  llvm::Error
  addScalars(int64_t step,
             llvm::ArrayRef<std::pair<std::string, double>> scalars);

  /// Appends a picture of a step, now.
  llvm::Error addImage(int64_t step, llvm::StringRef tag, int64_t width,
                       int64_t height, int64_t channels,
                       llvm::ArrayRef<uint8_t> png);

private:
  EventFile(std::string path, int descriptor)
      : path(std::move(path)), descriptor(descriptor) {}
  llvm::Error append(llvm::StringRef message);

  std::string path;
  int descriptor;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_EVENTFILE_H
