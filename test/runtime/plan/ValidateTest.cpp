//===- ValidateTest.cpp - Plans that lie about themselves -----------------===//
//
// Each case changes one thing in a good plan and names words of the error.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Shape.h"
#include "test/runtime/plan/Refusals.h"

#include <gtest/gtest.h>

using namespace dit;
using namespace dit::plan;
using namespace dit::test;

namespace {

proto::Instruction &at(proto::Plan &plan, int instruction) {
  return *plan.mutable_functions(0)->mutable_instructions(instruction);
}
proto::Gemm &gemmOf(proto::Plan &plan) { return *at(plan, 2).mutable_gemm(); }

/// The forward plan with an attention over the arena appended.
HandPlan makeAttentionPlan() {
  HandPlan hand = makeForwardPlan();
  hand.metadata.set_arena_bytes(4096);
  proto::Function &function = *hand.metadata.mutable_functions(0);
  function.set_arena_bytes(4096);
  proto::Attention &attention =
      *function.add_instructions()->mutable_attention();
  // 2 batches, 4 heads of 2 sharing 2 key heads, 3 queries, 5 keys.
  attention.set_batch(2);
  attention.set_heads(4);
  attention.set_key_head_group(2);
  attention.set_query_tokens(3);
  attention.set_key_tokens(5);
  attention.set_head_dim(2);
  attention.set_value_dim(2);
  attention.set_type(proto::F32);
  auto set = [](proto::Attention::Operand &operand, uint64_t offset,
                int64_t tokens, int64_t heads) {
    operand.mutable_place()->set_space(proto::Place::ARENA);
    operand.mutable_place()->set_offset(offset);
    operand.mutable_place()->set_bytes(2 * tokens * heads * 2 * 4);
    operand.set_batch_stride(tokens * heads * 2);
    operand.set_token_stride(heads * 2);
    operand.set_head_stride(2);
  };
  set(*attention.mutable_q(), 0, 3, 4);
  set(*attention.mutable_k(), 256, 5, 2);
  set(*attention.mutable_v(), 512, 5, 2);
  set(*attention.mutable_output(), 768, 3, 4);
  attention.mutable_mask()->set_space(proto::Place::ARENA);
  attention.mutable_mask()->set_offset(1024);
  attention.mutable_mask()->set_bytes(3 * 5 * 4);
  attention.set_mask_query_stride(5);
  attention.set_mask_key_stride(1);
  attention.mutable_log_sum_exp()->set_space(proto::Place::ARENA);
  attention.mutable_log_sum_exp()->set_offset(2048);
  attention.mutable_log_sum_exp()->set_bytes(2 * 4 * 3 * 4);
  attention.mutable_workspace()->set_space(proto::Place::ARENA);
  attention.mutable_workspace()->set_bytes(64);
  return hand;
}

proto::Attention &attentionOf(proto::Plan &plan) {
  return *at(plan, 4).mutable_attention();
}

/// The plan above with the attention's gradient instead of the attention.
HandPlan makeAttentionGradPlan() {
  HandPlan hand = makeAttentionPlan();
  proto::Attention forward = attentionOf(hand.metadata);
  forward.clear_workspace();
  proto::AttentionGrad &gradient =
      *at(hand.metadata, 4).mutable_attention_grad();
  *gradient.mutable_forward() = forward;
  *gradient.mutable_output_grad() = forward.output();
  *gradient.mutable_query_grad() = forward.q();
  *gradient.mutable_key_grad() = forward.k();
  *gradient.mutable_value_grad() = forward.v();
  gradient.mutable_workspace()->set_space(proto::Place::ARENA);
  gradient.mutable_workspace()->set_bytes(64);
  return hand;
}

proto::AttentionGrad &gradientOf(proto::Plan &plan) {
  return *at(plan, 4).mutable_attention_grad();
}

/// With our kernel: one head of 48, 64 tokens.
HandPlan makeOurGradientPlan() {
  HandPlan hand = makeAttentionGradPlan();
  hand.metadata.set_arena_bytes(1 << 16);
  hand.metadata.mutable_functions(0)->set_arena_bytes(1 << 16);
  proto::AttentionGrad &gradient = gradientOf(hand.metadata);
  proto::Attention &forward = *gradient.mutable_forward();
  forward.set_batch(1);
  forward.set_heads(1);
  forward.set_key_head_group(1);
  forward.set_query_tokens(64);
  forward.set_key_tokens(64);
  forward.set_head_dim(48);
  forward.set_value_dim(48);
  forward.set_type(proto::BF16);
  forward.clear_mask();
  uint64_t offset = 0;
  for (proto::Attention::Operand *operand :
       {forward.mutable_q(), forward.mutable_k(), forward.mutable_v(),
        forward.mutable_output(), gradient.mutable_output_grad(),
        gradient.mutable_query_grad(), gradient.mutable_key_grad(),
        gradient.mutable_value_grad()}) {
    operand->mutable_place()->set_offset(offset);
    operand->mutable_place()->set_bytes(64 * 48 * 2);
    operand->set_batch_stride(64 * 48);
    operand->set_token_stride(48);
    operand->set_head_stride(48);
    offset += 64 * 48 * 2;
  }
  forward.mutable_log_sum_exp()->set_offset(offset);
  forward.mutable_log_sum_exp()->set_bytes(64 * 4);
  gradient.clear_workspace();
  proto::FlashAttentionGrad &flash = *gradient.mutable_flash();
  flash.set_part("part");
  flash.set_symbol("symbol");
  flash.set_threads(128);
  flash.set_shared_bytes(1 << 16);
  return hand;
}

} // namespace

TEST(ValidateTest, GoodPlansAreAccepted) {
  expectAccepted(makeForwardPlan());
  expectAccepted(makeSamplePlan());
  expectAccepted(makeAttentionPlan());
  expectAccepted(makeAttentionGradPlan());
  expectAccepted(makeOurGradientPlan());
}

TEST(ValidateTest, Globals) {
  expectRefused(
      makeForwardPlan(),
      {{"mode ''", [](auto &p) { p.set_mode(""); }},
       {"larger than any machine",
        [](auto &p) { p.set_arena_bytes(uint64_t(1) << 60); }},
       {"role is unknown", [](auto &p) { p.mutable_globals(0)->clear_role(); }},
       {"is empty or taken",
        [](auto &p) { p.mutable_globals(0)->clear_name(); }},
       {"global 'label'",
        [](auto &p) { p.mutable_globals(0)->set_name("label"); }},
       {"type or shape is invalid",
        [](auto &p) { p.mutable_globals(0)->mutable_type()->clear_type(); }},
       {"type or shape is invalid",
        [](auto &p) {
          p.mutable_globals(0)->mutable_type()->set_type(
              static_cast<proto::ElementType>(99));
        }},
       {"type or shape is invalid",
        [](auto &p) {
          p.mutable_globals(0)->mutable_type()->set_shape(0, -1);
        }},
       {"type or shape is invalid",
        [](auto &p) {
          p.mutable_globals(0)->mutable_type()->set_shape(0, int64_t(1) << 40);
        }},
       {"which needs 128",
        [](auto &p) { p.mutable_globals(0)->set_bytes(127); }},
       {"multiple of 64", [](auto &p) { p.mutable_globals(0)->set_offset(4); }},
       {"past globals_bytes",
        [](auto &p) { p.mutable_globals(0)->set_offset(64 << 20); }},
       {"past globals_bytes",
        [](auto &p) { p.mutable_globals(0)->set_offset(~uint64_t(63)); }},
       {"'label' and 'y' overlap",
        [](auto &p) { p.mutable_globals(2)->set_offset(128); }},
       {"past the weights section",
        [](auto &p) { p.mutable_globals(4)->set_offset(4096); }},
       {"can be mapped",
        [](auto &p) { p.mutable_globals(4)->set_role(proto::Global::STATE); }},
       {"packed layout",
        [](auto &p) { p.mutable_globals(4)->mutable_packed(); }},
       {"not a matrix",
        [](auto &p) {
          p.mutable_globals(5)->mutable_packed()->set_columns(32);
          p.mutable_globals(5)->mutable_packed()->set_vnni(1);
        }},
       {"not of floats",
        [](auto &p) {
          p.mutable_globals(4)->mutable_type()->set_type(proto::I32);
          p.mutable_globals(4)->mutable_packed()->set_columns(32);
          p.mutable_globals(4)->mutable_packed()->set_vnni(1);
        }},
       {"which needs 2048", [](auto &p) { // 16 rows of 32 columns
          p.mutable_globals(4)->mutable_packed()->set_columns(32);
          p.mutable_globals(4)->mutable_packed()->set_vnni(1);
        }}});
}

TEST(ValidateTest, Pieces) {
  auto piece = [](proto::Plan &p) -> proto::Piece & {
    return *p.mutable_globals(4)->mutable_pieces(0);
  };
  expectRefused(
      makeForwardPlan(),
      {{"piece 'w': its type",
        [&](auto &p) { piece(p).mutable_file()->clear_type(); }},
       {"its view [8, 15]", [&](auto &p) { piece(p).set_view(1, 15); }},
       {"its target view [7, 16]",
        [&](auto &p) { piece(p).set_target_view(0, 7); }},
       {"differ in rank", [&](auto &p) { piece(p).add_permutation(0); }},
       {"permutation is none",
        [&](auto &p) { piece(p).set_permutation(0, 1); }},
       {"permutation is none",
        [&](auto &p) { piece(p).set_permutation(0, 9); }},
       {"past its target in dimension 1",
        [&](auto &p) { piece(p).set_target_offset(1, 1); }},
       {"past its target in dimension 0",
        [&](auto &p) { piece(p).set_target_offset(0, -1); }},
       {"fans are out of range",
        [&](auto &p) {
          piece(p).mutable_init()->set_kind(proto::Init::XAVIER_UNIFORM);
        }},
       {"unknown kind of init", [&](auto &p) {
          piece(p).mutable_init()->set_kind(static_cast<proto::Init::Kind>(77));
        }}});
}

TEST(ValidateTest, InterfaceAndFunctions) {
  expectRefused(
      makeForwardPlan(),
      {{"input 'x': there is no global 'gone'",
        [](auto &p) { p.mutable_inputs(0)->set_global("gone"); }},
       {"output 'y': global 'w' is a weight",
        [](auto &p) { p.mutable_outputs(0)->set_global("w"); }},
       {"has no symbol", [](auto &p) { p.mutable_kernels(0)->clear_symbol(); }},
       {"reaches past the code section",
        [](auto &p) {
          p.add_images()->set_offset(2);
          p.mutable_images(0)->set_bytes(UINT64_MAX - 1);
        }},
       {"unknown kind of code",
        [](auto &p) {
          p.add_images()->set_kind(static_cast<proto::Image::Kind>(3));
        }},
       {"larger arena",
        [](auto &p) { p.mutable_functions(0)->set_arena_bytes(4096); }},
       {"not the largest function's", [](auto &p) { p.set_arena_bytes(4096); }},
       {"name of function ''",
        [](auto &p) { p.mutable_functions(0)->clear_name(); }},
       {"two functions are step 'forward'",
        [](auto &p) {
          proto::Function copy = p.functions(0);
          copy.set_name("again");
          *p.add_functions() = copy;
        }},
       {"without a function for step 'forward'",
        [](auto &p) { p.mutable_functions(0)->set_step("other"); }}});
  HandPlan noCode = makeForwardPlan();
  EXPECT_NE(describe(validate(noCode.metadata, 0, noCode.weights.size()))
                .second.find("code section is empty"),
            std::string::npos);
}

TEST(ValidateTest, Instructions) {
  expectRefused(
      makeForwardPlan(),
      {{"instruction 0 (): to reaches past the arena",
        [](auto &p) { at(p, 0).mutable_fill()->mutable_to()->set_bytes(129); }},
       {"past the arena",
        [](auto &p) {
          at(p, 0).mutable_fill()->mutable_to()->set_offset(~uint64_t(0));
        }},
       {"no byte", [](auto &p) { at(p, 0).mutable_fill()->set_byte(256); }},
       {"to has no place",
        [](auto &p) { at(p, 0).mutable_fill()->clear_to(); }},
       {"kernel 9 of 1",
        [](auto &p) { at(p, 1).mutable_launch()->set_kernel(9); }},
       {"number of blocks",
        [](auto &p) { at(p, 1).mutable_launch()->set_blocks(-1); }},
       {"the kernel writes 9 of 2 operands",
        [](auto &p) {
          p.mutable_kernels(at(p, 1).launch().kernel())->set_results(9);
        }},
       {"an operand names global 99",
        [](auto &p) {
          at(p, 1).mutable_launch()->mutable_operands(0)->set_global(99);
        }},
       {"an operand reaches past global 'x'",
        [](auto &p) {
          at(p, 1).mutable_launch()->mutable_operands(0)->set_offset(64);
        }},
       {"from has fewer bytes",
        [](auto &p) { at(p, 3).mutable_copy()->mutable_from()->set_bytes(8); }},
       {"from has no place",
        [](auto &p) { at(p, 3).mutable_copy()->clear_from(); }},
       {"writes global 'w', which is mapped",
        [](auto &p) { at(p, 3).mutable_copy()->mutable_to()->set_global(4); }},
       {"no kind this ditrun knows", [](auto &p) { at(p, 3).clear_copy(); }}});
}

TEST(ValidateTest, Gemms) {
  auto packB = [](proto::Plan &p, int64_t columns, int64_t vnni) {
    gemmOf(p).mutable_packed()->set_columns(columns);
    gemmOf(p).mutable_packed()->set_vnni(vnni);
  };
  expectRefused(
      makeForwardPlan(),
      {{"m, n, k and batch", [](auto &p) { gemmOf(p).set_m(0); }},
       {"m, n, k and batch",
        [](auto &p) { gemmOf(p).set_k(int64_t(1) << 50); }},
       {"A reaches past its place", [](auto &p) { gemmOf(p).set_lda(17); }},
       {"A reaches past its place",
        [](auto &p) { gemmOf(p).set_transpose_a(true); }},
       {"A has no element type", [](auto &p) { gemmOf(p).clear_a_type(); }},
       {"A has an extent or a stride", [](auto &p) { gemmOf(p).set_lda(-1); }},
       {"A reaches past its place",
        [](auto &p) { gemmOf(p).set_batch(2), gemmOf(p).set_stride_a(1); }},
       {"B reaches past its place", [](auto &p) { gemmOf(p).set_ldb(17); }},
       {"B reaches past its place",
        [](auto &p) {
          gemmOf(p).set_transpose_b(false), gemmOf(p).set_ldb(8);
          gemmOf(p).mutable_b()->set_bytes(500);
        }},
       {"packed layout of B", [&](auto &p) { packB(p, 0, 1); }},
       {"B is too large",
        [&](auto &p) {
          packB(p, 4096, 1), gemmOf(p).set_k(int64_t(1) << 40);
          gemmOf(p).set_lda(0), gemmOf(p).set_m(1);
          gemmOf(p).mutable_a()->set_bytes(128);
          gemmOf(p).set_transpose_a(true);
        }},
       {"B reaches past its place", [&](auto &p) { packB(p, 32, 1); }},
       {"C reaches past its place", [](auto &p) { gemmOf(p).set_ldc(9); }},
       {"C writes global",
        [](auto &p) { gemmOf(p).mutable_c()->set_global(4); }},
       {"unknown activation",
        [](auto &p) {
          gemmOf(p).set_activation(static_cast<proto::Gemm::Activation>(9));
        }},
       {"bias reaches past",
        [](auto &p) { gemmOf(p).set_bias_type(proto::F64); }},
       {"rows_per_gate",
        [](auto &p) { *gemmOf(p).mutable_gate() = gemmOf(p).bias(); }}});
  HandPlan gated = makeForwardPlan();
  proto::Gemm &gemm = gemmOf(gated.metadata);
  *gemm.mutable_gate() = gemm.bias();
  gemm.set_gate_type(proto::F32);
  gemm.set_rows_per_gate(2);
  gemm.set_gate_stride(8);
  *gemm.mutable_residual() = gemm.c();
  gemm.set_residual_stride(8);
  gemm.mutable_workspace()->set_space(proto::Place::ARENA);
  gemm.mutable_workspace()->set_bytes(128);
  expectAccepted(gated);
  expectRefused(gated, {{"gate reaches past",
                         [](auto &p) { gemmOf(p).set_rows_per_gate(1); }},
                        {"residual reaches past",
                         [](auto &p) { gemmOf(p).set_residual_stride(9); }},
                        {"workspace reaches past", [](auto &p) {
                           gemmOf(p).mutable_workspace()->set_bytes(129);
                         }}});
  HandPlan saving = makeForwardPlan();
  *gemmOf(saving.metadata).mutable_aux() = gemmOf(saving.metadata).c();
  gemmOf(saving.metadata).set_aux_stride(8);
  gemmOf(saving.metadata).set_activation(proto::Gemm::GELU_TANH);
  expectAccepted(saving);
  auto makeGradient = [](proto::Plan &p) {
    gemmOf(p).set_activation(proto::Gemm::GELU_TANH_GRAD);
  };
  // The weight is mapped: aux may be read there, not written.
  auto readMapped = [](proto::Plan &p) {
    *gemmOf(p).mutable_aux() = gemmOf(p).b();
  };
  expectRefused(
      saving,
      {{"aux reaches past", [](auto &p) { gemmOf(p).set_aux_stride(9); }},
       {"aux writes global", readMapped},
       {"aux without GELU",
        [](auto &p) { gemmOf(p).set_activation(proto::Gemm::SILU); }},
       {"GELU's gradient without aux",
        [&](auto &p) { makeGradient(p), gemmOf(p).clear_aux(); }}});
  makeGradient(saving.metadata), readMapped(saving.metadata);
  expectAccepted(saving);
  HandPlan packed = makeForwardPlan();
  packed.weights.resize(4096);
  proto::Global &weight = *packed.metadata.mutable_globals(4);
  packed.metadata.mutable_globals(5)->set_offset(2048);
  weight.set_bytes(2048);
  weight.mutable_packed()->set_columns(32);
  weight.mutable_packed()->set_vnni(1);
  packB(packed.metadata, 32, 1);
  gemmOf(packed.metadata).mutable_b()->set_bytes(2048);
  expectAccepted(packed);
}

TEST(ValidateTest, Attentions) {
  expectRefused(
      makeAttentionPlan(),
      {{"tokens and dims", [](auto &p) { attentionOf(p).set_batch(0); }},
       {"multiple of key_head_group",
        [](auto &p) { attentionOf(p).set_key_head_group(3); }},
       {"q reaches past its place",
        [](auto &p) { attentionOf(p).mutable_q()->set_token_stride(9); }},
       {"k reaches past its place",
        [](auto &p) { attentionOf(p).set_key_head_group(1); }},
       {"v reaches past its place",
        [](auto &p) { attentionOf(p).set_value_dim(3); }},
       {"output reaches past the arena",
        [](auto &p) {
          attentionOf(p).mutable_output()->mutable_place()->set_offset(4096);
        }},
       {"mask reaches past its place",
        [](auto &p) { attentionOf(p).set_mask_head_stride(1); }},
       {"log_sum_exp reaches past",
        [](auto &p) { attentionOf(p).mutable_log_sum_exp()->set_bytes(95); }},
       {"log_sum_exp is too large",
        [](auto &p) {
          attentionOf(p).set_query_tokens(int64_t(1) << 41);
          attentionOf(p).mutable_q()->set_token_stride(0);
          attentionOf(p).mutable_output()->set_token_stride(0);
          attentionOf(p).mutable_mask()->set_space(proto::Place::NONE);
        }},
       {"workspace reaches past",
        [](auto &p) { attentionOf(p).mutable_workspace()->set_bytes(4097); }}});
}

TEST(ValidateTest, AttentionGradients) {
  auto forward = [](auto &p) -> proto::Attention & {
    return *gradientOf(p).mutable_forward();
  };
  expectRefused(
      makeAttentionGradPlan(),
      {{"tokens and dims", [=](auto &p) { forward(p).set_batch(0); }},
       {"q reaches past its place",
        [=](auto &p) { forward(p).mutable_q()->set_token_stride(9); }},
       {"log_sum_exp has no place",
        [=](auto &p) { forward(p).clear_log_sum_exp(); }},
       {"output_grad reaches past its place",
        [](auto &p) {
          gradientOf(p).mutable_output_grad()->set_token_stride(9);
        }},
       {"query_grad reaches past the arena",
        [](auto &p) {
          gradientOf(p).mutable_query_grad()->mutable_place()->set_offset(4096);
        }},
       {"key_grad reaches past its place",
        [](auto &p) { gradientOf(p).mutable_key_grad()->set_head_stride(9); }},
       {"value_grad has no place",
        [](auto &p) { gradientOf(p).mutable_value_grad()->clear_place(); }},
       {"workspace reaches past",
        [](auto &p) { gradientOf(p).mutable_workspace()->set_bytes(4097); }}});
}

TEST(ValidateTest, OurAttentionGradients) {
  auto forward = [](auto &p) -> proto::Attention & {
    return *gradientOf(p).mutable_forward();
  };
  auto flash = [](auto &p) -> proto::FlashAttentionGrad & {
    return *gradientOf(p).mutable_flash();
  };
  expectRefused(
      makeOurGradientPlan(),
      {{"is for bf16 heads of 48, 64 or 72",
        [=](auto &p) { forward(p).set_type(proto::F16); }},
       {"and 64, 128 or 256 tokens",
        [=](auto &p) { forward(p).set_key_tokens(32); }},
       {"begin at multiples of 16 bytes",
        [](auto &p) { gradientOf(p).mutable_key_grad()->set_batch_stride(4); }},
       {"begin at multiples of 16 bytes",
        [=](auto &p) {
          forward(p).mutable_q()->mutable_place()->set_offset(8);
        }},
       {"cannot be launched so", [=](auto &p) { flash(p).set_threads(256); }},
       {"cannot be launched so",
        [=](auto &p) { flash(p).set_shared_bytes(1 << 20); }},
       {"cannot be launched so", [=](auto &p) { flash(p).clear_symbol(); }}});
}

TEST(ShapeTest, CountsDoNotOverflow) {
  EXPECT_EQ(elementCount({}), 1);
  EXPECT_EQ(elementCount({3, 0, 5}), 0);
  EXPECT_EQ(elementCount({-1}), std::nullopt);
  EXPECT_EQ(elementCount({int64_t(1) << 40, int64_t(1) << 40}), std::nullopt);
  EXPECT_EQ(elementCount({INT64_MAX, 0}), std::nullopt);
}
