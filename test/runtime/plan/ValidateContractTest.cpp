//===- ValidateContractTest.cpp - Plans that break a contract -------------===//
//
// What a plan says of its sampling, its training and its flat globals.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/plan/Refusals.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit;
using namespace dit::test;

TEST(ValidateContractTest, SamplingContract) {
  auto s = [](proto::Plan &p) -> proto::Sampling & {
    return *p.mutable_sampling();
  };
  expectRefused(
      makeSamplePlan(),
      {{"must be at least 1", [&](auto &p) { s(p).set_batch(0); }},
       {"cfg channels are out of range",
        [&](auto &p) { s(p).set_default_cfg_channels(2); }},
       {"sampling.latent is not set", [&](auto &p) { s(p).clear_latent(); }},
       {"sampling.labels is not set", [&](auto &p) { s(p).clear_labels(); }},
       {"no global 'gone'", [&](auto &p) { s(p).set_seed("gone"); }},
       {"is i64[1], expected [2]", [&](auto &p) { s(p).set_labels("step"); }},
       {"is i64[100], expected [100, 8]",
        [&](auto &p) { s(p).set_coefficients("timesteps"); }},
       {"expected any type [100]",
        [&](auto &p) { s(p).set_timesteps("coefficients"); }},
       {"model_output: there is no global",
        [&](auto &p) { s(p).set_model_output("gone"); }},
       {"'sample_step' or", [&](auto &p) {
          p.mutable_functions(0)->set_step("x");
          p.mutable_functions(1)->set_step("y");
        }}});
}

TEST(ValidateContractTest, TrainingContract) {
  auto t = [](proto::Plan &p) -> proto::Training & {
    return *p.mutable_training();
  };
  expectAccepted(makeTrainPlan());
  expectRefused(makeTrainPlan(),
                {{"must be at least 1", [&](auto &p) { t(p).set_batch(0); }},
                 {"training.classes is out of range",
                  [&](auto &p) { t(p).set_classes(-1); }},
                 {"training.masters: there is no flat global 'gone'",
                  [&](auto &p) { t(p).set_masters("gone"); }},
                 {"training.pictures is not set",
                  [&](auto &p) { t(p).clear_pictures(); }},
                 {"training.vb is not set", [&](auto &p) { t(p).clear_vb(); }},
                 {"training.drop: there is no global 'gone'",
                  [&](auto &p) { t(p).set_drop("gone"); }},
                 {"training.ema: global 'mse' is f32[2], expected [128]",
                  [&](auto &p) { t(p).set_ema("mse"); }},
                 {"training.gradients: global 'w' is a weight",
                  [&](auto &p) { t(p).set_gradients("w"); }},
                 {"a default is negative or not finite",
                  [&](auto &p) { t(p).set_beta1(-1); }},
                 {"a default is negative or not finite",
                  [&](auto &p) { t(p).set_clip(std::nan("")); }},
                 {"without a function for step 'update'", [&](auto &p) {
                    for (proto::Function &function : *p.mutable_functions())
                      if (function.step() == "update")
                        function.set_step("other");
                  }}});
}

TEST(ValidateContractTest, MembersOfFlats) {
  auto member = [](proto::Plan &p) -> proto::Global & {
    for (proto::Global &global : *p.mutable_globals())
      if (global.name() == "b")
        return global;
    llvm_unreachable("the plan has a member b");
  };
  auto flat = [](proto::Plan &p) -> proto::Global & {
    for (proto::Global &global : *p.mutable_globals())
      if (global.name() == "masters")
        return global;
    llvm_unreachable("the plan has a flat");
  };
  expectRefused(
      makeTrainPlan(),
      {{"there is no flat global 'gone'",
        [&](auto &p) { member(p).set_flat("gone"); }},
       {"it cannot be a member of 'w'",
        [&](auto &p) { member(p).set_flat("w"); }},
       {"it cannot be a member of 'masters'",
        [&](auto &p) { flat(p).mutable_type()->set_type(proto::I32); }},
       {"it is not in 'masters' at a multiple of 64 elements",
        [&](auto &p) { member(p).set_offset(member(p).offset() - 64); }},
       {"it is not in 'masters' at a multiple of 64 elements",
        [&](auto &p) { member(p).set_offset(member(p).offset() + 256); }},
       {"globals 'w' and 'b' overlap",
        [&](auto &p) { member(p).set_offset(member(p).offset() - 256); }},
       {"overlap", [&](auto &p) { member(p).clear_flat(); }},
       {"its first values reach past the weights section",
        [&](auto &p) { member(p).set_initial(1 << 20); }},
       {"do not begin at a multiple of 64",
        [&](auto &p) { member(p).set_initial(4); }}});
}
