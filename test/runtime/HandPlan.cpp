//===- HandPlan.cpp - Small plans made by hand ----------------------------===//

#include "test/runtime/HandPlan.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Writer.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstring>

using namespace dit;
using namespace dit::test;

/// The bytes of a file that must be there.
static std::vector<uint8_t> fileBytes(llvm::StringRef path) {
  auto buffer = llvm::cantFail(
      llvm::errorOrToExpected(llvm::MemoryBuffer::getFile(path, false, false)));
  return {buffer->getBufferStart(), buffer->getBufferEnd()};
}

std::vector<uint8_t> dit::test::handKernels() {
  return fileBytes(DIT_HAND_KERNELS);
}

std::vector<uint8_t> HandPlan::encode() const {
  llvm::SmallString<128> path;
  llvm::cantFail(llvm::errorCodeToError(
      llvm::sys::fs::createTemporaryFile("hand-plan", "bin", path)));
  llvm::cantFail(plan::writePlan(path, metadata, code, weights));
  std::vector<uint8_t> bytes = fileBytes(path);
  llvm::sys::fs::remove(path);
  return bytes;
}

/// Adds a global after those before it and returns its index.
static unsigned addGlobal(proto::Plan &plan, llvm::StringRef name,
                          proto::Global::Role role, proto::ElementType type,
                          llvm::ArrayRef<int64_t> shape, uint64_t bytes) {
  proto::Global &global = *plan.add_globals();
  global.set_name(name.str());
  global.set_role(role);
  global.mutable_type()->set_type(type);
  global.mutable_type()->mutable_shape()->Add(shape.begin(), shape.end());
  global.set_bytes(bytes);
  global.set_offset(plan.globals_bytes());
  plan.set_globals_bytes(plan.globals_bytes() + (bytes + 63) / 64 * 64);
  return plan.globals_size() - 1;
}

static unsigned addWeight(HandPlan &hand, llvm::StringRef name,
                          llvm::ArrayRef<int64_t> shape,
                          llvm::ArrayRef<float> values) {
  proto::Global &global = *hand.metadata.add_globals();
  global.set_name(name.str());
  global.set_role(proto::Global::PARAMETER);
  global.mutable_type()->set_type(proto::F32);
  global.mutable_type()->mutable_shape()->Add(shape.begin(), shape.end());
  global.set_mapped(true);
  hand.weights.resize((hand.weights.size() + 63) / 64 * 64);
  global.set_offset(hand.weights.size());
  global.set_bytes(values.size() * sizeof(float));
  setIdentityPiece(*global.add_pieces(), name, shape);
  const uint8_t *bytes = reinterpret_cast<const uint8_t *>(values.data());
  hand.weights.insert(hand.weights.end(), bytes, bytes + global.bytes());
  return hand.metadata.globals_size() - 1;
}

static void setArena(proto::Place &place, uint64_t offset, uint64_t bytes) {
  place.set_space(proto::Place::ARENA);
  place.set_offset(offset);
  place.set_bytes(bytes);
}

static void setGlobal(const proto::Plan &plan, proto::Place &place,
                      unsigned global) {
  place.set_space(proto::Place::GLOBAL);
  place.set_global(global);
  place.set_bytes(plan.globals(global).bytes());
}

static proto::Launch &addLaunch(proto::Plan &plan, proto::Function &function,
                                llvm::StringRef symbol, int64_t blocks) {
  proto::Instruction &instruction = *function.add_instructions();
  instruction.set_location(symbol.str());
  proto::Launch &launch = *instruction.mutable_launch();
  launch.set_blocks(blocks);
  for (int i = 0; i != plan.kernels_size(); ++i)
    if (plan.kernels(i).symbol() == symbol) {
      launch.set_kernel(i);
      return launch;
    }
  launch.set_kernel(plan.kernels_size());
  plan.add_kernels()->set_symbol(symbol.str());
  // Large enough to be shared among threads.
  plan.mutable_kernels()->rbegin()->set_bytes_moved(1 << 20);
  return launch;
}

static void setProvenance(proto::Plan &plan, llvm::StringRef mode) {
  plan.set_ditc_version("0.1.0");
  plan.add_flags("--by-hand");
  plan.set_input_hash("0123456789abcdef0123456789abcdef");
  plan.set_mode(mode.str());
  plan.set_precision("fp32");
  plan.set_model("hand-made");
  plan.mutable_target()->set_kind("cpu");
  plan.mutable_target()->set_cpu("x86-64");
  plan.mutable_target()->add_features("+sse2");
  plan.mutable_target()->set_world_size(1);
}

void dit::test::setIdentityPiece(proto::Piece &piece, llvm::StringRef name,
                                 llvm::ArrayRef<int64_t> shape) {
  piece.set_name(name.str());
  piece.mutable_file()->set_type(proto::F32);
  piece.mutable_file()->mutable_shape()->Add(shape.begin(), shape.end());
  for (size_t i = 0; i != shape.size(); ++i) {
    piece.add_view(shape[i]);
    piece.add_target_view(shape[i]);
    piece.add_permutation(i);
    piece.add_target_offset(0);
  }
}

HandPlan dit::test::makeForwardPlan() {
  HandPlan hand;
  proto::Plan &plan = hand.metadata;
  setProvenance(plan, "forward");
  hand.code = handKernels();
  std::vector<float> w(8 * 16), b(8);
  for (int o = 0; o != 8; ++o) {
    b[o] = o;
    for (int i = 0; i != 16; ++i)
      w[16 * o + i] = (o + 1.0f) / (i + 1.0f);
  }
  unsigned x = addGlobal(plan, "x", proto::Global::INPUT, proto::F32, {2, 16},
                         2 * 16 * 4);
  unsigned label =
      addGlobal(plan, "label", proto::Global::INPUT, proto::I64, {2}, 16);
  unsigned y =
      addGlobal(plan, "y", proto::Global::OUTPUT, proto::F32, {2, 8}, 64);
  unsigned copied =
      addGlobal(plan, "label_copy", proto::Global::OUTPUT, proto::I64, {2}, 16);
  unsigned weight = addWeight(hand, "w", {8, 16}, w);
  unsigned bias = addWeight(hand, "b", {8}, b);
  for (unsigned global : {x, label, y, copied}) {
    bool input = plan.globals(global).role() == proto::Global::INPUT;
    proto::Interface &entry = input ? *plan.add_inputs() : *plan.add_outputs();
    entry.set_name(plan.globals(global).name());
    entry.set_global(plan.globals(global).name());
  }

  proto::Function &function = *plan.add_functions();
  function.set_name("forward");
  function.set_step("forward");
  function.set_arena_bytes(128);
  plan.set_arena_bytes(128);
  proto::Fill &fill = *function.add_instructions()->mutable_fill();
  setArena(*fill.mutable_to(), 0, 128);
  fill.set_byte(0xff);
  proto::Launch &launch = addLaunch(plan, function, "twice_plus_one", 8);
  setGlobal(plan, *launch.add_operands(), x);
  setArena(*launch.add_operands(), 0, 128);
  proto::Gemm &gemm = *function.add_instructions()->mutable_gemm();
  gemm.set_m(2);
  gemm.set_n(8);
  gemm.set_k(16);
  gemm.set_batch(1);
  gemm.set_a_type(proto::F32);
  gemm.set_b_type(proto::F32);
  gemm.set_c_type(proto::F32);
  gemm.set_transpose_b(true);
  gemm.set_lda(16);
  gemm.set_ldb(16);
  gemm.set_ldc(8);
  gemm.set_bias_type(proto::F32);
  setArena(*gemm.mutable_a(), 0, 128);
  setGlobal(plan, *gemm.mutable_b(), weight);
  setGlobal(plan, *gemm.mutable_c(), y);
  setGlobal(plan, *gemm.mutable_bias(), bias);
  proto::Copy &copy = *function.add_instructions()->mutable_copy();
  setGlobal(plan, *copy.mutable_from(), label);
  setGlobal(plan, *copy.mutable_to(), copied);
  function.set_flops(2 * 2 * 8 * 16);
  return hand;
}

HandPlan dit::test::makeSamplePlan() {
  HandPlan hand;
  proto::Plan &plan = hand.metadata;
  setProvenance(plan, "sample");
  hand.code = handKernels();
  using Global = proto::Global;
  constexpr int64_t batch = 2, steps = 100;
  constexpr uint64_t picture = batch * 64 * 4;
  unsigned latent = addGlobal(plan, "latent", Global::STATE, proto::F32,
                              {batch, 1, 8, 8}, picture);
  unsigned labels =
      addGlobal(plan, "labels", Global::INPUT, proto::I64, {batch}, batch * 8);
  unsigned pictures = addGlobal(plan, "pictures", Global::INPUT, proto::I64,
                                {batch}, batch * 8);
  unsigned seed = addGlobal(plan, "seed", Global::INPUT, proto::I64, {1}, 8);
  unsigned step = addGlobal(plan, "step", Global::STATE, proto::I64, {1}, 8);
  unsigned coefficients = addGlobal(plan, "coefficients", Global::TABLE,
                                    proto::F32, {steps, 8}, steps * 32);
  unsigned guidance =
      addGlobal(plan, "guidance", Global::INPUT, proto::F32, {1}, 4);
  unsigned noise = addGlobal(plan, "noise", Global::INPUT, proto::F32,
                             {batch, 1, 8, 8}, picture);
  unsigned useNoise =
      addGlobal(plan, "use_noise", Global::INPUT, proto::I64, {1}, 8);
  unsigned timesteps = addGlobal(plan, "timesteps", Global::TABLE, proto::I64,
                                 {steps}, steps * 8);

  proto::Sampling &sampling = *plan.mutable_sampling();
  sampling.set_batch(batch);
  sampling.set_channels(1);
  sampling.set_height(8);
  sampling.set_width(8);
  sampling.set_classes(4);
  sampling.set_learned_sigma(true);
  sampling.set_prediction("eps");
  sampling.set_schedule("ddpm-linear");
  sampling.set_max_steps(steps);
  sampling.set_default_cfg_channels(1);
  sampling.set_latent("latent");
  sampling.set_labels("labels");
  sampling.set_pictures("pictures");
  sampling.set_seed("seed");
  sampling.set_step("step");
  sampling.set_timesteps("timesteps");
  sampling.set_coefficients("coefficients");
  sampling.set_guidance("guidance");
  sampling.set_noise("noise");
  sampling.set_use_noise("use_noise");

  for (bool single : {false, true}) {
    proto::Function &function = *plan.add_functions();
    function.set_name(single ? "sample_step_single" : "sample_step");
    function.set_step(function.name());
    function.set_flops(batch * 64 * 10);
    proto::Launch &launch = addLaunch(plan, function, "denoise", batch);
    for (unsigned global : {latent, labels, pictures, seed, step, coefficients,
                            guidance, noise, useNoise, timesteps})
      setGlobal(plan, *launch.add_operands(), global);
    proto::Launch &count = addLaunch(plan, function, "advance", 1);
    setGlobal(plan, *count.add_operands(), step);
  }
  return hand;
}

void dit::test::addTrainedWeights(HandPlan &hand) {
  addWeight(hand, "layer.weight", {16, 4}, std::vector<float>(64));
  addWeight(hand, "layer.bias", {64}, std::vector<float>(64));
  addWeight(hand, "table", {3}, {1, 2, 3});
}

/// A parameter, or its gradient or average, within a flat of 128 numbers.
static void addMember(proto::Plan &plan, unsigned flat, llvm::StringRef name,
                      proto::Global::Role role, llvm::ArrayRef<int64_t> shape,
                      int64_t at, const proto::Piece &piece) {
  uint64_t end = plan.globals_bytes();
  proto::Global &global = *plan.mutable_globals(
      addGlobal(plan, name, role, proto::F32, shape, 256));
  plan.set_globals_bytes(end);
  global.set_offset(plan.globals(flat).offset() + at * 4);
  global.set_flat(plan.globals(flat).name());
  *global.add_pieces() = piece;
}

HandPlan dit::test::makeTrainPlan() {
  HandPlan hand;
  proto::Plan &plan = hand.metadata;
  setProvenance(plan, "train");
  hand.code = handKernels();
  using Global = proto::Global;
  constexpr int64_t batch = 2;
  auto add = [&](const char *name, Global::Role role, proto::ElementType type,
                 llvm::ArrayRef<int64_t> shape) {
    int64_t bytes = type == proto::I64 ? 8 : 4;
    for (int64_t size : shape)
      bytes *= size;
    return addGlobal(plan, name, role, type, shape, bytes);
  };
  proto::Training &training = *plan.mutable_training();
  training.set_batch(batch);
  training.set_channels(1);
  training.set_height(8);
  training.set_width(8);
  training.set_classes(4);
  training.set_learned_sigma(true);
  training.set_prediction("eps");
  training.set_schedule("ddpm-linear");
  training.set_timesteps(1000);
  training.set_optimizer("adamw");
  training.set_learning_rate(1e-4);
  training.set_beta1(0.9);
  training.set_beta2(0.999);
  training.set_epsilon(1e-8);
  training.set_ema_decay(0.9999);
  training.set_label_dropout(0.1);
  // Every field of a name has the global of that name.
  auto named = [&](const char *name, unsigned global) {
    const google::protobuf::FieldDescriptor *field =
        training.GetDescriptor()->FindFieldByName(name);
    training.GetReflection()->SetString(&training, field, name);
    return global;
  };
  auto input = [&](const char *name, proto::ElementType type,
                   llvm::ArrayRef<int64_t> shape) {
    return named(name, add(name, Global::INPUT, type, shape));
  };
  auto state = [&](const char *name, proto::ElementType type, int64_t size) {
    return named(name, add(name, Global::STATE, type, {size}));
  };
  unsigned masters = state("masters", proto::F32, 128);
  unsigned gradients = state("gradients", proto::F32, 128);
  unsigned moment1 = state("moment1", proto::F32, 128);
  unsigned moment2 = state("moment2", proto::F32, 128);
  unsigned ema = state("ema", proto::F32, 128);
  unsigned pictures = input("pictures", proto::F32, {batch, 1, 8, 8});
  unsigned labels = input("labels", proto::I64, {batch});
  unsigned samples = input("samples", proto::I64, {batch});
  unsigned seed = input("seed", proto::I64, {1});
  unsigned step = input("step", proto::I64, {1});
  unsigned noise = input("noise", proto::F32, {batch, 1, 8, 8});
  unsigned givenT = input("given_t", proto::I64, {batch});
  unsigned useGiven = input("use_given", proto::I64, {1});
  unsigned drop = input("drop", proto::F32, {1});
  unsigned hyper = input("hyper", proto::F32, {8});
  unsigned numbers = add("numbers", Global::STATE, proto::F32, {9});
  unsigned diffusion = named(
      "diffusion", add("diffusion", Global::TABLE, proto::F32, {1000, 5}));
  unsigned mse = named("mse", add("mse", Global::OUTPUT, proto::F32, {batch}));
  unsigned vb = named("vb", add("vb", Global::OUTPUT, proto::F32, {batch}));
  unsigned t = named("t", add("t", Global::OUTPUT, proto::I64, {batch}));
  unsigned norm = named("gradient_norm",
                        add("gradient_norm", Global::OUTPUT, proto::F32, {1}));
  unsigned lossScale = state("loss_scale", proto::F32, 1);
  state("good_steps", proto::I64, 1);
  unsigned applied = state("applied", proto::I64, 1);
  unsigned skipped = state("skipped", proto::I64, 1);

  proto::Piece w, b;
  setIdentityPiece(w, "layer.weight", {4, 16});
  w.mutable_permutation()->SwapElements(0, 1);
  w.mutable_target_view()->SwapElements(0, 1);
  setIdentityPiece(b, "layer.bias", {64});
  b.mutable_init()->set_kind(proto::Init::ZEROS);
  w.mutable_init()->set_kind(proto::Init::ZEROS);
  addMember(plan, masters, "w", Global::PARAMETER, {16, 4}, 0, w);
  addMember(plan, masters, "b", Global::PARAMETER, {64}, 64, b);
  addWeight(hand, "table", {3}, {1, 2, 3});

  auto function = [&](const char *name, const char *symbol,
                      llvm::ArrayRef<unsigned> operands) {
    proto::Function &result = *plan.add_functions();
    result.set_name(name);
    result.set_step(name);
    proto::Launch &launch = addLaunch(plan, result, symbol, 1);
    for (unsigned global : operands)
      setGlobal(plan, *launch.add_operands(), global);
  };
  const unsigned micro[] = {masters, gradients, pictures, labels, samples,
                            seed,    step,      noise,    givenT, useGiven,
                            drop,    diffusion, mse,      vb,     t};
  function("train_init", "train_start",
           {masters, ema, moment1, moment2, applied, lossScale});
  function("accumulate_first", "train_first", micro);
  function("accumulate", "train_more", micro);
  function("prepare_update", "train_prepare",
           {gradients, hyper, numbers, applied, skipped, norm});
  function("update", "train_update",
           {masters, gradients, ema, moment1, moment2, numbers});
  function("evaluate", "train_evaluate", micro);
  return hand;
}

proto::Global dit::test::makeDrawnGlobal(llvm::ArrayRef<int64_t> shape,
                                         proto::Init init) {
  proto::Global global;
  global.set_name("w");
  global.set_role(proto::Global::PARAMETER);
  global.mutable_type()->set_type(proto::F32);
  global.mutable_type()->mutable_shape()->Add(shape.begin(), shape.end());
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  global.set_bytes(count * 4);
  proto::Piece &piece = *global.add_pieces();
  setIdentityPiece(piece, "w", shape);
  *piece.mutable_init() = std::move(init);
  return global;
}

void dit::test::resizeInput(HandPlan &hand, int64_t xElements,
                            int64_t yElements) {
  proto::Plan &plan = hand.metadata;
  for (auto [index, elements] :
       {std::pair<int, int64_t>{0, xElements}, {2, yElements}}) {
    proto::Global &global = *plan.mutable_globals(index);
    global.mutable_type()->clear_shape();
    global.mutable_type()->add_shape(elements);
    global.set_bytes(4 * elements);
    global.set_offset(plan.globals_bytes());
    plan.set_globals_bytes(plan.globals_bytes() +
                           (4 * elements + 63) / 64 * 64);
  }
  plan.mutable_functions(0)->mutable_instructions(1)->mutable_fill()->CopyFrom(
      plan.functions(0).instructions(0).fill());
}

void dit::test::setInput(proto::Place &place, int64_t begin, int64_t count) {
  place.set_space(proto::Place::GLOBAL);
  place.set_global(0);
  place.set_offset(4 * begin);
  place.set_bytes(4 * count);
}
