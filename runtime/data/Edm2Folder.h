//===- Edm2Folder.h - Samples that a dataset.json lists -------------------===//
#ifndef DIT_RUNTIME_DATA_EDM2FOLDER_H
#define DIT_RUNTIME_DATA_EDM2FOLDER_H

#include "runtime/data/Dataset.h"

namespace dit::runtime {

/// Whether the folder has a dataset.json.
bool isEdm2Folder(llvm::StringRef folder);

/// Opens what EDM2's and REPA's dataset tools write: a dataset.json (see
/// SampleList.h) and the files that it names, in its order. These are all of
/// one kind, pictures (.png, .jpg, .jpeg) as in openPictureFolder(), or .npy
/// files as the features in openLatentFolder(): latents, or with twice the
/// channels means and standard deviations. Files are read when a sample is; the
/// first .npy file and all labels are checked at once. Exit::Unsupported for
/// files of other kinds, Exit::Refused for paths that leave the folder,
/// Exit::Contradiction where there are no labels.
llvm::Expected<std::unique_ptr<Dataset>>
openEdm2Folder(llvm::StringRef folder, DatasetPart part,
               const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_EDM2FOLDER_H
