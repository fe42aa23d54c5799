//===- Reader.h - Reads and verifies plan.bin -----------------------------===//
#ifndef DIT_RUNTIME_PLAN_READER_H
#define DIT_RUNTIME_PLAN_READER_H

#include "runtime/plan/plan.pb.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace dit::plan {

/// A verified plan; code and weights point into the file's bytes.
struct PlanView {
  proto::Plan metadata;
  llvm::ArrayRef<uint8_t> code;
  llvm::ArrayRef<uint8_t> weights;
  std::string hash; // 32 hexadecimal digits that stand for the whole file
};

/// Verifies a plan held in memory: header, sizes, gaps, hashes, then the
/// meaning of the metadata (Validate.h). Errors name the section.
llvm::Expected<PlanView> decodePlan(llvm::ArrayRef<uint8_t> file);

/// A file mapped for reading.
class MappedFile {
public:
  /// Exit::Missing where there is no regular file that can be read.
  static llvm::Expected<MappedFile> open(llvm::StringRef path);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&) = delete;
  ~MappedFile();

  llvm::ArrayRef<uint8_t> bytes() const { return contents; }

private:
  explicit MappedFile(llvm::ArrayRef<uint8_t> contents) : contents(contents) {}

  llvm::ArrayRef<uint8_t> contents;
};

/// A plan.bin mapped into memory and verified.
class PlanFile {
public:
  /// Errors begin with the path.
  static llvm::Expected<PlanFile> open(llvm::StringRef path);

  const PlanView &view() const { return contents; }
  const proto::Plan &metadata() const { return contents.metadata; }

  /// Other bytes for the weights section, as many; they must outlive the file.
  void replaceWeights(llvm::ArrayRef<uint8_t> weights) {
    contents.weights = weights;
  }

private:
  PlanFile(MappedFile mapping, PlanView contents)
      : mapping(std::move(mapping)), contents(std::move(contents)) {}

  MappedFile mapping;
  PlanView contents;
};

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_READER_H
