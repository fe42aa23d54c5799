//===- ManifestTest.cpp - manifest.json, good and damaged -----------------===//

#include "runtime/checkpoint/Manifest.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>
#include <xxhash.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

static Manifest example() {
  Manifest manifest;
  manifest.number = 3;
  manifest.step = 300;
  manifest.samples = (int64_t(1) << 40) + 1;
  manifest.seed = ~uint64_t(0);
  manifest.plan = "c2ad0aef7979857dfcfd29246e01705d";
  manifest.model = "a \"model\"";
  manifest.options = {{"lr", "0.001"}, {"warmup", "10"}};
  manifest.files = {{"model.safetensors", uint64_t(1) << 41,
                     "0123456789abcdef0123456789abcdef"}};
  return manifest;
}

static Exit exitOf(llvm::StringRef text) {
  llvm::Expected<Manifest> manifest = parseManifest(text);
  return manifest ? Exit::Done : plan::describe(manifest.takeError()).first;
}

TEST(ManifestTest, ReadsWhatItWrites) {
  Manifest manifest = llvm::cantFail(parseManifest(encodeManifest(example())));
  EXPECT_EQ(manifest.number, 3);
  EXPECT_EQ(manifest.step, 300);
  EXPECT_EQ(manifest.samples, (int64_t(1) << 40) + 1);
  EXPECT_EQ(manifest.seed, ~uint64_t(0));
  EXPECT_EQ(manifest.plan, example().plan);
  EXPECT_EQ(manifest.model, example().model);
  EXPECT_EQ(manifest.options, example().options);
  ASSERT_EQ(manifest.files.size(), 1u);
  EXPECT_EQ(manifest.files[0].name, "model.safetensors");
  EXPECT_EQ(manifest.files[0].bytes, uint64_t(1) << 41);
  EXPECT_EQ(manifest.files[0].hash, example().files[0].hash);
}

// xxhsum of the text before the last member gives the same digits.
TEST(ManifestTest, EndsWithItsHash) {
  std::string text = encodeManifest(example());
  size_t at = text.rfind(",\n  \"xxh3\": \"");
  ASSERT_NE(at, std::string::npos);
  XXH128_hash_t hash = XXH3_128bits(text.data(), at);
  EXPECT_EQ(text.substr(at + 13, 32),
            llvm::utohexstr(hash.high64, true, 16) +
                llvm::utohexstr(hash.low64, true, 16));
}

TEST(ManifestTest, RefusesDamage) {
  std::string text = encodeManifest(example());
  for (size_t size = 0; size != text.size(); ++size)
    EXPECT_NE(exitOf(llvm::StringRef(text).take_front(size)), Exit::Done);
  for (size_t byte = 0; byte != text.size(); ++byte)
    for (int bit = 0; bit != 8; ++bit) {
      std::string damaged = text;
      damaged[byte] ^= 1 << bit;
      EXPECT_NE(exitOf(damaged), Exit::Done) << byte << "." << bit;
    }
  EXPECT_EQ(exitOf(text + " "), Exit::Malformed);
}

TEST(ManifestTest, RefusesNamesThatLeaveTheFolder) {
  for (const char *name : {"../model.safetensors", "/etc/passwd", "a/b", "",
                           "..", ".hidden", "a\\b"}) {
    Manifest manifest = example();
    manifest.files[0].name = name;
    EXPECT_EQ(exitOf(encodeManifest(manifest)), Exit::Refused) << name;
  }
}
