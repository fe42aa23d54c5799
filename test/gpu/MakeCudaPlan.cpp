//===- MakeCudaPlan.cpp - The library calls of a DiT as a plan ------------===//
//
//   make-cuda-plan PICTURES WORKSPACE_MB FILE
//
// The matrix products and attentions of DiT-XL/2 at 256 x 256 with guidance
// (2 x PICTURES x 256 tokens), weights drawn at start, no kernels between: the
// time that libraries leave to everything else.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Failure.h"
#include "runtime/plan/Writer.h"
#include "test/runtime/devices/cuda/CudaPlan.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

using namespace dit;
using namespace dit::test;
using dit::plan::ElementType;

static constexpr ElementType BF16 = ElementType::BF16;
static constexpr int64_t depth = 28, heads = 16, dim = 72, width = heads * dim;
static constexpr int64_t tokens = 256;

namespace {

class Model {
public:
  Model(CudaPlan &plan, int64_t pictures, uint64_t workspaceBytes)
      : plan(plan), batch(2 * pictures) {
    if (workspaceBytes) {
      workspace = plan.arena(workspaceBytes);
      attentionWorkspace = plan.arena(1024);
    }
  }

  void build();

private:
  void addLinear(llvm::StringRef name, unsigned from, unsigned to, int64_t rows,
                 int64_t in, int64_t out, bool gelu = false);
  void addAttention(unsigned qkv, unsigned to);

  CudaPlan &plan;
  int64_t batch;
  proto::Place workspace, attentionWorkspace;
};

} // namespace

void Model::addLinear(llvm::StringRef name, unsigned from, unsigned to,
                      int64_t rows, int64_t in, int64_t out, bool gelu) {
  unsigned weight =
      plan.addDrawn((name + ".weight").str(), BF16, {out, in}, 0.02);
  unsigned bias = plan.addDrawn((name + ".bias").str(), BF16, {out}, 0.02);
  proto::Gemm gemm = makeGemm(BF16, BF16, rows, out, in);
  *gemm.mutable_a() = plan.place(from);
  *gemm.mutable_b() = plan.place(weight);
  *gemm.mutable_c() = plan.place(to);
  *gemm.mutable_bias() = plan.place(bias);
  *gemm.mutable_workspace() = workspace;
  if (gelu)
    gemm.set_activation(proto::Gemm::GELU_TANH);
  proto::Instruction &instruction = plan.add();
  *instruction.mutable_gemm() = gemm;
  instruction.set_location(name.str());
}

void Model::addAttention(unsigned qkv, unsigned to) {
  proto::Attention *attention = plan.add().mutable_attention();
  attention->set_batch(batch);
  attention->set_heads(heads);
  attention->set_query_tokens(tokens);
  attention->set_key_tokens(tokens);
  attention->set_head_dim(dim);
  attention->set_value_dim(dim);
  attention->set_scale(0.11785113f);
  attention->set_type(proto::BF16);
  *attention->mutable_workspace() = attentionWorkspace;
  *attention->mutable_q() = makeOperand(plan.place(qkv), tokens, 3, heads, dim);
  *attention->mutable_k() =
      makeOperand(plan.place(qkv, width), tokens, 3, heads, dim);
  *attention->mutable_v() =
      makeOperand(plan.place(qkv, 2 * width), tokens, 3, heads, dim);
  *attention->mutable_output() =
      makeOperand(plan.place(to), tokens, 1, heads, dim);
}

void Model::build() {
  int64_t rows = batch * tokens;
  unsigned x = plan.addGlobal("x", BF16, {rows, width}, proto::Global::INPUT);
  unsigned c = plan.addGlobal("c", BF16, {batch, width}, proto::Global::INPUT);
  unsigned y = plan.addGlobal("y", BF16, {rows, width}, proto::Global::OUTPUT);
  unsigned modulation = plan.addGlobal("modulation", BF16, {batch, 6 * width});
  unsigned qkv = plan.addGlobal("qkv", BF16, {rows, 3 * width});
  unsigned mixed = plan.addGlobal("mixed", BF16, {rows, width});
  unsigned hidden = plan.addGlobal("hidden", BF16, {rows, 4 * width});
  for (int64_t block = 0; block != depth; ++block) {
    std::string name = "block" + std::to_string(block);
    addLinear(name + ".adaLN", c, modulation, batch, width, 6 * width);
    addLinear(name + ".qkv", x, qkv, rows, width, 3 * width);
    addAttention(qkv, mixed);
    addLinear(name + ".proj", mixed, x, rows, width, width);
    addLinear(name + ".fc1", x, hidden, rows, width, 4 * width, true);
    addLinear(name + ".fc2", hidden, y, rows, 4 * width, width);
  }
}

int main(int argc, char **argv) {
  int64_t pictures = 0, megabytes = 0;
  if (argc != 4 || !llvm::to_integer(argv[1], pictures) || pictures < 1 ||
      !llvm::to_integer(argv[2], megabytes) || megabytes < 0) {
    llvm::errs() << "make-cuda-plan PICTURES WORKSPACE_MB FILE\n";
    return 64;
  }
  CudaPlan plan;
  plan.metadata().set_model("DiT-XL/2 library calls");
  Model(plan, pictures, megabytes << 20).build();
  const plan::PlanView &view = plan.finish();
  if (llvm::Error error =
          plan::writePlan(argv[3], view.metadata, view.code, view.weights)) {
    auto [code, text] = plan::describe(std::move(error));
    llvm::errs() << text << "\n";
    return static_cast<int>(code);
  }
  return 0;
}
