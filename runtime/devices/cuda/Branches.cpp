//===- Branches.cpp - What commands of a graph wait for -------------------===//

#include "runtime/devices/cuda/Branches.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"

#include <optional>

using namespace dit::runtime::cuda;

/// A command of the background is held back until the first need of the one so
/// many places before it.
static constexpr size_t lead = 2;

static bool conflict(llvm::ArrayRef<Extent> a, llvm::ArrayRef<Extent> b) {
  return llvm::any_of(a, [&](const Extent &one) {
    return llvm::any_of(
        b, [&](const Extent &other) { return one.conflictsWith(other); });
  });
}

namespace {
class BranchFinder {
public:
  BranchFinder(llvm::ArrayRef<llvm::ArrayRef<Extent>> extents,
               size_t background)
      : extents(extents), background(background), count(extents.size()) {}

  std::vector<Branch> find();

private:
  void findDependencies();
  std::vector<std::optional<size_t>> holdBack() const;

  llvm::ArrayRef<llvm::ArrayRef<Extent>> extents;
  size_t background, count;
  std::vector<std::vector<size_t>> dependencies;
  std::vector<llvm::BitVector> before; // what must be done when one begins
};
} // namespace

/// For each command the earlier ones whose memory it touches, less those that
/// these wait for.
void BranchFinder::findDependencies() {
  dependencies.resize(count);
  before.assign(count, llvm::BitVector(count));
  for (size_t i = 0; i != count; ++i)
    for (size_t j = i; j-- > 0;) {
      if (before[i][j] || !conflict(extents[i], extents[j]))
        continue;
      dependencies[i].push_back(j);
      before[i] |= before[j];
      before[i].set(j);
    }
}

/// The command after which each of the background's begins. No cycle: what it
/// waits for comes before the first need of it and of those behind it.
std::vector<std::optional<size_t>> BranchFinder::holdBack() const {
  // The first of the others that needs this one, or one behind it.
  std::vector<size_t> need(background, count);
  for (size_t i = background; i-- > 0;) {
    if (i + 1 != background)
      need[i] = need[i + 1];
    for (size_t j = background; j != need[i]; ++j)
      if (before[j][i]) {
        need[i] = j;
        break;
      }
  }
  std::vector<std::optional<size_t>> after(background);
  for (size_t i = 0; i != background; ++i)
    for (size_t j = i < lead ? 0 : i - lead + 1; j-- > 0;)
      if (need[j] < need[i]) {
        after[i] = need[j];
        break;
      }
  return after;
}

std::vector<Branch> BranchFinder::find() {
  findDependencies();
  std::vector<std::optional<size_t>> after = holdBack();
  std::vector<Branch> branches;
  size_t next = 0; // of the background
  auto addBackground = [&](std::optional<size_t> done) {
    for (; next != background && after[next] == done; ++next) {
      Branch branch{next, dependencies[next]};
      if (done)
        branch.waitsFor.push_back(*done);
      if (next)
        branch.waitsFor.push_back(next - 1);
      branches.push_back(std::move(branch));
    }
  };
  addBackground(std::nullopt);
  for (size_t i = background; i != count; ++i) {
    branches.push_back({i, dependencies[i]});
    addBackground(i);
  }
  return branches;
}

std::vector<Branch>
dit::runtime::cuda::findBranches(llvm::ArrayRef<llvm::ArrayRef<Extent>> extents,
                                 size_t background) {
  return BranchFinder(extents, background).find();
}
