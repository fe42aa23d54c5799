//===- Latents.h - Pictures that a VAE encoded, as .npy files -------------===//
#ifndef DIT_RUNTIME_DATA_LATENTS_H
#define DIT_RUNTIME_DATA_LATENTS_H

#include "runtime/data/Dataset.h"

namespace dit::runtime {

/// Whether the folder has features/ and labels/.
bool isLatentFolder(llvm::StringRef folder);

/// Opens fast-DiT's latents: features/NAME.npy [C, H, W] or [1, C, H, W], taken
/// as they are, and labels/NAME.npy, one integer. With twice the channels a
/// file has means and standard deviations, as REPA keeps them, and the set is a
/// distribution; the first file says which of both all are. Files are read when
/// a sample is; the first one's shape and label are checked at once.
/// Exit::Malformed where a file of one folder has no partner in the other.
llvm::Expected<std::unique_ptr<Dataset>>
openLatentFolder(llvm::StringRef folder, DatasetPart part,
                 const SampleShape &shape);

/// Sees from a .npy file, [channels, H, W] or [1, channels, H, W], what a set
/// has: 2, means and standard deviations, where it has twice the model's
/// channels, else 1.
llvm::Expected<int64_t> countPlanes(llvm::StringRef path,
                                    const SampleShape &shape);

/// Writes such a file's values into `sample` [planes · C, H, W]. Errors are a
/// bad sample's: Exit::Contradiction for another shape or other types than
/// floats, Exit::Malformed for values that are not finite, or negative standard
/// deviations.
llvm::Error readLatent(llvm::StringRef path, const SampleShape &shape,
                       int64_t planes, llvm::MutableArrayRef<float> sample);

/// What a latent of Stable Diffusion's VAE is multiplied with.
constexpr double defaultLatentScale = 0.18215;

/// Draws the sample of this number from `moments` [2, C, H, W], means and
/// standard deviations: (mean + deviation · noise) · scale, the noise by (seed,
/// number) alone. Numbers count through the epochs, so each has its own noise.
void drawLatent(llvm::ArrayRef<float> moments, double scale, uint64_t seed,
                int64_t number, llvm::MutableArrayRef<float> sample);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_LATENTS_H
