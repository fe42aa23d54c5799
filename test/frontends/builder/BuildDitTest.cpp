//===- BuildDitTest.cpp - Sizes of the DiT models -------------------------===//
//
// The counts are the table of the DiT paper's models: trainable parameters, and
// multiply-accumulates of a forward.
//
//===----------------------------------------------------------------------===//
#include "frontends/builder/BuildDit.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

namespace {
struct Size {
  const char *name;
  int64_t parameters;
  double macs256, macs512; // in 10^9
};
struct BuildDit : testing::Test {
  BuildDit() { context.loadDialect<DitDialect, func::FuncDialect>(); }
  OwningOpRef<ModuleOp> build(llvm::StringRef spec, int64_t imageSize) {
    auto config = llvm::cantFail(parseDitConfig(spec, imageSize));
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    if (failed(buildDit(config, 1, *module, "forward", 0)))
      return {};
    return module;
  }
  MLIRContext context;
};
struct DitSize : BuildDit, testing::WithParamInterface<Size> {};
} // namespace

/// Products of the matmuls and attentions, as the IR says them.
static double countMacs(ModuleOp module) {
  double macs = 0;
  module.walk([&](MatmulOp op) {
    auto [m, n, k, batch] = op.getSizes();
    macs += double(m) * double(n) * double(k) * double(batch);
  });
  module.walk([&](AttentionOp op) {
    auto q = cast<RankedTensorType>(op.getQuery().getType());
    double tokens = double(q.getDimSize(1));
    macs += 2 * double(q.getNumElements()) * tokens;
  });
  return macs / 1e9;
}

TEST_P(DitSize, ParametersAndMacs) {
  OwningOpRef<ModuleOp> module = build(GetParam().name, 256);
  ASSERT_TRUE(module);
  EXPECT_TRUE(succeeded(verify(*module)));
  int64_t trainable = 0;
  for (auto global : module->getOps<GlobalOp>())
    if (global.getTrainable())
      trainable += global.getTensorType().getNumElements();
  EXPECT_EQ(trainable, GetParam().parameters);
  // The table is rounded to three digits.
  EXPECT_NEAR(countMacs(*module), GetParam().macs256,
              0.01 * GetParam().macs256);
  OwningOpRef<ModuleOp> large = build(GetParam().name, 512);
  ASSERT_TRUE(large);
  EXPECT_NEAR(countMacs(*large), GetParam().macs512, 0.01 * GetParam().macs512);
}

INSTANTIATE_TEST_SUITE_P(
    Paper, DitSize,
    testing::Values(Size{"DiT-XL/2", 674834720, 118.6, 524.5},
                    Size{"DiT-XL/4", 675000704, 29.0, 118.7},
                    Size{"DiT-XL/8", 675664640, 7.39, 29.1},
                    Size{"DiT-L/2", 457840672, 80.7, 361.0},
                    Size{"DiT-L/4", 457988224, 19.7, 80.7},
                    Size{"DiT-L/8", 458578432, 5.01, 19.7},
                    Size{"DiT-B/2", 130315808, 23.0, 106.4},
                    Size{"DiT-B/4", 130426496, 5.57, 23.0},
                    Size{"DiT-B/8", 130869248, 1.42, 5.59},
                    Size{"DiT-S/2", 32865056, 6.06, 31.4},
                    Size{"DiT-S/4", 32920448, 1.41, 6.07},
                    Size{"DiT-S/8", 33142016, 0.36, 1.43}));

// The state_dict of DiT-XL/2: 292 entries, 675,129,632 values with the table of
// positions.
TEST_F(BuildDit, StateDictOfXL2) {
  OwningOpRef<ModuleOp> module = build("DiT-XL/2", 256);
  ASSERT_TRUE(module);
  int64_t entries = 0, values = 0;
  for (auto global : module->getOps<GlobalOp>())
    for (auto piece : global.getPieces().getAsRange<PieceAttr>())
      if (global.getRole() == Role::Parameter) {
        ++entries;
        values += piece.getFile().getNumElements();
      }
  EXPECT_EQ(entries, 292);
  EXPECT_EQ(values, 675129632);
}

TEST_F(BuildDit, TwoBatchesShareParameters) {
  auto config = llvm::cantFail(parseDitConfig("DiT-S/8", 256));
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  ASSERT_TRUE(succeeded(buildDit(config, 4, *module, "forward", 0)));
  auto count = [&] { return llvm::range_size(module->getOps<GlobalOp>()); };
  auto before = count();
  ASSERT_TRUE(succeeded(buildDit(config, 2, *module, "forward_single", 0)));
  EXPECT_EQ(count(), before);
  EXPECT_TRUE(succeeded(verify(*module)));
}
