//===- Work.cpp - What an instruction has to do ---------------------------===//

#include "runtime/plan/Work.h"

#include "runtime/plan/Shape.h"

using namespace dit;
using namespace dit::plan;

static int64_t bytesOf(proto::ElementType type) {
  return elementBytes(elementType(type));
}

/// Of the two products of an attention.
static uint64_t attentionFlops(const proto::Attention &attention) {
  return 2ull * attention.batch() * attention.heads() *
         attention.query_tokens() * attention.key_tokens() *
         (attention.head_dim() + attention.value_dim());
}

/// Of q, k, v and the output.
static uint64_t attentionBytes(const proto::Attention &a) {
  int64_t queries = a.query_tokens() * (a.head_dim() + a.value_dim());
  int64_t keys = a.key_tokens() * (a.head_dim() + a.value_dim());
  return a.batch() * a.heads() * (queries + keys) * bytesOf(a.type());
}

uint64_t dit::plan::instructionFlops(const proto::Plan &plan,
                                     const proto::Instruction &instruction) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return plan.kernels(instruction.launch().kernel()).flops();
  case proto::Instruction::kGemm: {
    const proto::Gemm &gemm = instruction.gemm();
    return 2ull * gemm.m() * gemm.n() * gemm.k() * gemm.batch();
  }
  case proto::Instruction::kAttention:
    return attentionFlops(instruction.attention());
  case proto::Instruction::kAttentionGrad: {
    // Five products: the scores again, dP, dV, dQ and dK.
    const proto::Attention &forward = instruction.attention_grad().forward();
    return 2 * attentionFlops(forward) +
           2ull * forward.batch() * forward.heads() * forward.query_tokens() *
               forward.key_tokens() * forward.head_dim();
  }
  default:
    return 0;
  }
}

uint64_t dit::plan::instructionBytes(const proto::Plan &plan,
                                     const proto::Instruction &instruction) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return plan.kernels(instruction.launch().kernel()).bytes_moved();
  case proto::Instruction::kGemm: {
    const proto::Gemm &gemm = instruction.gemm();
    // A weight that all problems share is read once.
    int64_t weights = gemm.stride_b() ? gemm.batch() : 1;
    return gemm.batch() * gemm.m() * gemm.k() * bytesOf(gemm.a_type()) +
           weights * gemm.n() * gemm.k() * bytesOf(gemm.b_type()) +
           gemm.batch() * gemm.m() * gemm.n() * bytesOf(gemm.c_type()) *
               (gemm.aux().space() == proto::Place::NONE ? 1 : 2);
  }
  case proto::Instruction::kAttention:
    return attentionBytes(instruction.attention());
  case proto::Instruction::kAttentionGrad:
    // Each and its cotangent.
    return 2 * attentionBytes(instruction.attention_grad().forward());
  case proto::Instruction::kCopy:
    return 2 * instruction.copy().to().bytes();
  case proto::Instruction::kFill:
    return instruction.fill().to().bytes();
  case proto::Instruction::KIND_NOT_SET:
    break;
  }
  return 0;
}
