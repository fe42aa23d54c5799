//===- BranchesTest.cpp - What commands of a graph wait for ---------------===//
#include "runtime/devices/cuda/Branches.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <random>

using namespace dit::runtime::cuda;

namespace {

using Extents = std::vector<std::vector<Extent>>;

Extent read(DevicePointer at) { return {at, at + 8, false}; }
Extent write(DevicePointer at) { return {at, at + 8, true}; }

std::vector<Branch> find(const Extents &extents, size_t background = 0) {
  std::vector<llvm::ArrayRef<Extent>> views(extents.begin(), extents.end());
  return findBranches(views, background);
}

/// For each command those that are done when it begins. Every command must be
/// there once, behind what it waits for.
std::vector<std::vector<bool>> whatIsDone(const std::vector<Branch> &branches) {
  size_t count = branches.size();
  std::vector<std::vector<bool>> done(count, std::vector<bool>(count));
  std::vector<bool> seen(count);
  for (const Branch &branch : branches) {
    EXPECT_FALSE(seen[branch.command]);
    for (size_t other : branch.waitsFor) {
      EXPECT_TRUE(seen[other]) << branch.command << " waits for " << other;
      done[branch.command][other] = true;
      for (size_t i = 0; i != count; ++i)
        if (done[other][i])
          done[branch.command][i] = true;
    }
    seen[branch.command] = true;
  }
  return done;
}

bool conflict(const std::vector<Extent> &a, const std::vector<Extent> &b) {
  for (const Extent &one : a)
    for (const Extent &other : b)
      if ((one.isWritten || other.isWritten) && one.begin < other.end &&
          other.begin < one.end)
        return true;
  return false;
}

TEST(BranchesTest, ConflictsAreOfWritesToSharedBytes) {
  EXPECT_TRUE(read(0).conflictsWith(write(7)));
  EXPECT_TRUE(write(7).conflictsWith(read(0)));
  EXPECT_TRUE(write(0).conflictsWith(write(0)));
  EXPECT_FALSE(write(0).conflictsWith(write(8)));
  EXPECT_FALSE(read(0).conflictsWith(read(0)));
}

// A chain, and a command on the side that only the first one of it feeds.
TEST(BranchesTest, WaitsForWhatItNeedsAlone) {
  Extents extents = {{write(0)},
                     {read(0), write(10)},
                     {read(0), write(20)},
                     {read(20), write(30)}};
  auto done = whatIsDone(find(extents));
  EXPECT_EQ(done[1], (std::vector<bool>{true, false, false, false}));
  EXPECT_EQ(done[3], (std::vector<bool>{true, false, true, false}));
}

// Memory that is used again: a later write waits for the reads before it.
TEST(BranchesTest, OverwritesWaitForReads) {
  auto done = whatIsDone(find({{write(0)}, {read(0)}, {write(0)}}));
  EXPECT_TRUE(done[2][1]);
}

TEST(BranchesTest, BackgroundBeginsShortlyBeforeItIsNeeded) {
  // Ranges 0 to 3 are updated, then read by commands 4 to 7, a chain.
  Extents extents;
  for (DevicePointer i = 0; i != 4; ++i)
    extents.push_back({write(100 * i)});
  for (DevicePointer i = 0; i != 4; ++i)
    extents.push_back({read(100 * i), write(1000)});
  std::vector<Branch> branches = find(extents, 4);
  std::vector<size_t> order;
  for (const Branch &branch : branches)
    order.push_back(branch.command);
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 4, 2, 5, 3, 6, 7}));
  auto done = whatIsDone(branches);
  EXPECT_TRUE(done[2][4]);
  EXPECT_FALSE(done[2][5]);
  EXPECT_TRUE(done[3][5]);
  EXPECT_FALSE(done[3][6]);
}

// Whatever commands touch: each once, in an order that can be, and no conflict
// the other way round.
TEST(BranchesTest, KeepsTheOrderOfConflicts) {
  std::mt19937 random(1);
  for (int round = 0; round != 300; ++round) {
    size_t count = 1 + random() % 24, background = random() % (count + 1);
    Extents extents(count);
    for (auto &touched : extents)
      for (size_t i = random() % 4; i-- > 0;) {
        DevicePointer begin = random() % 64;
        touched.push_back({begin, begin + 1 + random() % 8, random() % 3 == 0});
      }
    std::vector<Branch> branches = find(extents, background);
    ASSERT_EQ(branches.size(), count);
    auto done = whatIsDone(branches);
    for (size_t i = 0; i != count; ++i)
      for (size_t j = 0; j != i; ++j)
        if (conflict(extents[i], extents[j]))
          EXPECT_TRUE(done[i][j]) << j << " before " << i;
  }
}

} // namespace
