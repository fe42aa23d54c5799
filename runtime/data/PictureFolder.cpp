//===- PictureFolder.cpp - A folder of pictures a class -------------------===//

#include "runtime/data/PictureFolder.h"

#include "runtime/data/PictureFile.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Error dit::runtime::checkTakesPictures(const SampleShape &shape) {
  if (shape.height == shape.width &&
      (shape.channels == 1 || shape.channels == 3))
    return llvm::Error::success();
  return failure(Exit::Contradiction,
                 "the model takes " + llvm::Twine(shape.channels) + " x " +
                     llvm::Twine(shape.height) + " x " +
                     llvm::Twine(shape.width) +
                     "; picture files are cut to squares of 1 or 3 channels");
}

llvm::Error
dit::runtime::writePictureSample(llvm::ArrayRef<uint8_t> file,
                                 const SampleShape &shape,
                                 llvm::MutableArrayRef<float> sample) {
  llvm::Expected<Picture> picture = decodePicture(file);
  if (!picture)
    return picture.takeError();
  if (picture->channels > shape.channels)
    return failure(Exit::Contradiction,
                   "a picture in colour for a model of one channel");
  Picture cut = cropToSquare(std::move(*picture), shape.height);
  int64_t area = shape.height * shape.width;
  std::vector<uint8_t> planes(shape.channels * area);
  for (int64_t c = 0; c != shape.channels; ++c)
    for (int64_t i = 0; i != area; ++i)
      planes[c * area + i] =
          cut.pixels[i * cut.channels + std::min(c, cut.channels - 1)];
  centrePicture(planes, shape.height, shape.width, shape, sample);
  return llvm::Error::success();
}

llvm::Error dit::runtime::readPictureFile(llvm::StringRef path,
                                          const SampleShape &shape,
                                          llvm::MutableArrayRef<float> sample) {
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  if (llvm::Error error = writePictureSample(file->bytes(), shape, sample))
    return plan::within(std::move(error), "'" + plan::escaped(path) + "'");
  return llvm::Error::success();
}

/// The names in a folder for which `take` says true, sorted.
static llvm::Expected<std::vector<std::string>>
list(llvm::StringRef folder,
     llvm::function_ref<bool(const llvm::sys::fs::directory_entry &)> take) {
  std::vector<std::string> names;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator file(folder, error), end;
       !error && file != end; file.increment(error))
    if (take(*file))
      names.push_back(llvm::sys::path::filename(file->path()).str());
  if (error)
    return failure(Exit::Missing, "cannot list '" + plan::escaped(folder) +
                                      "': " + error.message());
  llvm::sort(names);
  return names;
}

static llvm::Expected<std::vector<std::string>>
listFolders(llvm::StringRef folder) {
  return list(folder, [](const llvm::sys::fs::directory_entry &entry) {
    return llvm::sys::fs::is_directory(entry.path());
  });
}

bool dit::runtime::isPictureFolder(llvm::StringRef folder) {
  llvm::Expected<std::vector<std::string>> folders = listFolders(folder);
  if (folders)
    return !folders->empty();
  llvm::consumeError(folders.takeError());
  return false;
}

namespace {

/// Paths and classes.
class PictureFolder : public Dataset {
public:
  PictureFolder(llvm::StringRef folder, const SampleShape &shape)
      : folder(folder), shape(shape) {}

  llvm::Error addClass(const std::string &name);
  int64_t size() const override { return files.size(); }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override;
  std::string describe(int64_t index) const override {
    return plan::escaped(pathOf(index));
  }

private:
  std::string pathOf(int64_t index) const {
    llvm::SmallString<128> path(folder);
    const auto &[label, name] = files[index];
    llvm::sys::path::append(path, classes[label], name);
    return path.str().str();
  }

  std::string folder;
  SampleShape shape;
  std::vector<std::string> classes;
  std::vector<std::pair<int64_t, std::string>> files; // class, name
};

} // namespace

llvm::Error PictureFolder::addClass(const std::string &name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  llvm::Expected<std::vector<std::string>> names =
      list(path, [](const llvm::sys::fs::directory_entry &entry) {
        return isPictureName(entry.path());
      });
  if (!names)
    return names.takeError();
  for (std::string &file : *names)
    files.emplace_back(classes.size(), std::move(file));
  classes.push_back(name);
  return llvm::Error::success();
}

llvm::Expected<int64_t>
PictureFolder::read(int64_t index, llvm::MutableArrayRef<float> sample) const {
  if (llvm::Error error = readPictureFile(pathOf(index), shape, sample))
    return std::move(error);
  return files[index].first;
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openPictureFolder(llvm::StringRef folder, DatasetPart,
                                const SampleShape &shape) {
  std::string context = "'" + plan::escaped(folder) + "'";
  if (llvm::Error error = checkTakesPictures(shape))
    return plan::within(std::move(error), context);
  llvm::Expected<std::vector<std::string>> classes = listFolders(folder);
  if (!classes)
    return classes.takeError();
  if (static_cast<int64_t>(classes->size()) > shape.classes)
    return failure(Exit::Contradiction,
                   context + " has " + llvm::Twine(classes->size()) +
                       " folders, one a class; the model has " +
                       llvm::Twine(shape.classes) + " classes");
  auto dataset = std::make_unique<PictureFolder>(folder, shape);
  for (const std::string &name : *classes)
    if (llvm::Error error = dataset->addClass(name))
      return std::move(error);
  return dataset;
}
