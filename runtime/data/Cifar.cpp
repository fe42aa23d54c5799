//===- Cifar.cpp - CIFAR-10's binary files --------------------------------===//

#include "runtime/data/Cifar.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr int64_t edge = 32;
static constexpr int64_t pictureBytes = 3 * edge * edge;
static constexpr int64_t recordBytes = 1 + pictureBytes;

namespace {

/// Records in files that are mapped.
class CifarDataset : public Dataset {
public:
  explicit CifarDataset(const SampleShape &shape) : shape(shape) {}

  llvm::Error addFile(llvm::StringRef path);
  int64_t size() const override { return records.size(); }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override {
    centrePicture({records[index] + 1, pictureBytes}, edge, edge, shape,
                  sample);
    return *records[index];
  }
  std::string describe(int64_t index) const override;

private:
  SampleShape shape;
  std::vector<plan::MappedFile> files;
  std::vector<std::string> names;
  std::vector<int64_t> ends; // the number of records up to each file's end
  std::vector<const uint8_t *> records;
};

} // namespace

llvm::Error CifarDataset::addFile(llvm::StringRef path) {
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  std::string context = "'" + plan::escaped(path) + "'";
  llvm::ArrayRef<uint8_t> bytes = file->bytes();
  if (bytes.size() % recordBytes != 0)
    return failure(Exit::Malformed,
                   context + ": " + llvm::Twine(bytes.size()) +
                       " bytes are no whole number of records of " +
                       llvm::Twine(recordBytes) + ": truncated?");
  for (size_t at = 0; at != bytes.size(); at += recordBytes) {
    if (llvm::Error error = checkLabel(bytes[at], shape))
      return plan::within(std::move(error),
                          context + ": byte " + llvm::Twine(at));
    records.push_back(&bytes[at]);
  }
  files.push_back(std::move(*file));
  names.push_back(llvm::sys::path::filename(path).str());
  ends.push_back(records.size());
  return llvm::Error::success();
}

std::string CifarDataset::describe(int64_t index) const {
  size_t file = 0;
  while (index >= ends[file])
    ++file;
  int64_t begin = file ? ends[file - 1] : 0;
  return "record " + std::to_string(index - begin) + " of " +
         plan::escaped(names[file]);
}

bool dit::runtime::isCifarFolder(llvm::StringRef folder) {
  return llvm::sys::fs::exists(pathIn(folder, "data_batch_1.bin"));
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openCifarFolder(llvm::StringRef folder, DatasetPart part,
                              const SampleShape &shape) {
  if (llvm::Error error = checkPictureFits(3, edge, edge, shape))
    return plan::within(std::move(error), "'" + plan::escaped(folder) + "'");
  std::vector<std::string> names = {"test_batch.bin"};
  if (part == DatasetPart::Train)
    names = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
             "data_batch_4.bin", "data_batch_5.bin"};
  auto dataset = std::make_unique<CifarDataset>(shape);
  for (const std::string &name : names)
    if (llvm::Error error = dataset->addFile(pathIn(folder, name)))
      return std::move(error);
  return dataset;
}
