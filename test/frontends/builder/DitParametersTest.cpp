//===- DitParametersTest.cpp - DiT's parameters by name -------------------===//
#include "frontends/builder/DitParameters.h"

#include "gtest/gtest.h"

using namespace dit;

TEST(DitParameters, OriginalNamesStay) {
  EXPECT_EQ(getOriginalName("blocks.3.attn.qkv.weight").name,
            "blocks.3.attn.qkv.weight");
  EXPECT_EQ(getOriginalName("blocks.3.attn.qkv.weight").part, -1);
  EXPECT_EQ(getOriginalName("whatever").name, "whatever");
}

TEST(DitParameters, DiffusersNames) {
  auto check = [](llvm::StringRef name, llvm::StringRef original, int part) {
    DitParameter found = getOriginalName(name);
    EXPECT_EQ(found.name, original);
    EXPECT_EQ(found.part, part) << name.str();
  };
  check("pos_embed.proj.weight", "x_embedder.proj.weight", -1);
  check("transformer_blocks.12.attn1.to_k.bias", "blocks.12.attn.qkv.bias", 1);
  check("transformer_blocks.0.attn1.to_out.0.weight",
        "blocks.0.attn.proj.weight", -1);
  check("transformer_blocks.0.ff.net.0.proj.weight", "blocks.0.mlp.fc1.weight",
        -1);
  check("transformer_blocks.0.ff.net.2.bias", "blocks.0.mlp.fc2.bias", -1);
  check("transformer_blocks.5.norm1.linear.weight",
        "blocks.5.adaLN_modulation.1.weight", -1);
  check("transformer_blocks.7.norm1.emb.timestep_embedder.linear_2.bias",
        "t_embedder.mlp.2.bias", -1);
  check("transformer_blocks.7.norm1.emb.class_embedder.embedding_table.weight",
        "y_embedder.embedding_table.weight", -1);
  check("proj_out_1.weight", "final_layer.adaLN_modulation.1.weight", -1);
  check("proj_out_2.bias", "final_layer.linear.bias", -1);
}

// The state_dict of DiT-XL/2 has 292 entries.
TEST(DitParameters, IndexInStateDict) {
  EXPECT_EQ(getParameterIndex("pos_embed", 28), 0);
  EXPECT_EQ(getParameterIndex("y_embedder.embedding_table.weight", 28), 7);
  EXPECT_EQ(getParameterIndex("blocks.0.attn.qkv.weight", 28), 8);
  EXPECT_EQ(getParameterIndex("blocks.27.adaLN_modulation.1.bias", 28), 287);
  EXPECT_EQ(getParameterIndex("final_layer.adaLN_modulation.1.bias", 28), 291);
  EXPECT_FALSE(getParameterIndex("blocks.28.attn.qkv.weight", 28));
  EXPECT_FALSE(getParameterIndex("blocks.0.attn.rope", 28));
}

TEST(DitParameters, FirstValues) {
  mlir::MLIRContext context;
  context.loadDialect<DitDialect>();
  auto init = [&](llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                  int part = -1) {
    return getDitInit(&context, {name.str(), part}, shape, 2, 5);
  };
  InitAttr qkv = init("blocks.1.attn.qkv.weight", {192, 64});
  EXPECT_EQ(qkv.getKind(), InitKind::XavierUniform);
  EXPECT_EQ(qkv.getFanIn(), 64);
  EXPECT_EQ(qkv.getFanOut(), 192);
  EXPECT_EQ(qkv.getSeed(), 5u);
  EXPECT_EQ(qkv.getStream(), firstParameterStream + 18);

  // k alone is a layer of its own, and draws numbers of its own.
  InitAttr k = init("blocks.1.attn.qkv.weight", {64, 64}, 1);
  EXPECT_EQ(k.getFanOut(), 64);
  EXPECT_NE(k.getStream(), qkv.getStream());

  InitAttr patch = init("x_embedder.proj.weight", {64, 4, 2, 2});
  EXPECT_EQ(patch.getFanIn(), 16);
  EXPECT_EQ(patch.getFanOut(), 64);
  EXPECT_EQ(init("t_embedder.mlp.0.weight", {64, 256}).getKind(),
            InitKind::Normal);
  EXPECT_EQ(init("t_embedder.mlp.0.bias", {64}).getKind(), InitKind::Zeros);
  EXPECT_EQ(init("blocks.0.adaLN_modulation.1.weight", {384, 64}).getKind(),
            InitKind::Zeros);
  EXPECT_EQ(init("final_layer.linear.weight", {32, 64}).getKind(),
            InitKind::Zeros);
  EXPECT_FALSE(init("decoder.weight", {32, 64}));
}
