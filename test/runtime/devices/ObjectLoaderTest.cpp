//===- ObjectLoaderTest.cpp - Code from a plan is callable ----------------===//

#include "runtime/devices/cpu/ObjectLoader.h"
#include "runtime/plan/Failure.h"
#include "test/runtime/HandPlan.h"

#include <gtest/gtest.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

using Kernel = void (*)(void *const *, int64_t, int64_t);

TEST(ObjectLoaderTest, SymbolsAreFoundInTheOrderAskedFor) {
  auto code = ObjectCode::load(
      test::handKernels(), {"copy_blocks", "twice_plus_one", "copy_blocks"});
  ASSERT_TRUE(bool(code)) << llvm::toString(code.takeError());
  EXPECT_EQ((*code)->address(0), (*code)->address(2));
  float x[8] = {0, 1, 2, 3, 4, 5, 6, 7}, y[8] = {};
  void *operands[] = {x, y};
  reinterpret_cast<Kernel>((*code)->address(1))(operands, 1, 2);
  EXPECT_EQ(y[3], 0);
  EXPECT_EQ(y[4], 9);
  EXPECT_EQ(y[7], 15);
}

TEST(ObjectLoaderTest, MemcpyComesFromTheProcess) {
  auto code = ObjectCode::load(test::handKernels(), {"copy_blocks"});
  ASSERT_TRUE(bool(code)) << llvm::toString(code.takeError());
  char from[128], to[128] = {};
  std::fill_n(from, 128, 'x');
  void *operands[] = {from, to};
  reinterpret_cast<Kernel>((*code)->address(0))(operands, 0, 2);
  EXPECT_EQ(std::string(to, 128), std::string(128, 'x'));
}

TEST(ObjectLoaderTest, WhatIsMissingIsNamed) {
  auto code = ObjectCode::load(test::handKernels(), {"no_such_kernel"});
  ASSERT_FALSE(bool(code));
  auto [exit, text] = plan::describe(code.takeError());
  EXPECT_EQ(exit, Exit::Malformed);
  EXPECT_NE(text.find("no_such_kernel"), std::string::npos) << text;
}

TEST(ObjectLoaderTest, BytesThatAreNoObjectAreRefused) {
  std::vector<uint8_t> object = test::handKernels();
  std::vector<uint8_t> executable = object;
  executable[16] = 2; // e_type: ET_EXEC
  std::vector<uint8_t> foreign = object;
  foreign[18] = 183; // e_machine: AArch64
  for (const std::vector<uint8_t> &bytes :
       {std::vector<uint8_t>(100, 0x7f), executable, foreign}) {
    auto code = ObjectCode::load(bytes, {"twice_plus_one"});
    ASSERT_FALSE(bool(code));
    EXPECT_EQ(plan::describe(code.takeError()).first, Exit::Malformed);
  }
}
