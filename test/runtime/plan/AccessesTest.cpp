//===- AccessesTest.cpp - What an instruction reads and writes ------------===//
//
// Every place of an instruction is touched: places are found by reflection, so
// that a new field cannot be forgotten.
//
//===----------------------------------------------------------------------===//
#include "runtime/plan/Accesses.h"

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"

#include <map>
#include <set>

using namespace dit;

namespace {

/// Gives every place of a message one of its own, by the path of its field.
void fillPlaces(google::protobuf::Message &message, const std::string &path,
                std::map<std::string, uint64_t> &offsets) {
  if (auto *place = dynamic_cast<proto::Place *>(&message)) {
    uint64_t offset = 64 * offsets.size();
    place->set_space(proto::Place::ARENA);
    place->set_offset(offset);
    place->set_bytes(64);
    offsets[path] = offset;
    return;
  }
  const google::protobuf::Reflection &reflection = *message.GetReflection();
  for (int i = 0; i != message.GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor *field =
        message.GetDescriptor()->field(i);
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE)
      continue;
    std::string inner = path + (path.empty() ? "" : ".") + field->name();
    fillPlaces(field->is_repeated() ? *reflection.AddMessage(&message, field)
                                    : *reflection.MutableMessage(&message, field),
               inner, offsets);
  }
}

/// The paths of what an instruction of one kind touches, by whether it writes.
/// `adjust` sets what is no place, once these are there.
template <typename Kind>
std::map<bool, std::set<std::string>>
accesses(Kind *(proto::Instruction::*kind)(), void (*adjust)(Kind &) = nullptr) {
  proto::Plan plan;
  plan.add_kernels();
  proto::Instruction instruction;
  Kind &operation = *(instruction.*kind)();
  std::map<std::string, uint64_t> offsets;
  fillPlaces(operation, "", offsets);
  if (adjust)
    adjust(operation);
  std::map<bool, std::set<std::string>> touched;
  std::set<std::string> all;
  plan::visitAccesses(plan, instruction,
                      [&](const proto::Place &place, bool isWritten) {
                        for (auto &[path, offset] : offsets)
                          if (offset == place.offset()) {
                            touched[isWritten].insert(path);
                            all.insert(path);
                          }
                      });
  for (auto &[path, offset] : offsets)
    EXPECT_TRUE(all.count(path)) << path << " is not touched";
  return touched;
}

using Paths = std::set<std::string>;

TEST(AccessesTest, Launch) {
  using proto::Launch;
  // Where it is not known what is written.
  auto touched = accesses<Launch>(&proto::Instruction::mutable_launch);
  EXPECT_EQ(touched[true], Paths{"operands"});
  proto::Plan plan;
  plan.add_kernels()->set_results(1);
  proto::Instruction instruction;
  for (uint64_t offset : {0, 64, 128}) {
    proto::Place &place = *instruction.mutable_launch()->add_operands();
    place.set_space(proto::Place::ARENA);
    place.set_offset(offset);
  }
  std::vector<std::pair<uint64_t, bool>> order;
  plan::visitAccesses(plan, instruction,
                      [&](const proto::Place &place, bool isWritten) {
                        order.push_back({place.offset(), isWritten});
                      });
  EXPECT_EQ(order, (std::vector<std::pair<uint64_t, bool>>{
                       {0, false}, {64, false}, {128, true}}));
}

TEST(AccessesTest, Gemm) {
  using proto::Gemm;
  auto touched = accesses<Gemm>(&proto::Instruction::mutable_gemm);
  EXPECT_EQ(touched[true], (Paths{"c", "workspace"}));
  touched = accesses<Gemm>(
      &proto::Instruction::mutable_gemm,
      [](Gemm &gemm) { gemm.set_activation(Gemm::GELU_TANH); });
  EXPECT_EQ(touched[true], (Paths{"aux", "c", "workspace"}));
}

TEST(AccessesTest, Attention) {
  auto touched =
      accesses<proto::Attention>(&proto::Instruction::mutable_attention);
  EXPECT_EQ(touched[true],
            (Paths{"log_sum_exp", "output.place", "workspace"}));
}

TEST(AccessesTest, AttentionGrad) {
  auto touched = accesses<proto::AttentionGrad>(
      &proto::Instruction::mutable_attention_grad);
  EXPECT_EQ(touched[true],
            (Paths{"forward.workspace", "key_grad.place", "query_grad.place",
                   "value_grad.place", "workspace"}));
}

TEST(AccessesTest, CopyAndFill) {
  auto touched = accesses<proto::Copy>(&proto::Instruction::mutable_copy);
  EXPECT_EQ(touched[true], Paths{"to"});
  EXPECT_EQ(touched[false], Paths{"from"});
  touched = accesses<proto::Fill>(&proto::Instruction::mutable_fill);
  EXPECT_EQ(touched[true], Paths{"to"});
}

TEST(AccessesTest, WhatIsNotThereIsNotTouched) {
  proto::Plan plan;
  proto::Instruction instruction;
  instruction.mutable_gemm()->mutable_c()->set_space(proto::Place::GLOBAL);
  int count = 0;
  plan::visitAccesses(plan, instruction,
                      [&](const proto::Place &, bool) { ++count; });
  EXPECT_EQ(count, 1);
}

} // namespace
