//===- WebDataset.h - Pictures and classes in tar files -------------------===//
#ifndef DIT_RUNTIME_DATA_WEBDATASET_H
#define DIT_RUNTIME_DATA_WEBDATASET_H

#include "runtime/data/Dataset.h"

#include <vector>

namespace dit::runtime {

/// A regular file in a tar archive.
struct TarMember {
  std::string name;
  uint64_t offset = 0; // of its contents
  uint64_t bytes = 0;
};

/// Lists the regular files of a tar archive: ustar with GNU's and pax's long
/// names and sizes. Exit::Malformed with the byte offset.
llvm::Expected<std::vector<TarMember>> listTar(llvm::ArrayRef<uint8_t> file);

/// Whether the path is a .tar file or a folder that has some.
bool isWebDataset(llvm::StringRef path);

/// Opens a .tar file, or all of a folder in the order of their names. A sample
/// is the run of members with one name up to its first dot: a picture (.png,
/// .jpg, .jpeg) and its class in decimal (.cls); others are left alone. Files
/// are mapped. Exit::Malformed for samples that lack one of the two.
llvm::Expected<std::unique_ptr<Dataset>>
openWebDataset(llvm::StringRef path, DatasetPart part,
               const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_WEBDATASET_H
