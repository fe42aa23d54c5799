//===- Latents.h - Pictures that a VAE encoded, as .npy files -------------===//
#ifndef DIT_RUNTIME_DATA_LATENTS_H
#define DIT_RUNTIME_DATA_LATENTS_H

#include "runtime/data/Dataset.h"

namespace dit::runtime {

/// Whether the folder has features/ and labels/.
bool isLatentFolder(llvm::StringRef folder);

/// Opens fast-DiT's latents: features/NAME.npy [C, H, W] or [1, C, H, W], taken
/// as they are, and labels/NAME.npy, one integer. Files are read when a sample
/// is; the first one's shape and label are checked at once. Exit::Malformed
/// where a file of one folder has no partner in the other.
llvm::Expected<std::unique_ptr<Dataset>>
openLatentFolder(llvm::StringRef folder, DatasetPart part,
                 const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_LATENTS_H
