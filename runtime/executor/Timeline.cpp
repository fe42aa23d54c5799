//===- Timeline.cpp - When each instruction ran ---------------------------===//

#include "runtime/executor/Timeline.h"

#include "runtime/plan/Work.h"

#include "llvm/Support/JSON.h"

using namespace dit;
using namespace dit::runtime;

/// Batch, heads, queries and head dimension.
static std::string attentionSizes(const proto::Attention &attention) {
  return std::to_string(attention.batch()) + "x" +
         std::to_string(attention.heads()) + "x" +
         std::to_string(attention.query_tokens()) + "x" +
         std::to_string(attention.head_dim());
}

std::string
dit::runtime::instructionName(const proto::Plan &plan,
                              const proto::Instruction &instruction) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return plan.kernels(instruction.launch().kernel()).symbol();
  case proto::Instruction::kGemm: {
    const proto::Gemm &gemm = instruction.gemm();
    std::string name = "gemm " + std::to_string(gemm.m()) + "x" +
                       std::to_string(gemm.n()) + "x" +
                       std::to_string(gemm.k());
    if (gemm.batch() > 1)
      name += " x" + std::to_string(gemm.batch());
    if (gemm.aux().space() == proto::Place::NONE)
      return name;
    return name + (gemm.activation() == proto::Gemm::GELU_TANH_GRAD
                       ? " gelu_grad"
                       : " gelu_aux");
  }
  case proto::Instruction::kAttention:
    return "attention " + attentionSizes(instruction.attention());
  case proto::Instruction::kAttentionGrad:
    return "attention gradient " +
           attentionSizes(instruction.attention_grad().forward());
  case proto::Instruction::kCopy:
    return "copy";
  case proto::Instruction::kFill:
    return "fill";
  case proto::Instruction::KIND_NOT_SET:
    break;
  }
  return "unknown";
}

static double microseconds(Timeline::Time from, Timeline::Time to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

void dit::runtime::writeTrace(const proto::Plan &plan, const Timeline &timeline,
                              llvm::raw_ostream &os) {
  llvm::json::OStream json(os);
  Timeline::Time start =
      timeline.all().empty() ? Timeline::Time() : timeline.all().front().begin;
  auto nameTrack = [&](llvm::StringRef kind, llvm::StringRef name) {
    json.object([&] {
      json.attribute("ph", "M");
      json.attribute("name", kind);
      json.attribute("pid", 0);
      json.attribute("tid", 0);
      json.attributeObject("args", [&] { json.attribute("name", name); });
    });
  };
  json.object([&] {
    json.attributeArray("traceEvents", [&] {
      nameTrack("process_name", "rank 0");
      nameTrack("thread_name", "stream 0");
      for (const Timeline::Event &event : timeline.all()) {
        const proto::Function &function = plan.functions(event.function);
        const proto::Instruction &instruction =
            function.instructions(event.instruction);
        json.object([&] {
          json.attribute("ph", "X");
          json.attribute(
              "name", llvm::json::fixUTF8(instructionName(plan, instruction)));
          json.attribute("cat", llvm::json::fixUTF8(function.step()));
          json.attribute("pid", 0);
          json.attribute("tid", 0);
          json.attribute("ts", microseconds(start, event.begin));
          json.attribute("dur", microseconds(event.begin, event.end));
          json.attributeObject("args", [&] {
            json.attribute("location",
                           llvm::json::fixUTF8(instruction.location()));
            json.attribute("flops", static_cast<int64_t>(plan::instructionFlops(
                                        plan, instruction)));
          });
        });
      }
    });
  });
}
