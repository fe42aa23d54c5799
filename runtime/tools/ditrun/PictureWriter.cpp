//===- PictureWriter.cpp - Where sampled pictures go ----------------------===//
//
// The folder holds pictures and nothing else, so that tools can read all of
// it; the grid lies beside it.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/ditrun/PictureWriter.h"

#include "runtime/data/Npy.h"
#include "runtime/plan/Failure.h"
#include "runtime/tools/ditrun/Terminal.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<PictureWriter>
PictureWriter::create(const Options &options, const SampleRequest &request,
                      const plan::PlanView &plan) {
  PictureWriter writer(options, request, plan);
  int64_t channels = plan.metadata.sampling().channels();
  if (!options.folder)
    return writer;
  if (channels != 1 && channels != 3)
    return failure(Exit::Contradiction,
                   "-o: the model gives latents of " + llvm::Twine(channels) +
                       " channels, which a decoder (VAE) must turn into "
                       "pictures; write them with --save-npy FILE");
  writer.folder = llvm::StringRef(*options.folder).rtrim('/').str();
  if (writer.folder.empty())
    writer.folder = "/";
  if (std::error_code error = llvm::sys::fs::create_directories(writer.folder))
    return failure(Exit::CannotCreate, "cannot create the folder '" +
                                           plan::escaped(writer.folder) +
                                           "': " + error.message());
  return writer;
}

PngText PictureWriter::describe(int64_t picture) const {
  const SamplerOptions &sampler = request.sampler;
  std::string name = nameOf(sampler.sampler).str();
  if (sampler.sampler == Sampler::Ddim)
    name += " eta " + printNumber(sampler.eta);
  else if (sampler.sampler == Sampler::Euler)
    name += " shift " + printNumber(sampler.shift);
  PngText text = {{"Software", "ditrun"},
                  {"plan", plan.hash},
                  {"seed", std::to_string(request.seed)},
                  {"steps", std::to_string(sampler.steps)},
                  {"cfg", printNumber(request.guidance)},
                  {"sampler", name}};
  if (picture < 0)
    return text;
  text.push_back({"picture", std::to_string(picture)});
  if (plan.metadata.sampling().classes())
    text.push_back({"label", std::to_string(request.labels[picture])});
  return text;
}

llvm::Error PictureWriter::add(int64_t first, const Array &pictures) {
  int64_t channels = pictures.shape[1], height = pictures.shape[2],
          width = pictures.shape[3];
  int64_t size = channels * height * width;
  for (int64_t i = 0; i != pictures.shape[0]; ++i) {
    std::vector<float> planes(size);
    std::memcpy(planes.data(), pictures.bytes.data() + i * size * 4, size * 4);
    bool finite = true;
    for (float value : planes)
      finite &= std::isfinite(value);
    brokenPictures += !finite;
    values.insert(values.end(), planes.begin(), planes.end());
    if (!options.folder)
      continue;
    Picture picture = pictureFromPlanes(planes, channels, height, width);
    std::string path =
        llvm::formatv("{0}/{1,0+5}.png", folder, first + i).str();
    if (llvm::Error error = writePng(path, picture, describe(first + i)))
      return error;
    shown.push_back(std::move(picture));
  }
  return llvm::Error::success();
}

Array PictureWriter::all() const {
  const proto::Sampling &sampling = plan.metadata.sampling();
  int64_t size = sampling.channels() * sampling.height() * sampling.width();
  return makeArray({static_cast<int64_t>(values.size()) / size,
                    sampling.channels(), sampling.height(), sampling.width()},
                   values);
}

llvm::Error PictureWriter::finish() {
  if (options.savedArray) {
    if (llvm::Error error = writeNpy(*options.savedArray, all()))
      return error;
    written += *options.savedArray + "\n";
  }
  if (shown.empty())
    return llvm::Error::success();
  std::string path = folder + "-grid.png";
  if (llvm::Error error =
          writePng(path, arrangeGrid(shown, options.gridColumns.value_or(10)),
                   describe(-1)))
    return error;
  written += folder + "\n" + path + "\n";
  return llvm::Error::success();
}
