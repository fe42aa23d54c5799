//===- CorruptionTest.cpp - No damaged plan is ever accepted --------------===//

#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"
#include "test/runtime/HandPlan.h"

#include <gtest/gtest.h>

using namespace dit;
using namespace dit::plan;

static const std::vector<uint8_t> &smallPlan() {
  static const std::vector<uint8_t> bytes = test::makeForwardPlan().encode();
  return bytes;
}

TEST(CorruptionTest, TheWholePlanIsAccepted) {
  ASSERT_LE(smallPlan().size(), 65536u);
  auto view = decodePlan(smallPlan());
  EXPECT_TRUE(bool(view)) << llvm::toString(view.takeError());
}

TEST(CorruptionTest, EveryTruncationIsRefused) {
  llvm::ArrayRef<uint8_t> bytes(smallPlan());
  for (size_t length = 0; length != bytes.size(); ++length) {
    auto view = decodePlan(bytes.take_front(length));
    ASSERT_FALSE(bool(view)) << "the first " << length << " bytes";
    ASSERT_EQ(describe(view.takeError()).first, Exit::Malformed);
  }
}

TEST(CorruptionTest, AnythingAppendedIsRefused) {
  std::vector<uint8_t> bytes = smallPlan();
  bytes.push_back(0);
  auto view = decodePlan(bytes);
  ASSERT_FALSE(bool(view));
  EXPECT_NE(llvm::toString(view.takeError()).find("follows the end"),
            std::string::npos);
}

TEST(CorruptionTest, EverySingleBitFlipIsRefused) {
  std::vector<uint8_t> bytes = smallPlan();
  for (size_t i = 0; i != bytes.size(); ++i)
    for (unsigned bit = 0; bit != 8; ++bit) {
      bytes[i] ^= 1 << bit;
      auto view = decodePlan(bytes);
      bytes[i] ^= 1 << bit;
      ASSERT_FALSE(bool(view)) << "byte " << i << " bit " << bit;
      ASSERT_EQ(describe(view.takeError()).first, Exit::Malformed);
    }
}
