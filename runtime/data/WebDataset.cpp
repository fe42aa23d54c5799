//===- WebDataset.cpp - Pictures and classes in tar files -----------------===//
//
// Format: POSIX ustar, blocks of 512 bytes; type L (GNU) and type x (pax) give
// the name, and x the size, of the member that follows.
//
//===----------------------------------------------------------------------===//

#include "runtime/data/WebDataset.h"

#include "runtime/data/PictureFile.h"
#include "runtime/data/PictureFolder.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr uint64_t blockBytes = 512;

static llvm::Error malformed(const llvm::Twine &what, uint64_t offset) {
  return failure(Exit::Malformed,
                 "tar: " + what + " at byte " + llvm::Twine(offset));
}

//===----------------------------------------------------------------------===//
// Archives
//===----------------------------------------------------------------------===//

static llvm::StringRef text(llvm::ArrayRef<uint8_t> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// A field up to its first zero.
static llvm::StringRef field(llvm::ArrayRef<uint8_t> header, size_t at,
                             size_t size) {
  return text(header.slice(at, size)).split('\0').first;
}

/// A size: octal digits, or GNU's binary number of which the top bit is set.
static std::optional<uint64_t> readSize(llvm::ArrayRef<uint8_t> header) {
  if (header[124] == 0x80) {
    uint64_t value = 0;
    for (size_t i = 128; i != 136; ++i)
      value = value << 8 | header[i];
    return value;
  }
  uint64_t value = 0;
  if (field(header, 124, 12).trim(' ').getAsInteger(8, value))
    return std::nullopt;
  return value;
}

/// The sum of a header's bytes, its checksum taken as spaces.
static bool checksumMatches(llvm::ArrayRef<uint8_t> header) {
  uint64_t sum = 0, stated = 0;
  for (size_t i = 0; i != blockBytes; ++i)
    sum += i >= 148 && i < 156 ? ' ' : header[i];
  return !field(header, 148, 8).trim(' ').getAsInteger(8, stated) &&
         stated == sum;
}

/// Takes path and size from pax's "LENGTH KEY=VALUE\n".
static bool readPax(llvm::StringRef records, std::string &name,
                    std::optional<uint64_t> &size) {
  while (!records.empty()) {
    size_t length = 0, space = records.find(' ');
    if (space == llvm::StringRef::npos ||
        records.take_front(space).getAsInteger(10, length) ||
        length <= space + 1 || length > records.size())
      return false;
    auto [key, value] = records.slice(space + 1, length).rtrim('\n').split('=');
    uint64_t number = 0;
    if (key == "path")
      name = value.str();
    if (key == "size") {
      if (value.getAsInteger(10, number))
        return false;
      size = number;
    }
    records = records.drop_front(length);
  }
  return true;
}

llvm::Expected<std::vector<TarMember>>
dit::runtime::listTar(llvm::ArrayRef<uint8_t> file) {
  std::vector<TarMember> members;
  std::string longName;
  std::optional<uint64_t> longSize;
  uint64_t at = 0;
  while (true) {
    if (file.size() - at < blockBytes)
      return malformed("the archive is truncated", at);
    llvm::ArrayRef<uint8_t> header = file.slice(at, blockBytes);
    if (llvm::all_of(header, [](uint8_t byte) { return byte == 0; }))
      return members;
    std::optional<uint64_t> size = readSize(header);
    if (!size || !checksumMatches(header))
      return malformed("no header", at);
    char type = static_cast<char>(header[156]);
    bool plain = type == '0' || type == 0;
    if (plain && longSize)
      size = longSize;
    uint64_t begin = at + blockBytes;
    if (*size > file.size() - begin)
      return malformed("a member is truncated", at);
    llvm::StringRef contents = text(file.slice(begin, *size));
    if (type == 'L')
      longName = contents.split('\0').first.str();
    else if (type == 'x') {
      if (!readPax(contents, longName, longSize))
        return malformed("a broken pax record", begin);
    } else if (type != 'g') {
      std::string prefix = field(header, 345, 155).str();
      std::string name = field(header, 0, 100).str();
      if (text(header.slice(257, 5)) == "ustar" && header[262] == 0 &&
          !prefix.empty())
        name = prefix + "/" + name;
      if (plain)
        members.push_back({longName.empty() ? name : longName, begin, *size});
      longName.clear();
      longSize.reset();
    }
    uint64_t padded = (*size + blockBytes - 1) / blockBytes * blockBytes;
    at = begin + std::min<uint64_t>(padded, file.size() - begin);
  }
}

//===----------------------------------------------------------------------===//
// Samples
//===----------------------------------------------------------------------===//

static std::vector<std::string> listArchives(llvm::StringRef path) {
  if (!llvm::sys::fs::is_directory(path))
    return path.ends_with(".tar") ? std::vector<std::string>{path.str()}
                                  : std::vector<std::string>();
  std::vector<std::string> archives;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator file(path, error), end;
       !error && file != end; file.increment(error))
    if (llvm::sys::path::extension(file->path()) == ".tar")
      archives.push_back(file->path());
  llvm::sort(archives);
  return archives;
}

bool dit::runtime::isWebDataset(llvm::StringRef path) {
  return !listArchives(path).empty();
}

namespace {

/// Samples in archives that are mapped.
class WebDataset : public Dataset {
public:
  explicit WebDataset(const SampleShape &shape) : shape(shape) {}

  llvm::Error addArchive(const std::string &path);
  int64_t size() const override { return samples.size(); }
  llvm::Expected<int64_t>
  read(int64_t index, llvm::MutableArrayRef<float> sample) const override;
  std::string describe(int64_t index) const override {
    const Sample &sample = samples[index];
    return plan::escaped(sample.name) + " of " +
           plan::escaped(archives[sample.archive]);
  }

private:
  struct Sample {
    std::string name; // of the picture
    llvm::ArrayRef<uint8_t> picture;
    int64_t label = -1;
    size_t archive = 0;
  };
  llvm::Error addSample(const Sample &sample, llvm::StringRef key);

  SampleShape shape;
  std::vector<plan::MappedFile> files;
  std::vector<std::string> archives;
  std::vector<Sample> samples;
};

} // namespace

llvm::Error WebDataset::addSample(const Sample &sample, llvm::StringRef key) {
  if (sample.label < 0 || sample.name.empty())
    return failure(Exit::Malformed,
                   "sample '" + plan::escaped(key) + "' has no " +
                       (sample.label < 0 ? "class (.cls)"
                                         : "picture (.png, .jpg, .jpeg)"));
  samples.push_back(sample);
  return llvm::Error::success();
}

/// A member's name up to the first dot of its last part.
static llvm::StringRef keyOf(llvm::StringRef name) {
  size_t slash = name.rfind('/');
  return name.take_front(
      name.find('.', slash == llvm::StringRef::npos ? 0 : slash));
}

llvm::Error WebDataset::addArchive(const std::string &path) {
  llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
  if (!file)
    return file.takeError();
  std::string context = "'" + plan::escaped(path) + "'";
  llvm::Expected<std::vector<TarMember>> members = listTar(file->bytes());
  if (!members)
    return plan::within(members.takeError(), context);
  auto member = members->begin();
  while (member != members->end()) {
    llvm::StringRef key = keyOf(member->name);
    Sample sample;
    sample.archive = archives.size();
    for (; member != members->end() && keyOf(member->name) == key; ++member) {
      llvm::ArrayRef<uint8_t> bytes =
          file->bytes().slice(member->offset, member->bytes);
      llvm::StringRef name = member->name;
      if (isPictureName(name)) {
        sample.name = member->name;
        sample.picture = bytes;
      } else if (name.ends_with(".cls")) {
        if (text(bytes).trim().getAsInteger(10, sample.label))
          return failure(Exit::Malformed, context + ": '" +
                                              plan::escaped(name) +
                                              "' is no class's number");
        if (llvm::Error error = checkLabel(sample.label, shape))
          return plan::within(std::move(error),
                              context + ": '" + plan::escaped(name) + "'");
      }
    }
    if (llvm::Error error = addSample(sample, key))
      return plan::within(std::move(error), context);
  }
  files.push_back(std::move(*file));
  archives.push_back(llvm::sys::path::filename(path).str());
  return llvm::Error::success();
}

llvm::Expected<int64_t>
WebDataset::read(int64_t index, llvm::MutableArrayRef<float> sample) const {
  const Sample &from = samples[index];
  if (llvm::Error error = writePictureSample(from.picture, shape, sample))
    return plan::within(std::move(error), describe(index));
  return from.label;
}

llvm::Expected<std::unique_ptr<Dataset>>
dit::runtime::openWebDataset(llvm::StringRef path, DatasetPart,
                             const SampleShape &shape) {
  if (llvm::Error error = checkTakesPictures(shape))
    return plan::within(std::move(error), "'" + plan::escaped(path) + "'");
  auto dataset = std::make_unique<WebDataset>(shape);
  for (const std::string &archive : listArchives(path))
    if (llvm::Error error = dataset->addArchive(archive))
      return std::move(error);
  return dataset;
}
