//===- Idx.cpp - MNIST's files, packed or not -----------------------------===//

#include "runtime/data/Idx.h"

#include "runtime/data/Inflate.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static llvm::Error malformed(const llvm::Twine &message) {
  return failure(Exit::Malformed, message);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<uint8_t>>
dit::runtime::gunzip(llvm::ArrayRef<uint8_t> file) {
  z_stream stream = {};
  if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
    return failure(Exit::Memory, "gzip: zlib has no memory");
  constexpr size_t outputPiece = 1 << 20;
  std::vector<uint8_t> contents;
  size_t taken = 0, given = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    if (given == contents.size())
      contents.resize(given + std::max(outputPiece, given / 2));
    status = inflatePiece(stream, file, taken, contents, given);
  }
  std::string why = stream.msg ? stream.msg : "it is truncated";
  inflateEnd(&stream);
  if (status != Z_STREAM_END)
    return malformed("gzip: " + llvm::Twine(why) + ", at byte " +
                     llvm::Twine(taken) + " of " + llvm::Twine(file.size()));
  if (taken != file.size())
    return malformed("gzip: bytes follow the end at byte " +
                     llvm::Twine(taken));
  contents.resize(given);
  return contents;
}

llvm::Expected<Array> dit::runtime::decodeIdx(llvm::ArrayRef<uint8_t> file) {
  std::vector<uint8_t> unpacked;
  if (file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b) {
    llvm::Expected<std::vector<uint8_t>> contents = gunzip(file);
    if (!contents)
      return contents.takeError();
    unpacked = std::move(*contents);
    file = unpacked;
  }
  if (file.size() < 4 || file[0] != 0 || file[1] != 0)
    return malformed("this is no IDX file: it does not begin with two zeros, "
                     "a type and a number of dimensions");
  if (file[2] != 8)
    return failure(Exit::Unsupported, "IDX: values of type " +
                                          llvm::Twine(file[2]) +
                                          "; bytes (8) can be read");
  size_t rank = file[3], begin = 4 + 4 * rank;
  if (file.size() < begin)
    return malformed("IDX: the file ends within its header, at byte " +
                     llvm::Twine(file.size()));
  Array array{plan::ElementType::U8, {}, {}};
  for (size_t i = 0; i != rank; ++i)
    array.shape.push_back(llvm::support::endian::read32be(&file[4 + 4 * i]));
  int64_t values = file.size() - begin;
  if (plan::elementCount(array.shape) != values)
    return malformed("IDX: " + plan::printShape(array.shape) +
                     " values are stated at byte 4, " + llvm::Twine(values) +
                     " follow");
  array.bytes.assign(file.begin() + begin, file.end());
  return array;
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

/// The file of this name, packed or not; empty where neither is there.
static std::string findFile(llvm::StringRef folder, const llvm::Twine &name) {
  for (const char *suffix : {".gz", ""}) {
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name + suffix);
    if (llvm::sys::fs::exists(path))
      return path.str().str();
  }
  return "";
}

bool dit::runtime::isIdxFolder(llvm::StringRef folder) {
  return !findFile(folder, "train-images-idx3-ubyte").empty();
}

/// Reads an array of `rank` dimensions.
static llvm::Expected<Array> readIdx(llvm::StringRef folder,
                                     const llvm::Twine &name, size_t rank) {
  std::string path = findFile(folder, name);
  if (path.empty())
    return failure(Exit::Missing, "'" + plan::escaped(folder) + "' has no " +
                                      name + ".gz (and none without .gz)");
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  std::string context = "'" + plan::escaped(path) + "'";
  llvm::Expected<Array> array = decodeIdx(file->bytes());
  if (!array)
    return plan::within(array.takeError(), context);
  if (array->shape.size() != rank)
    return malformed(context + ": it has " + llvm::Twine(array->shape.size()) +
                     " dimensions, expected " + llvm::Twine(rank));
  return array;
}

namespace {

/// Pictures and labels in memory.
class IdxDataset : public Dataset {
public:
  IdxDataset(Array pictures, Array labels, std::string name,
             const SampleShape &shape)
      : pictures(std::move(pictures)), labels(std::move(labels)),
        name(std::move(name)), shape(shape) {}

  int64_t size() const override { return pictures.shape[0]; }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override {
    int64_t height = pictures.shape[1], width = pictures.shape[2];
    centrePicture(llvm::ArrayRef(pictures.bytes)
                      .slice(index * height * width, height * width),
                  height, width, shape, sample);
    return labels.bytes[index];
  }
  std::string describe(int64_t index) const override {
    return "picture " + std::to_string(index) + " of " + name;
  }

private:
  Array pictures; // [count, height, width]
  Array labels;   // [count]
  std::string name;
  SampleShape shape;
};

} // namespace

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openIdxFolder(llvm::StringRef folder, DatasetPart part,
                            const SampleShape &shape) {
  std::string name = part == DatasetPart::Train ? "train" : "t10k";
  llvm::Expected<Array> pictures =
      readIdx(folder, name + "-images-idx3-ubyte", 3);
  if (!pictures)
    return pictures.takeError();
  llvm::Expected<Array> labels =
      readIdx(folder, name + "-labels-idx1-ubyte", 1);
  if (!labels)
    return labels.takeError();
  std::string context = "'" + plan::escaped(folder) + "'";
  if (pictures->shape[0] != labels->shape[0])
    return malformed(context + ": " + name + " has " +
                     llvm::Twine(pictures->shape[0]) + " pictures and " +
                     llvm::Twine(labels->shape[0]) + " labels");
  if (llvm::Error error =
          checkPictureFits(1, pictures->shape[1], pictures->shape[2], shape))
    return plan::within(std::move(error), context);
  for (size_t i = 0; i != labels->bytes.size(); ++i)
    if (llvm::Error error = checkLabel(labels->bytes[i], shape))
      return plan::within(std::move(error),
                          context + ": " + name + " label " + llvm::Twine(i));
  return std::make_unique<IdxDataset>(std::move(*pictures), std::move(*labels),
                                      name, shape);
}
