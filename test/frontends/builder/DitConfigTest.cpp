//===- DitConfigTest.cpp - Which DiT to build -----------------------------===//
#include "frontends/builder/DitConfig.h"

#include "gtest/gtest.h"

using namespace dit;

static std::string errorOf(llvm::StringRef spec, int64_t imageSize = 0) {
  auto config = parseDitConfig(spec, imageSize);
  return config ? "" : llvm::toString(config.takeError());
}

TEST(DitConfig, NamedModel) {
  auto config = parseDitConfig("DiT-XL/2", 512);
  ASSERT_TRUE(static_cast<bool>(config));
  EXPECT_EQ(config->name, "DiT-XL/2");
  EXPECT_EQ(config->depth, 28);
  EXPECT_EQ(config->hidden, 1152);
  EXPECT_EQ(config->heads, 16);
  EXPECT_EQ(config->size, 64);
  EXPECT_EQ(config->tokens(), 1024);
  EXPECT_EQ(config->outChannels(), 8);
}

TEST(DitConfig, CustomModel) {
  auto config = parseDitConfig("depth=2,hidden=64,heads=4,patch=2,size=16,"
                               "channels=1,classes=10,mlp=2,sigma=0");
  ASSERT_TRUE(static_cast<bool>(config));
  EXPECT_EQ(config->depth, 2);
  EXPECT_EQ(config->tokens(), 64);
  EXPECT_EQ(config->classes, 10);
  EXPECT_EQ(config->mlpRatio, 2);
  EXPECT_EQ(config->outChannels(), 1);
}

TEST(DitConfig, NamedModelWithOneChange) {
  auto config = parseDitConfig("DiT-S/4,classes=10", 256);
  ASSERT_TRUE(static_cast<bool>(config));
  EXPECT_EQ(config->hidden, 384);
  EXPECT_EQ(config->classes, 10);
  EXPECT_EQ(config->size, 32);
}

TEST(DitConfig, SaysWhatIsWrong) {
  EXPECT_NE(errorOf("DiT-M/2").find("no built-in model is called 'DiT-M/2'"),
            std::string::npos);
  EXPECT_NE(errorOf("DiT-S/3").find("with /2, /4 or /8"), std::string::npos);
  EXPECT_NE(errorOf("DiT-S/2", 250).find("no multiple of 8"),
            std::string::npos);
  EXPECT_NE(errorOf("DiT-S/8", 264).find("patch 8 does not divide"),
            std::string::npos);
  EXPECT_NE(errorOf("depth=2").find("needs hidden=N"), std::string::npos);
  EXPECT_NE(errorOf("depth=2,hidden=64,heads=5,patch=2").find("do not divide"),
            std::string::npos);
  EXPECT_NE(errorOf("depth=2,hidden=6,heads=2,patch=2").find("multiple of 4"),
            std::string::npos);
  EXPECT_NE(errorOf("DiT-S/2,width=3").find("a DiT has no 'width'"),
            std::string::npos);
  EXPECT_NE(errorOf("DiT-S/2,depth=-1").find("needs a number"),
            std::string::npos);
  EXPECT_NE(errorOf("DiT-S/2,sigma=2").find("sigma is 0 or 1"),
            std::string::npos);
}
