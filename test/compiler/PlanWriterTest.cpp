//===- PlanWriterTest.cpp - What is written can be read -------------------===//
//
// Plan IR as text, written by the compiler's writer, read by the runtime's
// reader. The bytes of weights are compared with the formulas of
// runtime/plan/Packing.h and with rounding done by hand.
//
//===----------------------------------------------------------------------===//
#include "compiler/PlanWriter.h"
#include "compiler/Compiler.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace dit;

namespace {
class PlanWriter : public testing::Test {
protected:
  PlanWriter() {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    provenance.version = "0.1.0";
    provenance.flags = {"--batch", "2"};
    provenance.inputHash = "abc";
    provenance.cpu = "x86-64-v4";
    provenance.features = {"avx512f"};
    llvm::sys::fs::createUniqueDirectory("plan-writer", folder);
  }
  ~PlanWriter() override { llvm::sys::fs::remove_directories(folder); }

  void parse(llvm::StringRef text) {
    module = parseSourceString<ModuleOp>(text, &context);
    ASSERT_TRUE(module);
  }

  std::string path(llvm::StringRef name) { return (folder + "/" + name).str(); }

  /// Writes and reads; the file stays mapped in `file`.
  const plan::PlanView &roundTrip() {
    llvm::Error error =
        writePlanFile(path("plan.bin"), *module,
                      llvm::cantFail(encodePlan(*module, provenance)), code);
    EXPECT_EQ(llvm::toString(std::move(error)), "");
    llvm::Expected<plan::PlanFile> read =
        plan::PlanFile::open(path("plan.bin"));
    if (!read) {
      ADD_FAILURE() << llvm::toString(read.takeError());
      abort();
    }
    file.emplace(std::move(*read));
    return file->view();
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  PlanProvenance provenance;
  std::vector<uint8_t> code{1, 2, 3, 4, 5};
  llvm::SmallString<128> folder;
  std::optional<plan::PlanFile> file;
};
} // namespace

static constexpr llvm::StringLiteral forwardPlan = R"mlir(
#w = #dit.piece<name = "w", file = tensor<2x3xf32>, view = [2, 3],
  permutation = [1, 0], target = [3, 2], offset = [0, 0],
  source = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 1.00390625]]> : tensor<2x3xf32>>
#b = #dit.piece<name = "b", file = tensor<3xf32>, view = [3],
  permutation = [0], target = [3], offset = [0],
  source = dense<7.0> : tensor<3xf32>>
#flags = #dit.piece<name = "", file = tensor<3xi1>, view = [3],
  permutation = [0], target = [3], offset = [0],
  source = dense<[true, false, true]> : tensor<3xi1>>
#drawn = #dit.piece<name = "drawn", file = tensor<2xf32>, view = [2],
  permutation = [0], target = [2], offset = [0],
  source = #dit.init<normal, value = 0.02 : f64, fan_in = 3, fan_out = 4, seed = 5, stream = 6>>
module attributes {dit.mode = "forward", dit.precision = "bf16",
    dit.model = "toy", dit.inputs = [{name = "in", global = "x"}],
    dit.outputs = [{name = "out", global = "y"}],
    plan.weights_bytes = 576, plan.globals_bytes = 192, plan.arena_bytes = 128} {
  dit.global @x input : tensor<4x2xbf16>
      {plan.storage = #plan.storage<mapped = false, offset = 0, bytes = 16>}
  dit.global @w parameter : tensor<3x2xbf16> trainable packed <columns = 32, vnni = 2>
      pieces [#w] {plan.storage = #plan.storage<mapped = true, offset = 0, bytes = 128>}
  dit.global @b parameter : tensor<3xf32> pieces [#b]
      {plan.storage = #plan.storage<mapped = true, offset = 448, bytes = 12>}
  dit.global @flags constant : tensor<3xi1> pieces [#flags]
      {plan.storage = #plan.storage<mapped = true, offset = 512, bytes = 3>}
  dit.global @drawn parameter : tensor<2xf32> pieces [#drawn]
      {plan.storage = #plan.storage<mapped = false, offset = 64, bytes = 8>}
  dit.global @y output : tensor<4x3xf32>
      {plan.storage = #plan.storage<mapped = false, offset = 128, bytes = 48>}
  plan.kernel @dit_double_0 "double" space = [4, 2] rows_per_block = 3 {
  ^bb0(%a: tensor<4x2xbf16>):
    %r = arith.addf %a, %a : tensor<4x2xbf16>
    dit.yield %r : tensor<4x2xbf16>
  }
  plan.function @run step = "forward" arena_bytes = 128 {
    %x = plan.global @x 16
    %w = plan.global @w 128
    %b = plan.global @b 12
    %y = plan.global @y 48
    %h = plan.buffer 16 at 64
    plan.launch @dit_double_0(%x -> %h) blocks = 2 loc("/blocks.0/Add")
    plan.gemm %h, %w -> %y bias %b : f32 activation = gelu_erf
        sizes = [4, 3, 2, 1] leading = [2, 0, 3] strides = [0, 0, 0]
        types = [bf16, bf16, f32] {packed = #dit.packed<columns = 32, vnni = 2>}
    %s = plan.slice %y[16, 16]
    plan.copy %s to %h
    plan.fill %h with 255
  }
}
)mlir";

TEST_F(PlanWriter, Metadata) {
  parse(forwardPlan);
  const proto::Plan &read = roundTrip().metadata;
  EXPECT_EQ(read.mode(), "forward");
  EXPECT_EQ(read.precision(), "bf16");
  EXPECT_EQ(read.model(), "toy");
  EXPECT_EQ(read.ditc_version(), "0.1.0");
  EXPECT_EQ(read.flags_size(), 2);
  EXPECT_EQ(read.input_hash(), "abc");
  EXPECT_EQ(read.target().kind(), "cpu");
  EXPECT_EQ(read.target().cpu(), "x86-64-v4");
  EXPECT_EQ(read.target().features(0), "avx512f");
  EXPECT_EQ(read.target().world_size(), 1);
  EXPECT_EQ(read.inputs(0).name(), "in");
  EXPECT_EQ(read.inputs(0).global(), "x");
  EXPECT_EQ(read.outputs(0).name(), "out");
  EXPECT_EQ(read.globals_bytes(), 192u);
  EXPECT_EQ(read.arena_bytes(), 128u);

  ASSERT_EQ(read.globals_size(), 6);
  const proto::Global &w = read.globals(1);
  EXPECT_EQ(w.name(), "w");
  EXPECT_EQ(w.role(), proto::Global::PARAMETER);
  EXPECT_EQ(w.type().type(), proto::BF16);
  EXPECT_TRUE(w.mapped());
  EXPECT_EQ(w.packed().vnni(), 2);
  EXPECT_EQ(w.pieces(0).file().type(), proto::F32);
  EXPECT_EQ(w.pieces(0).permutation(0), 1);
  EXPECT_FALSE(w.pieces(0).has_init());
  const proto::Init &init = read.globals(4).pieces(0).init();
  EXPECT_EQ(init.kind(), proto::Init::NORMAL);
  EXPECT_EQ(init.value(), 0.02);
  EXPECT_EQ(init.fan_in(), 3);
  EXPECT_EQ(init.fan_out(), 4);
  EXPECT_EQ(init.seed(), 5u);
  EXPECT_EQ(init.stream(), 6u);
  EXPECT_FALSE(read.globals(4).mapped());
}

/// On a GPU the code says how it is launched; the schedule in the IR, which is
/// the CPU's, does not.
TEST_F(PlanWriter, GpuCode) {
  parse(forwardPlan);
  provenance.cpu = "sm_80,sm_90";
  provenance.images = {{proto::Image::PTX, "sm_80", "five!", ""},
                       {proto::Image::CUBIN, "sm_90", "three", ""}};
  provenance.launches = {{"dit_double_0", 7, 96, 32, true}};
  std::string joined = joinImages(provenance.images);
  code.assign(joined.begin(), joined.end());
  const plan::PlanView &view = roundTrip();
  const proto::Plan &read = view.metadata;
  EXPECT_EQ(read.target().kind(), "cuda");
  EXPECT_EQ(read.target().cpu(), "sm_80,sm_90");
  EXPECT_EQ(read.kernels(0).threads(), 96);
  EXPECT_EQ(read.kernels(0).shared_bytes(), 32);
  EXPECT_TRUE(read.kernels(0).waits_itself());
  EXPECT_EQ(read.functions(0).instructions(0).launch().blocks(), 7);
  ASSERT_EQ(read.images_size(), 2);
  EXPECT_EQ(read.images(0).kind(), proto::Image::PTX);
  EXPECT_EQ(read.images(0).arch(), "sm_80");
  EXPECT_EQ(read.images(0).offset(), 0u);
  EXPECT_EQ(read.images(0).bytes(), 5u);
  EXPECT_EQ(read.images(1).kind(), proto::Image::CUBIN);
  EXPECT_EQ(read.images(1).arch(), "sm_90");
  EXPECT_EQ(read.images(1).offset(), 16u);
  EXPECT_EQ(llvm::StringRef(joined).substr(16), "three");
}

/// A program for a GPU is what GPU libraries can do: no packed weights, and
/// kernels for activations but GELU's tanh form.
TEST_F(PlanWriter, GpuProgram) {
  parse(R"mlir(
#w = #dit.piece<name = "w", file = tensor<16x32xf32>, view = [16, 32],
  permutation = [0, 1], target = [16, 32], offset = [0, 0],
  source = dense<1.0> : tensor<16x32xf32>>
module attributes {dit.precision = "bf16"} {
  dit.global @w parameter : tensor<16x32xf32> pieces [#w]
  func.func @forward(%x: tensor<4x32xf32>) -> tensor<4x16xf32>
      attributes {dit.inputs = ["x"], dit.outputs = ["y"]} {
    %w = dit.read @w : tensor<16x32xf32>
    %p = dit.matmul %x, %w {transpose_rhs} : tensor<4x32xf32>, tensor<16x32xf32> -> tensor<4x16xf32>
    %s = dit.sigmoid %p : tensor<4x16xf32>
    %y = arith.mulf %p, %s : tensor<4x16xf32>
    return %y : tensor<4x16xf32>
  }
}
)mlir");
  CompileOptions options;
  options.gpus = {"sm_80"};
  options.pipeline.isForGpu = true;
  options.pipeline.precision = "bf16";
  std::string path = this->path("gpu.bin");
  ASSERT_EQ(llvm::toString(runPhases(*module, options, {})), "");
  ASSERT_EQ(llvm::toString(writePlan(*module, options, path)), "");
  llvm::Expected<plan::PlanFile> read = plan::PlanFile::open(path);
  ASSERT_TRUE(bool(read)) << llvm::toString(read.takeError());
  const proto::Plan &plan = read->view().metadata;
  EXPECT_EQ(plan.target().kind(), "cuda");
  int silus = 0;
  for (const proto::Kernel &kernel : plan.kernels()) {
    EXPECT_GT(kernel.threads(), 0);
    silus += llvm::StringRef(kernel.symbol()).contains("silu");
  }
  EXPECT_EQ(silus, 1);
  for (const proto::Instruction &instruction : plan.functions(0).instructions())
    if (instruction.has_gemm()) {
      EXPECT_FALSE(instruction.gemm().has_packed());
      EXPECT_EQ(instruction.gemm().activation(), proto::Gemm::IDENTITY);
    }
}

TEST_F(PlanWriter, Instructions) {
  parse(forwardPlan);
  const proto::Plan &read = roundTrip().metadata;
  ASSERT_EQ(read.kernels_size(), 1);
  EXPECT_EQ(read.kernels(0).symbol(), "dit_double_0");
  EXPECT_EQ(read.kernels(0).description(), "double");
  EXPECT_EQ(read.kernels(0).bytes_moved(), 32u); // 8 in, 8 out, 2 bytes each
  EXPECT_EQ(read.kernels(0).flops(), 8u);
  ASSERT_EQ(read.functions_size(), 1);
  const proto::Function &run = read.functions(0);
  EXPECT_EQ(run.step(), "forward");
  EXPECT_EQ(run.arena_bytes(), 128u);
  EXPECT_EQ(run.flops(), 8u + 2 * 4 * 3 * 2);
  ASSERT_EQ(run.instructions_size(), 4);

  const proto::Instruction &first = run.instructions(0);
  EXPECT_EQ(first.location(), "/blocks.0/Add");
  EXPECT_EQ(first.launch().blocks(), 2);
  EXPECT_EQ(first.launch().operands(0).space(), proto::Place::GLOBAL);
  EXPECT_EQ(first.launch().operands(0).global(), 0u);
  EXPECT_EQ(first.launch().operands(1).space(), proto::Place::ARENA);
  EXPECT_EQ(first.launch().operands(1).offset(), 64u);
  EXPECT_EQ(first.launch().operands(1).bytes(), 16u);

  const proto::Gemm &gemm = run.instructions(1).gemm();
  EXPECT_EQ(gemm.m(), 4);
  EXPECT_EQ(gemm.n(), 3);
  EXPECT_EQ(gemm.k(), 2);
  EXPECT_EQ(gemm.c_type(), proto::F32);
  EXPECT_EQ(gemm.ldc(), 3);
  EXPECT_EQ(gemm.activation(), proto::Gemm::GELU_ERF);
  EXPECT_EQ(gemm.bias().global(), 2u);
  EXPECT_EQ(gemm.bias_type(), proto::F32);
  EXPECT_EQ(gemm.gate().space(), proto::Place::NONE);
  EXPECT_TRUE(gemm.has_packed());

  EXPECT_EQ(run.instructions(2).copy().from().offset(), 16u);
  EXPECT_EQ(run.instructions(2).copy().to().space(), proto::Place::ARENA);
  EXPECT_EQ(run.instructions(3).fill().byte(), 255u);
}

TEST_F(PlanWriter, WeightsArePermutedRoundedAndPacked) {
  parse(forwardPlan);
  const plan::PlanView &view = roundTrip();
  EXPECT_EQ(view.code.vec(), code);
  ASSERT_EQ(view.weights.size(), 576u);

  // The file's [2, 3] transposed is [3, 2], one panel [1][2 / 2][32][2].
  // 1 + 2^-8 lies between two bf16 and goes to the even one, 1.
  const float expected[3][2] = {{1, 4}, {2, 5}, {3, 1}};
  for (int column = 0; column < 32; ++column)
    for (int pair = 0; pair < 2; ++pair) {
      uint16_t bits;
      memcpy(&bits, view.weights.data() + (column * 2 + pair) * 2, 2);
      uint32_t wide = static_cast<uint32_t>(bits) << 16;
      float value;
      memcpy(&value, &wide, 4);
      EXPECT_EQ(value, column < 3 ? expected[column][pair] : 0)
          << column << ", " << pair;
    }
  for (size_t i = 128; i < 448; ++i)
    ASSERT_EQ(view.weights[i], 0) << i;
  for (int i = 0; i < 3; ++i) {
    float value;
    memcpy(&value, view.weights.data() + 448 + 4 * i, 4);
    EXPECT_EQ(value, 7);
  }
  EXPECT_EQ(view.weights.slice(512, 4).vec(),
            (std::vector<uint8_t>{1, 0, 1, 0}));
}

TEST_F(PlanWriter, EqualInputsGiveEqualBytes) {
  std::string contents[2];
  for (int i = 0; i < 2; ++i) {
    MLIRContext fresh(context.getDialectRegistry());
    OwningOpRef<ModuleOp> own =
        parseSourceString<ModuleOp>(forwardPlan, &fresh);
    std::string name = path(i ? "second" : "first");
    EXPECT_EQ(
        llvm::toString(writePlanFile(
            name, *own, llvm::cantFail(encodePlan(*own, provenance)), code)),
        "");
    auto bytes = llvm::MemoryBuffer::getFile(name);
    ASSERT_TRUE(bytes);
    contents[i] = (*bytes)->getBuffer().str();
  }
  EXPECT_EQ(contents[0], contents[1]);
}

TEST_F(PlanWriter, SamplingByFieldName) {
  parse(forwardPlan);
  Builder builder(&context);
  (*module)->setAttr(
      "dit.sampling",
      builder.getDictionaryAttr(
          {builder.getNamedAttr("batch", builder.getI64IntegerAttr(8)),
           builder.getNamedAttr("learned_sigma", builder.getBoolAttr(true)),
           builder.getNamedAttr("latent", builder.getStringAttr("x"))}));
  llvm::Expected<proto::Plan> encoded = encodePlan(*module, provenance);
  ASSERT_TRUE(static_cast<bool>(encoded));
  EXPECT_EQ(encoded->sampling().batch(), 8);
  EXPECT_TRUE(encoded->sampling().learned_sigma());
  EXPECT_EQ(encoded->sampling().latent(), "x");
}

/// Encodes and returns the error's text.
static std::string encodeError(ModuleOp module,
                               const PlanProvenance &provenance) {
  llvm::Expected<proto::Plan> encoded = encodePlan(module, provenance);
  return encoded ? "" : llvm::toString(encoded.takeError());
}

TEST_F(PlanWriter, UnknownSamplingField) {
  parse(forwardPlan);
  Builder builder(&context);
  (*module)->setAttr("dit.sampling",
                     builder.getDictionaryAttr({builder.getNamedAttr(
                         "colour", builder.getI64IntegerAttr(8))}));
  EXPECT_EQ(encodeError(*module, provenance),
            "'dit.sampling' has a field 'colour' that Sampling has not, or of "
            "another kind");
}

TEST_F(PlanWriter, MissingAttributes) {
  parse("module {}");
  EXPECT_EQ(encodeError(*module, provenance), "the module has no 'dit.mode'");
  parse(R"(module attributes {dit.mode = "forward"} {})");
  EXPECT_EQ(encodeError(*module, provenance),
            "the module has no 'dit.precision'");
  parse(R"(module attributes {dit.mode = "forward", dit.precision = "fp32",
           dit.inputs = ["x"]} {})");
  EXPECT_EQ(encodeError(*module, provenance),
            "'dit.inputs' is not a list of {name, global}");
}

TEST_F(PlanWriter, GlobalWithoutPlace) {
  parse(R"(module attributes {dit.mode = "forward", dit.precision = "fp32"} {
    dit.global @x input : tensor<4xf32>
  })");
  EXPECT_EQ(encodeError(*module, provenance), "global 'x' has no place");
}
