//===- PlanFuzzer.cpp - Any bytes as a plan -------------------------------===//
//
// The hashes would keep a fuzzer out of everything behind them. So the first
// byte chooses: 0 takes the rest as a file as it is; anything else takes it as
// the metadata of a file whose header and hashes are right. What is accepted
// is printed, which visits all of it.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Format.h"
#include "runtime/plan/Print.h"
#include "runtime/plan/Reader.h"

using namespace dit;
using namespace dit::plan;

/// A file around metadata, with some code and weights.
static std::vector<uint8_t> wrap(llvm::ArrayRef<uint8_t> metadata) {
  static const std::vector<uint8_t> code(64), weights(1024);
  Header header;
  llvm::ArrayRef<uint8_t> sections[] = {metadata, code, weights};
  for (unsigned i = 0; i != sectionCount; ++i)
    header.sections[i] = {0, sections[i].size(), hashBytes(sections[i])};
  placeSections(header);
  std::array<uint8_t, headerBytes> start = encodeHeader(header);
  std::vector<uint8_t> file(start.begin(), start.end());
  for (unsigned i = 0; i != sectionCount; ++i) {
    file.resize(header.sections[i].offset);
    file.insert(file.end(), sections[i].begin(), sections[i].end());
  }
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  llvm::ArrayRef<uint8_t> rest(data + 1, size - 1);
  std::vector<uint8_t> file = *data ? wrap(rest) : rest.vec();
  llvm::Expected<PlanView> view = decodePlan(file);
  if (view)
    printPlan(*view, llvm::nulls());
  else
    llvm::consumeError(view.takeError());
  return 0;
}
