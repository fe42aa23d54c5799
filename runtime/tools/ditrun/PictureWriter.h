//===- PictureWriter.h - Where sampled pictures go ------------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_PICTUREWRITER_H
#define DIT_RUNTIME_TOOLS_DITRUN_PICTUREWRITER_H

#include "runtime/data/Array.h"
#include "runtime/data/Png.h"
#include "runtime/diffusion/PictureSampler.h"
#include "runtime/tools/ditrun/Options.h"

#include <string>

namespace dit::runtime {

/// Takes pictures as they are finished: writes numbered PNG files at once, and
/// at the end the grid and the array of all.
class PictureWriter {
public:
  /// Makes the folder. Exit::Contradiction where pictures cannot be shown:
  /// latents of four channels need a decoder, which a plan does not have.
  static llvm::Expected<PictureWriter> create(const Options &options,
                                              const SampleRequest &request,
                                              const plan::PlanView &plan);

  /// Takes the pictures from number `first` on, [count, C, H, W].
  llvm::Error add(int64_t first, const Array &pictures);

  /// Writes grid and array of all that was taken.
  llvm::Error finish();

  /// All pictures taken so far, [n, C, H, W].
  Array all() const;

  /// What was written, one path a line.
  const std::string &report() const { return written; }
  /// Pictures with values that are not finite.
  int64_t broken() const { return brokenPictures; }

private:
  PictureWriter(const Options &options, const SampleRequest &request,
                const plan::PlanView &plan)
      : options(options), request(request), plan(plan) {}
  PngText describe(int64_t picture) const;

  const Options &options;
  const SampleRequest &request;
  const plan::PlanView &plan;
  std::string folder; // without a slash at its end
  std::vector<float> values;
  std::vector<Picture> shown;
  int64_t brokenPictures = 0;
  std::string written;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_PICTUREWRITER_H
