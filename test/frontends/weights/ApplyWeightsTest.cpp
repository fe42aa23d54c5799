//===- ApplyWeightsTest.cpp - Weights under other names -------------------===//
#include "frontends/weights/ApplyWeights.h"

#include "dialects/dit/DitDialect.h"
#include "frontends/builder/BuildDit.h"
#include "frontends/onnx/ImportError.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Verifier.h"
#include "test/frontends/weights/PlacedElements.h"
#include "gtest/gtest.h"

#include <map>
#include <memory>

using namespace mlir;
using namespace dit;

namespace {
/// A tiny DiT, and weights for it.
struct ApplyWeights : testing::Test {
  ApplyWeights() {
    auto config = llvm::cantFail(parseDitConfig(
        "depth=2,hidden=8,heads=2,patch=2,size=4,channels=1,classes=3"));
    module = ModuleOp::create(UnknownLoc::get(&context));
    EXPECT_TRUE(succeeded(buildDit(config, 1, *module, "forward", 7)));
    for (auto global : module->getOps<GlobalOp>())
      for (auto piece : global.getPieces().getAsRange<PieceAttr>())
        if (global.getRole() == Role::Parameter)
          add(piece.getName(), piece.getFile().getShape().vec());
  }

  /// A tensor whose elements are numbered, from another start each.
  void add(llvm::StringRef name, std::vector<int64_t> shape) {
    size_t size = 1;
    for (int64_t dim : shape)
      size *= static_cast<size_t>(dim);
    auto values = std::make_shared<std::vector<float>>();
    for (size_t index = 0; index < size; ++index)
      values->push_back(start + static_cast<float>(index));
    start += 10000;
    llvm::StringRef bytes(reinterpret_cast<const char *>(values->data()),
                          size * sizeof(float));
    tensors.push_back({name.str(), "F32", shape, bytes, values, false});
  }
  StoredTensor take(llvm::StringRef name) {
    auto found = llvm::find_if(tensors, [&](const StoredTensor &tensor) {
      return tensor.name == name;
    });
    StoredTensor tensor = *found;
    tensors.erase(found);
    return tensor;
  }
  std::string apply() {
    std::string text;
    llvm::handleAllErrors(applyWeights(*module, tensors),
                          [&](const onnx::ImportError &error) {
                            EXPECT_EQ(error.exitCode(), 78);
                            text = error.getMessage().str();
                          });
    return text;
  }
  /// What the global holds in the end.
  std::vector<float> valuesOf(llvm::StringRef name) {
    auto global = module->lookupSymbol<GlobalOp>(name);
    std::vector<float> values(global.getTensorType().getNumElements(), -1);
    for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
      auto source = dyn_cast<DenseResourceElementsAttr>(piece.getSource());
      if (!source)
        return {};
      ArrayRef<char> data = source.getRawHandle().getBlob()->getData();
      place(ArrayRef(reinterpret_cast<const float *>(data.data()),
                     data.size() / sizeof(float)),
            Placement::of(piece), values);
    }
    return values;
  }
  /// Every parameter's values.
  std::map<std::string, std::vector<float>> allValues() {
    std::map<std::string, std::vector<float>> all;
    for (auto global : module->getOps<GlobalOp>())
      if (global.getRole() == Role::Parameter)
        all[global.getSymName().str()] = valuesOf(global.getSymName());
    return all;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::vector<StoredTensor> tensors;
  float start = 0;
};
} // namespace

TEST_F(ApplyWeights, OriginalNames) {
  ASSERT_EQ(apply(), "");
  EXPECT_TRUE(succeeded(verify(*module)));
  std::vector<float> bias = valuesOf("blocks.1.mlp.fc2.bias");
  ASSERT_EQ(bias.size(), 8u);
  EXPECT_EQ(bias[3] - bias[0], 3);
}

// q, k and v of their own give the same program as one qkv.
TEST_F(ApplyWeights, DiffusersNames) {
  ASSERT_EQ(apply(), "");
  auto expected = allValues();
  auto rename = [&](llvm::StringRef original, llvm::StringRef diffusers) {
    for (llvm::StringRef leaf : {".weight", ".bias"}) {
      StoredTensor tensor = take((original + leaf).str());
      tensor.name = (diffusers + leaf).str();
      tensors.push_back(tensor);
    }
  };
  for (std::string block : {"0", "1"}) {
    std::string from = "blocks." + block, to = "transformer_blocks." + block;
    for (std::string leaf : {".weight", ".bias"}) {
      StoredTensor whole = take(from + ".attn.qkv" + leaf);
      whole.shape[0] /= 3;
      size_t third = whole.bytes.size() / 3;
      llvm::StringRef all = whole.bytes;
      for (int part = 0; part < 3; ++part) {
        whole.name = to + ".attn1.to_" + "qkv"[part] + leaf;
        whole.bytes = all.substr(part * third, third);
        tensors.push_back(whole);
      }
    }
    rename(from + ".attn.proj", to + ".attn1.to_out.0");
    rename(from + ".mlp.fc1", to + ".ff.net.0.proj");
    rename(from + ".mlp.fc2", to + ".ff.net.2");
    rename(from + ".adaLN_modulation.1", to + ".norm1.linear");
  }
  rename("x_embedder.proj", "pos_embed.proj");
  rename("final_layer.linear", "proj_out_2");
  rename("final_layer.adaLN_modulation.1", "proj_out_1");
  // diffusers has the embedders in every block, and no position table.
  take("pos_embed");
  expected.erase("pos_embed");
  rename("t_embedder.mlp.0",
         "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1");
  rename("t_embedder.mlp.2",
         "transformer_blocks.0.norm1.emb.timestep_embedder.linear_2");
  StoredTensor table = take("y_embedder.embedding_table.weight");
  for (std::string block : {"0", "1"}) {
    table.name = "transformer_blocks." + block +
                 ".norm1.emb.class_embedder.embedding_table.weight";
    tensors.push_back(table);
  }
  ASSERT_EQ(apply(), "");
  EXPECT_TRUE(succeeded(verify(*module)));
  auto found = allValues();
  found.erase("pos_embed");
  EXPECT_EQ(found, expected);
}

// A weight that lies [in, out], as in ONNX, gives the same program.
TEST_F(ApplyWeights, TransposedFile) {
  ASSERT_EQ(apply(), "");
  auto expected = allValues();
  for (std::string name :
       {"blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight"}) {
    StoredTensor tensor = take(name);
    size_t rows = tensor.shape[0], columns = tensor.shape[1];
    const auto *from = reinterpret_cast<const float *>(tensor.bytes.data());
    auto turned = std::make_shared<std::vector<float>>();
    for (size_t column = 0; column < columns; ++column)
      for (size_t row = 0; row < rows; ++row)
        turned->push_back(from[row * columns + column]);
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    tensor.bytes = {reinterpret_cast<const char *>(turned->data()),
                    tensor.bytes.size()};
    tensor.owner = turned;
    tensor.transposed = true;
    tensors.push_back(tensor);
  }
  ASSERT_EQ(apply(), "");
  EXPECT_EQ(allValues(), expected);
  // What was collected says so too, and applies again.
  tensors = collectWeights(*module);
  ASSERT_EQ(apply(), "");
  EXPECT_EQ(allValues(), expected);
}

TEST_F(ApplyWeights, ListsAllThatDoesNotFit) {
  take("blocks.0.mlp.fc1.bias");
  take("blocks.1.attn.qkv.weight");
  add("decoder.weight", {3});
  StoredTensor wrong = take("x_embedder.proj.bias");
  add("x_embedder.proj.bias", {9});
  std::string text = apply();
  for (llvm::StringRef part :
       {"without weights: 'blocks.0.mlp.fc1.bias', 'blocks.1.attn.qkv.weight'",
        "weights without a parameter: 'decoder.weight'",
        "'x_embedder.proj.bias' is F32 [9], the model needs [8]"})
    EXPECT_NE(text.find(part.str()), std::string::npos) << part.str() << text;
  // Nothing was changed.
  EXPECT_TRUE(valuesOf("blocks.0.mlp.fc2.bias").empty());
}

TEST_F(ApplyWeights, CopiesThatDifferAreUnexpected) {
  add("transformer_blocks.1.norm1.emb.timestep_embedder.linear_1.bias", {8});
  EXPECT_NE(apply().find("weights without a parameter: 'transformer_blocks.1"),
            std::string::npos);
}

TEST_F(ApplyWeights, InitialisesAgain) {
  ASSERT_EQ(apply(), "");
  ASSERT_FALSE(static_cast<bool>(initialiseDit(*module, 3)));
  auto global = module->lookupSymbol<GlobalOp>("blocks.1.attn.qkv.weight");
  auto piece = cast<PieceAttr>(global.getPieces()[0]);
  auto init = dyn_cast<InitAttr>(piece.getSource());
  ASSERT_TRUE(init);
  EXPECT_EQ(init.getSeed(), 3u);
  EXPECT_EQ(init.getFanOut(), 24);
  // Heads stay together.
  EXPECT_EQ(piece.getView().size(), 4);
  EXPECT_TRUE(succeeded(verify(*module)));
}

TEST_F(ApplyWeights, InitialisesOnlyWhatItKnows) {
  OpBuilder builder = OpBuilder::atBlockBegin(module->getBody());
  auto type = RankedTensorType::get({3}, builder.getF32Type());
  GlobalOp::create(builder, module->getLoc(), "decoder.weight", Role::Parameter,
                   type,
                   ArrayRef<Attribute>{PieceAttr::getIdentity(
                       "decoder.weight", type, builder.getUnitAttr())});
  std::string text = llvm::toString(initialiseDit(*module, 3));
  EXPECT_NE(text.find("no rule for the first values of 'decoder.weight'"),
            std::string::npos);
}
