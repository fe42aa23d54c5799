//===- Reader.cpp - Reads and verifies plan.bin ---------------------------===//
//
// Nothing of a file is believed before its hash matched: first the header,
// then the gaps, then each section, then what the metadata mean.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Reader.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"
#include "runtime/plan/Validate.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace dit::plan;

static llvm::ArrayRef<uint8_t> slice(llvm::ArrayRef<uint8_t> file,
                                     const SectionEntry &entry) {
  return file.slice(entry.offset, entry.bytes);
}

/// What no section covers is zero.
static llvm::Error checkGaps(llvm::ArrayRef<uint8_t> file,
                             const Header &header) {
  uint64_t end = headerUsedBytes;
  for (unsigned i = 0; i != sectionCount; ++i) {
    llvm::ArrayRef<uint8_t> gap =
        file.slice(end, header.sections[i].offset - end);
    if (!llvm::all_of(gap, [](uint8_t byte) { return byte == 0; }))
      return failure(Exit::Malformed, llvm::Twine("the gap before the ") +
                                          sectionName(i) +
                                          " section is not zero");
    end = header.sections[i].offset + header.sections[i].bytes;
  }
  return llvm::Error::success();
}

llvm::Expected<PlanView> dit::plan::decodePlan(llvm::ArrayRef<uint8_t> file) {
  llvm::Expected<Header> header = decodeHeader(file);
  if (!header)
    return header.takeError();
  if (llvm::Error error = checkGaps(file, *header))
    return std::move(error);
  for (unsigned i = 0; i != sectionCount; ++i)
    if (hashBytes(slice(file, header->sections[i])) != header->sections[i].hash)
      return failure(Exit::Malformed,
                     llvm::Twine(sectionName(i)) +
                         " section: its hash does not match: the file is "
                         "corrupt");
  PlanView view;
  llvm::ArrayRef<uint8_t> metadata =
      slice(file, header->sections[MetadataSection]);
  // What is wrong is an error to return, not a line on stderr.
  google::protobuf::LogSilencer silencer;
  if (metadata.size() > INT_MAX ||
      !view.metadata.ParseFromArray(metadata.data(), metadata.size()))
    return failure(Exit::Malformed,
                   "metadata section: not a protobuf message of plan.proto");
  view.code = slice(file, header->sections[CodeSection]);
  view.weights = slice(file, header->sections[WeightsSection]);
  view.hash = hexadecimal(header->hash);
  if (llvm::Error error =
          validate(view.metadata, view.code.size(), view.weights.size()))
    return within(std::move(error), "metadata section");
  return view;
}

MappedFile::MappedFile(MappedFile &&other) noexcept : contents(other.contents) {
  other.contents = {};
}

MappedFile::~MappedFile() {
  if (!contents.empty())
    ::munmap(const_cast<uint8_t *>(contents.data()), contents.size());
}

llvm::Expected<MappedFile> MappedFile::open(llvm::StringRef path) {
  auto missing = [&](llvm::StringRef reason) {
    return failure(Exit::Missing,
                   "cannot read '" + escaped(path) + "': " + reason);
  };
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  int descriptor =
      ::open(path.str().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return missing(std::strerror(errno));
  struct stat status;
  int failed = ::fstat(descriptor, &status);
  void *address = nullptr;
  if (!failed && S_ISREG(status.st_mode) && status.st_size)
    address =
        ::mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  int error = errno;
  ::close(descriptor);
  if (!failed && S_ISDIR(status.st_mode))
    return missing("it is a directory");
  if (!failed && !S_ISREG(status.st_mode))
    return missing("it is not a regular file");
  if (failed || address == MAP_FAILED)
    return missing(std::strerror(error));
  return MappedFile({static_cast<const uint8_t *>(address),
                     address ? static_cast<size_t>(status.st_size) : 0});
}

llvm::Expected<PlanFile> PlanFile::open(llvm::StringRef path) {
  llvm::Expected<MappedFile> mapping = MappedFile::open(path);
  if (!mapping)
    return mapping.takeError();
  if (mapping->bytes().empty())
    return failure(Exit::Malformed,
                   "'" + escaped(path) + "' is empty, not a plan");
  llvm::Expected<PlanView> view = decodePlan(mapping->bytes());
  if (!view)
    return within(view.takeError(), "'" + escaped(path) + "'");
  return PlanFile(std::move(*mapping), std::move(*view));
}
