//===- SampleGrid.cpp - Pictures of a model that is being trained ---------===//

#include "runtime/tools/ditrun/SampleGrid.h"

#include "runtime/plan/OutputFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<SampleGrid> SampleGrid::create(const Options &options,
                                              const std::string &runFolder) {
  const std::string &path = *options.training.samplePlan;
  llvm::Expected<plan::PlanFile> file = plan::PlanFile::open(path);
  if (!file)
    return file.takeError();
  const proto::Plan &plan = file->metadata();
  if (plan.mode() != "sample")
    return failure(Exit::Contradiction,
                   "--sample-plan '" + plan::escaped(path) + "' is a " +
                       plan::escaped(plan.mode()) + " plan");
  int64_t channels = plan.sampling().channels();
  if (channels != 1 && channels != 3)
    return failure(Exit::Contradiction,
                   "--sample-every: the model gives latents of " +
                       llvm::Twine(channels) +
                       " channels, which cannot be shown without a decoder");
  llvm::Expected<SampleRequest> request = makeRequest(options, plan.sampling());
  if (!request)
    return request.takeError();
  std::string folder = runFolder + "/samples";
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return failure(Exit::CannotCreate, "cannot create '" +
                                           plan::escaped(folder) +
                                           "': " + error.message());
  return SampleGrid(options, std::move(folder));
}

llvm::Expected<std::vector<Picture>>
SampleGrid::samplePictures(LoadedPlan &loaded) {
  const proto::Sampling &sampling = loaded.file.metadata().sampling();
  llvm::Expected<SampleRequest> request = makeRequest(options, sampling);
  if (!request)
    return request.takeError();
  llvm::Expected<PictureSampler> sampler =
      PictureSampler::create(*loaded.executor, std::move(*request));
  if (!sampler)
    return sampler.takeError();
  std::vector<Picture> pictures;
  int64_t size = sampling.channels() * sampling.height() * sampling.width();
  for (int64_t first = 0; first < sampler->pictures();
       first += sampler->batch()) {
    llvm::Expected<std::optional<Array>> part =
        sampler->sample(first, [](int64_t) { return !stopRequested(); });
    if (!part)
      return part.takeError();
    if (!*part)
      return std::vector<Picture>();
    const float *values =
        reinterpret_cast<const float *>((*part)->bytes.data());
    for (int64_t i = 0; i != (*part)->shape[0]; ++i)
      pictures.push_back(pictureFromPlanes(
          {values + i * size, size_t(size)}, sampling.channels(),
          sampling.height(), sampling.width()));
  }
  return pictures;
}

llvm::Error SampleGrid::sample(const TensorFile &weights, int64_t step,
                               EventFile &events) {
  llvm::Expected<std::unique_ptr<LoadedPlan>> loaded =
      loadPlanWith(options, *options.training.samplePlan, weights);
  if (!loaded)
    return loaded.takeError();
  llvm::Expected<std::vector<Picture>> pictures = samplePictures(**loaded);
  if (!pictures)
    return pictures.takeError();
  if (pictures->empty()) // stopped
    return llvm::Error::success();
  Picture grid = arrangeGrid(*pictures, options.gridColumns.value_or(10));
  llvm::Expected<std::vector<uint8_t>> png =
      encodePng(grid, {{"Software", "ditrun"}, {"step", std::to_string(step)}});
  if (!png)
    return png.takeError();
  std::string path = llvm::formatv("{0}/step-{1,0+10}.png", folder, step);
  if (llvm::Error error = plan::writeFile(path, *png))
    return error;
  return events.addImage(step, "samples", grid.width, grid.height,
                         grid.channels, *png);
}
