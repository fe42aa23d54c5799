//===- ExternalDataTest.cpp - Weights beside the model --------------------===//
#include "test/frontends/onnx/Reading.h"

using namespace dit::onnx;
using namespace dit::onnx::test;

static std::string external(const std::string &location,
                            const std::string &offset = "",
                            const std::string &length = "") {
  return withTensor(externalTensor("w", {2}, location, offset, length));
}

TEST(ExternalData, IsMappedFromBesideTheModel) {
  Folder folder;
  folder.write("m.data", "skip" + rawBytes<float>({1, 2}));
  std::string path = folder.write("m.onnx", external("m.data", "4", "8"));
  auto opened = OnnxModel::open(path);
  ASSERT_TRUE(bool(opened)) << llvm::toString(opened.takeError());
  EXPECT_EQ((*opened)->graph().initializers[0].data, rawBytes<float>({1, 2}));
  EXPECT_EQ((*opened)->mapping()->bytes().size(),
            external("m.data", "4", "8").size());
}

TEST(ExternalData, ComesFromAHuggingFaceCache) {
  Folder folder;
  for (const char *name : {"blobs", "snapshots", "snapshots/rev"})
    ASSERT_FALSE(llvm::sys::fs::create_directory(folder.at(name)));
  folder.write("blobs/aa", external("m.onnx_data"));
  folder.write("blobs/bb", rawBytes<float>({1, 2}));
  ASSERT_EQ(
      symlink("../../blobs/aa", folder.at("snapshots/rev/m.onnx").c_str()), 0);
  ASSERT_EQ(
      symlink("../../blobs/bb", folder.at("snapshots/rev/m.onnx_data").c_str()),
      0);
  EXPECT_EQ(open(folder.at("snapshots/rev/m.onnx")).text, "");
}

TEST(ExternalData, ComesFromTheFolderThatALinkPointsInto) {
  Folder folder;
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder.at("real")));
  folder.write("real/m.onnx", external("m.data"));
  folder.write("real/m.data", rawBytes<float>({1, 2}));
  ASSERT_EQ(symlink("real/m.onnx", folder.at("link.onnx").c_str()), 0);
  EXPECT_EQ(open(folder.at("link.onnx")).text, "");
}

TEST(ExternalData, MayNotLeaveTheFolder) {
  Folder folder;
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder.at("in")));
  folder.write("secret", rawBytes<float>({1, 2}));
  auto tried = [&](const std::string &location) {
    return open(folder.write("in/m.onnx", external(location)));
  };
  EXPECT_REFUSED(tried(folder.at("secret")), 77, "the path is absolute");
  EXPECT_REFUSED(tried("../secret"), 77, "the path contains '..'");
  EXPECT_REFUSED(tried("x/../../secret"), 77, "the path contains '..'");
  ASSERT_EQ(symlink("../secret", folder.at("in/link").c_str()), 0);
  EXPECT_REFUSED(tried("link"), 77,
                 "it is a link out of the model's folder, to '");
  ASSERT_EQ(mkfifo(folder.at("in/pipe").c_str(), 0600), 0);
  EXPECT_REFUSED(tried("pipe"), 77, "it is not a regular file");
  EXPECT_REFUSED(tried("."), 77, "refused");
  EXPECT_REFUSED(tried("nowhere"), 66,
                 "'nowhere' is not in the model's folder");
  EXPECT_REFUSED(tried(""), 65, "no usable location");
  EXPECT_REFUSED(tried(std::string("a\0b", 3)), 65, "no usable location");
  EXPECT_REFUSED(parse(external("m.data")), 77, "the model is not in a file");
}

TEST(ExternalData, MustLieInTheFile) {
  Folder folder;
  folder.write("m.data", rawBytes<float>({1, 2}));
  auto tried = [&](const std::string &offset, const std::string &length) {
    return open(folder.write("m.onnx", external("m.data", offset, length)));
  };
  EXPECT_REFUSED(tried("-4", ""), 65,
                 "the offset '-4', which is not a whole number");
  EXPECT_REFUSED(tried("99999999999999999999", ""), 65,
                 "is not a whole number");
  EXPECT_REFUSED(tried("18446744073709551615", ""), 65,
                 "run past the end of that file, which has 8");
  EXPECT_REFUSED(tried("4", ""), 65,
                 "its 8 bytes at offset 4 of 'm.data' run past the end");
  EXPECT_REFUSED(tried("0", "4"), 65,
                 "has the length 4, its type and shape need 8 bytes");
  EXPECT_EQ(tried("0", "8").code, 0);
}

TEST(ExternalData, OfManyTensorsIsOneMapping) {
  Folder folder;
  folder.write("m.data", rawBytes<float>({1, 2, 3, 4}));
  GraphWriter graph = reluGraph();
  graph.initializer(externalTensor("a", {2}, "m.data", "0"))
      .initializer(externalTensor("b", {2}, "m.data", "8"));
  auto opened = OnnxModel::open(folder.write("m.onnx", model(graph)));
  ASSERT_TRUE(bool(opened)) << llvm::toString(opened.takeError());
  auto &tensors = (*opened)->graph().initializers;
  EXPECT_EQ(tensors[0].owner, tensors[1].owner);
  EXPECT_EQ(tensors[1].data.data(), tensors[0].data.data() + 8);
}
