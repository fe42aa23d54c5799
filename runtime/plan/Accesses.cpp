//===- Accesses.cpp - What an instruction reads and writes ----------------===//
#include "runtime/plan/Accesses.h"

using namespace dit;
using namespace dit::plan;

using Visit = llvm::function_ref<void(const proto::Place &, bool)>;

static void visitLaunch(const proto::Launch &launch,
                        const proto::Kernel &kernel, Visit visit) {
  // Where it is not known what a kernel writes, it may be anything.
  int results = kernel.results() ? static_cast<int>(kernel.results())
                                 : launch.operands_size();
  int inputs = launch.operands_size() - results;
  for (int i = 0; i != launch.operands_size(); ++i)
    visit(launch.operands(i), i >= inputs);
}

static void visitGemm(const proto::Gemm &gemm, Visit visit) {
  for (const proto::Place *read :
       {&gemm.a(), &gemm.b(), &gemm.bias(), &gemm.gate(), &gemm.residual()})
    visit(*read, false);
  visit(gemm.aux(), gemm.activation() == proto::Gemm::GELU_TANH);
  visit(gemm.c(), true);
  visit(gemm.workspace(), true);
}

static void visitAttention(const proto::Attention &attention, bool isForward,
                           Visit visit) {
  for (const proto::Place *read :
       {&attention.q().place(), &attention.k().place(), &attention.v().place(),
        &attention.mask()})
    visit(*read, false);
  visit(attention.output().place(), isForward);
  visit(attention.log_sum_exp(), isForward);
  visit(attention.workspace(), true);
}

static void visitAttentionGrad(const proto::AttentionGrad &attention,
                               Visit visit) {
  visitAttention(attention.forward(), /*isForward=*/false, visit);
  visit(attention.output_grad().place(), false);
  for (const proto::Attention::Operand *made :
       {&attention.query_grad(), &attention.key_grad(),
        &attention.value_grad()})
    visit(made->place(), true);
  visit(attention.workspace(), true);
}

void dit::plan::visitAccesses(const proto::Plan &plan,
                              const proto::Instruction &instruction,
                              Visit body) {
  auto visit = [&](const proto::Place &place, bool isWritten) {
    if (place.space() != proto::Place::NONE)
      body(place, isWritten);
  };
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return visitLaunch(instruction.launch(),
                       plan.kernels(instruction.launch().kernel()), visit);
  case proto::Instruction::kGemm:
    return visitGemm(instruction.gemm(), visit);
  case proto::Instruction::kAttention:
    return visitAttention(instruction.attention(), /*isForward=*/true, visit);
  case proto::Instruction::kAttentionGrad:
    return visitAttentionGrad(instruction.attention_grad(), visit);
  case proto::Instruction::kCopy:
    visit(instruction.copy().from(), false);
    return visit(instruction.copy().to(), true);
  case proto::Instruction::kFill:
    return visit(instruction.fill().to(), true);
  case proto::Instruction::KIND_NOT_SET:
    return;
  }
}
