//===- Writer.cpp - Writes plan.bin ---------------------------------------===//

#include "runtime/plan/Writer.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"
#include "runtime/plan/OutputFile.h"
#include "runtime/plan/Validate.h"

#include "llvm/ADT/Twine.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <memory>
#include <vector>
#include <xxhash.h>

using namespace dit::plan;

/// Equal plans have equal bytes. (protobuf promises that within one version
/// of the library, which the binary carries.) False for what cannot be read
/// again: more than 2 GB, or a string that is not UTF-8.
static bool serialize(const dit::proto::Plan &metadata, std::string &bytes) {
  google::protobuf::LogSilencer silencer;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    if (!metadata.SerializeToCodedStream(&coded))
      return false;
  }
  dit::proto::Plan again;
  return again.ParseFromString(bytes);
}

static llvm::Error pad(OutputFile &file, uint64_t offset) {
  std::vector<uint8_t> zeros(offset - file.size());
  return file.append(zeros);
}

/// Streams the weights through the file and the hash.
static llvm::Error appendWeights(OutputFile &file, SectionEntry &entry,
                                 WeightSource weights) {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(
      XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  uint64_t streamed = 0;
  llvm::Error error = weights([&](llvm::ArrayRef<uint8_t> bytes) {
    streamed += bytes.size();
    if (streamed > entry.bytes)
      return failure(Exit::Internal, "weights: more than the " +
                                         llvm::Twine(entry.bytes) +
                                         " bytes announced");
    XXH3_128bits_update(state.get(), bytes.data(), bytes.size());
    return file.append(bytes);
  });
  if (error)
    return error;
  if (streamed != entry.bytes)
    return failure(Exit::Internal, "weights: " + llvm::Twine(streamed) +
                                       " bytes of the " +
                                       llvm::Twine(entry.bytes) + " announced");
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  std::copy_n(canonical.digest, sizeof(Hash), entry.hash.begin());
  return llvm::Error::success();
}

llvm::Error dit::plan::writePlan(llvm::StringRef path,
                                 const proto::Plan &metadata,
                                 llvm::ArrayRef<uint8_t> code,
                                 uint64_t weightBytes, WeightSource weights) {
  if (llvm::Error error = validate(metadata, code.size(), weightBytes))
    return failure(Exit::Internal, "refusing to write an invalid plan: " +
                                       describe(std::move(error)).second);
  std::string text;
  if (!serialize(metadata, text))
    return failure(Exit::Internal,
                   "the plan's metadata exceed 2 GB, or a name in it is not "
                   "UTF-8");
  llvm::ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t *>(text.data()),
                                text.size());

  Header header;
  header.sections[MetadataSection] = {0, bytes.size(), hashBytes(bytes)};
  header.sections[CodeSection] = {0, code.size(), hashBytes(code)};
  header.sections[WeightsSection] = {0, weightBytes, {}};
  placeSections(header);

  llvm::Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  // The header's place, filled in at the end; then section by section.
  if (llvm::Error error = pad(*file, headerBytes))
    return error;
  if (llvm::Error error = file->append(bytes))
    return error;
  if (llvm::Error error = pad(*file, header.sections[CodeSection].offset))
    return error;
  if (llvm::Error error = file->append(code))
    return error;
  if (llvm::Error error = pad(*file, header.sections[WeightsSection].offset))
    return error;
  if (llvm::Error error =
          appendWeights(*file, header.sections[WeightsSection], weights))
    return error;
  if (llvm::Error error = file->overwrite(0, encodeHeader(header)))
    return error;
  return file->commit();
}

llvm::Error dit::plan::writePlan(llvm::StringRef path,
                                 const proto::Plan &metadata,
                                 llvm::ArrayRef<uint8_t> code,
                                 llvm::ArrayRef<uint8_t> weights) {
  return writePlan(path, metadata, code, weights.size(),
                   [&](WeightSink sink) { return sink(weights); });
}
