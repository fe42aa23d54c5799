//===- Passes.td - Passes of the fusion phase -------------*- tablegen -*-===//
//
// In this order: dit-expand-attention-grad (for GPUs), dit-expand-scatter-add
// (in training), dit-fuse-training-epilogue (in training on GPUs),
// dit-split-reductions, dit-fuse-epilogue, dit-match-bias (for GPUs),
// dit-form-kernels, dit-hoist-reductions, dit-fuse-gated-residual (for CPUs),
// dit-verify-fused.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FUSION_PASSES_TD
#define DIT_FUSION_PASSES_TD

include "mlir/Pass/PassBase.td"

class Dit_FusionPass<string flag> : Pass<flag, "::mlir::func::FuncOp"> {
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect", "::mlir::tensor::TensorDialect"];
}

def Dit_ReportOption : Option<"report", "report", "bool", "false",
    "remark at the model's nodes what was fused, and what was not and why">;

def ExpandAttentionGrad : Pass<"dit-expand-attention-grad", "::mlir::func::FuncOp"> {
  let summary = "spell out gradients of attention that no library has";
  let description = [{
    cuDNN's fused gradient knows 16-bit types alone. At fp32, where training is
    checked rather than run, the gradient becomes five products of all heads,
    with the probabilities in memory, [batch, heads, queries, keys]:

    ```mlir
    %dq, %dk, %dv = dit.attention_grad %q, %k, %v output %o, %lse cotangent %do scale = 0.25 : tensor<8x64x4x16xf32>, …
    ```
    becomes
    ```mlir
    %qt = dit.transpose %q permutation = [0, 2, 1, 3] : tensor<8x64x4x16xf32>
    %s = dit.matmul %qt, %kt {transpose_rhs} : … -> tensor<8x4x64x64xf32>
    %p = math.exp %shifted : tensor<8x4x64x64xf32>
    %dvt = dit.matmul %p, %dot {transpose_lhs} : … -> tensor<8x4x64x16xf32>
    …
    ```
    Only for GPUs, first of the phase. Heads that share a head of keys are left
    to the library, which refuses them at fp32.
  }];
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def ExpandScatterAdd : Dit_FusionPass<"dit-expand-scatter-add"> {
  let summary = "add rows into a table by a product";
  let description = [{
    The sum of the updates of each row is a product with a matrix of zeros and
    ones, in the order of the updates, exact, and without atomics:

    ```mlir
    %d = dit.scatter_add %labels, %de : tensor<8xi64>, tensor<8x192xf32> -> tensor<11x192xf32>
    ```
    becomes
    ```mlir
    %is = arith.cmpi eq, (dit.broadcast %labels), (dit.broadcast %rows) : tensor<8x11xi64>
    %one = arith.uitofp %is : tensor<8x11xi1> to tensor<8x11xf32>
    %d = dit.matmul %one, %de {transpose_lhs} : tensor<8x11xf32>, tensor<8x192xf32> -> tensor<11x192xf32>
    ```
    Labels below 0 and beyond the table mean the rows that dit.gather reads for
    them. A batch of labels is short: even the 1,001 rows of ImageNet's table
    cost less than one GEMM of the model.
  }];
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def FuseTrainingEpilogue : Dit_FusionPass<"dit-fuse-training-epilogue"> {
  let summary = "put GELU and its gradient into a library's GEMMs";
  let description = [{
    cuBLASLt stores the value before GELU beside GELU's result, and multiplies a
    product with GELU's derivative at a value in memory:

    ```mlir
    %f = dit.matmul %h, %w bias %b {transpose_rhs} : … -> tensor<8x64x768xf32>
    %l = arith.truncf %f : tensor<8x64x768xf32> to tensor<8x64x768xbf16>
    %e = arith.extf %l : tensor<8x64x768xbf16> to tensor<8x64x768xf32>
    %g = dit.gelu %e approximate = tanh : tensor<8x64x768xf32>
    %r = arith.truncf %g : tensor<8x64x768xf32> to tensor<8x64x768xbf16>
    …
    %p = dit.matmul %dy, %v : … -> tensor<8x64x768xbf16>
    %c = arith.extf %p : tensor<8x64x768xbf16> to tensor<8x64x768xf32>
    %d = dit.gelu_grad %e, %c approximate = tanh : tensor<8x64x768xf32>
    %n = arith.truncf %d : tensor<8x64x768xf32> to tensor<8x64x768xbf16>
    ```
    becomes
    ```mlir
    %r, %l = dit.matmul %h, %w bias %b activation = gelu_tanh {transpose_rhs} : … -> tensor<8x64x768xbf16> saved tensor<8x64x768xbf16>
    …
    %n = dit.matmul %dy, %v aux %l activation = gelu_tanh_grad : … -> tensor<8x64x768xbf16>
    ```
    Both may then work on the product before it is rounded (%l, %p): the one
    place where a rounding is left out, as the library does. Only where columns
    are a multiple of 8, in 16 bits, and where the gradient reads the value
    before GELU. A GELU that the gradient computes again (`dit.rerun`) goes into
    its product too, without the value before it; what is made of a kept value
    the second time is then of the rounded one. Only for GPUs, in training,
    before dit-fuse-epilogue.
  }];
  let options = [Dit_ReportOption];
}

def SplitReductions : Dit_FusionPass<"dit-split-reductions"> {
  let summary = "make reductions such that kernels have";
  let description = [{
    A kernel reduces its rows, adds few terms at each point, or adds runs of its
    rows beside what else it makes of them: the gradients of biases and
    modulations, whose operands a kernel has at hand.
    Reshapes cost nothing, because kernels pull through them.

    ```mlir
    %s = dit.reduce sum %x dims = [0, 1] : tensor<64x256x1152xf32>
    ```
    becomes
    ```mlir
    %runs = tensor.expand_shape %rows … into tensor<512x32x1152xf32>
    %p = dit.reduce sum %runs dims = [1] {dit.partial} : tensor<512x32x1152xf32>
    %q = dit.reduce sum %… dims = [1] {dit.partial} : tensor<16x32x1152xf32>
    %s = dit.reduce sum %q dims = [0] : tensor<16x1152xf32>
    ```
    Few long rows are cut in pieces too. 16-bit numbers are widened before, so
    that the stages are not rounded. Before dit-form-kernels, which knows no
    other reductions.
  }];
}

def FuseEpilogue : Dit_FusionPass<"dit-fuse-epilogue"> {
  let summary = "put bias, activation and rounding into the GEMM";
  let description = [{
    They are then applied while the tile is hot. The GEMM's sums are fp32, so
    that a rounding before the activation would be lost: an activation of
    widened values (`arith.extf`) stays where it is.

    ```mlir
    %f = dit.matmul %h, %w bias %b {transpose_rhs} : …, -> tensor<8x64x768xf32>
    %g = dit.gelu %f approximate = tanh : tensor<8x64x768xf32>
    %l = arith.truncf %g : tensor<8x64x768xf32> to tensor<8x64x768xbf16>
    ```
    becomes
    ```mlir
    %l = dit.matmul %h, %w bias %b activation = gelu_tanh {transpose_rhs} : …, -> tensor<8x64x768xbf16>
    ```
    Nothing happens where somebody else reads what comes before. Before
    dit-form-kernels, which would put them into the next kernel or one of their
    own. A library's GEMM (`library`: cuBLASLt's on GPUs) has GELU's tanh form
    alone; other activations are kernels then. So are those that the gradient
    computes again and no pass before put into a GEMM, for both must have the
    same bits: dit-recompute-activations marks them `dit.rerun`, and the marks end
    here.
  }];
  let options = [
    Dit_ReportOption,
    Option<"library", "library", "bool", "false",
           "only what a GPU library's epilogue has">
  ];
}

def MatchBias : Pass<"dit-match-bias", "::mlir::ModuleOp"> {
  let summary = "give the biases of GEMMs the type of their results";
  let description = [{
    A GPU library adds a bias of its result's type. Weights that nobody writes
    are stored so, beside the one that others read. What is trained has a low
    copy, which the update rounds: a member of the flat of low weights where the
    master lies in the masters. Another bias is rounded where it is used. Only
    for GPUs, before dit-form-kernels, which makes
    kernels of the roundings.

    ```mlir
    %b = dit.read @b : tensor<768xf32>
    %y = dit.matmul %h, %w bias %b {transpose_rhs} : …, bias tensor<768xf32> -> tensor<8x64x768xbf16>
    ```
    becomes
    ```mlir
    dit.global @b.bf16 parameter : tensor<768xbf16>
    %b = dit.read @b.bf16 : tensor<768xbf16>
    %y = dit.matmul %h, %w bias %b {transpose_rhs} : …, bias tensor<768xbf16> -> tensor<8x64x768xbf16>
    ```
  }];
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect"];
}

def FormKernels : Dit_FusionPass<"dit-form-kernels"> {
  let summary = "make kernels of everything between GEMMs and attention";
  let description = [{
    What a GEMM, attention or write reads must be in memory; every other value
    is computed inside the kernels that need it, where that is right and fast.
    KernelPlan.h has the rule. There are no patterns: these two kernels of a DiT
    block, each with the residual stream and the next GEMM's input as results,
    follow from it.

    ```mlir
    %g  = tensor.extract_slice %mod[0, 384] [8, 192] [1, 1] : …
    %gb = dit.broadcast %g dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
    %b  = arith.mulf %gb, %branch : tensor<8x64x192xf32>
    %x1 = arith.addf %x, %b : tensor<8x64x192xf32>
    %n, %mean, %rstd = dit.layer_norm %x1 eps = 1.0e-6 : tensor<8x64x192xf32>
    %h  = arith.mulf %n, …
    ```
    becomes
    ```mlir
    %k:2 = dit.kernel "gate_residual_layer_norm_modulate" space = [8, 64, 192]
        (%mod, %branch, %x) : (…) -> (tensor<8x64x192xf32>, tensor<8x64x192xf32>) {…}
    ```
    A function's kernels are put in the order in which their results are needed;
    then dit.after has done its part, and goes. On GPUs, where a launch takes
    longer, several kernels do one flop again (`repeat-flops`: 1 + scale); on
    CPUs it is more work, and code around it whose products and sums become
    single instructions rounds otherwise.
  }];
  let options = [
    Dit_ReportOption,
    Option<"repeatFlops", "repeat-flops", "bool", "false",
           "do a flop on one buffer again in each kernel that reads its result">
  ];
}

def HoistReductions : Dit_FusionPass<"dit-hoist-reductions"> {
  let summary = "run kernels that shrink their operands as early as they can";
  let description = [{
    After dit-form-kernels: a kernel whose results are a quarter of its largest
    operand, or less, moves to where its last operand is made. In a training
    step the bias gradients are the last ops, and without this every layer's
    gradient would be kept until then.

    ```mlir
    %d = dit.matmul … : tensor<16384x4608xbf16>
    … the layers before …
    %b = dit.kernel "sum" (%d) : tensor<4608xf32>
    ```
    becomes
    ```mlir
    %d = dit.matmul … : tensor<16384x4608xbf16>
    %b = dit.kernel "sum" (%d) : tensor<4608xf32>
    … the layers before …
    ```
  }];
}

def FuseGatedResidual : Dit_FusionPass<"dit-fuse-gated-residual"> {
  let summary = "put a kernel that only adds a residual into the GEMM before it";
  let description = [{
    After dit-form-kernels: where a norm follows, gate and residual are in the
    norm's kernel, which has the stream as a second result. A kernel is left
    with nothing but `residual + gate · product` where none follows; the GEMM
    does that in its epilogue.

    ```mlir
    %p = dit.matmul %h, %w {transpose_rhs} : …
    %x1 = dit.kernel "gate_residual" space = [8, 64, 192] (%mod, %p, %x) : … {…}
    ```
    becomes
    ```mlir
    %g = tensor.extract_slice %mod[0, 384] [8, 192] [1, 1] : …
    %x1 = dit.matmul %h, %w gate %g residual %x {transpose_rhs} : …
    ```
    A library's GEMM (`library`: cuBLASLt's on GPUs) has no gates, and GPUs have
    kernels for rows anyway. There it is sums over rows that take a residual: the
    gradients of weights, which micro-batches add up.
  }];
  let options = [
    Dit_ReportOption,
    Option<"library", "library", "bool", "false",
           "the GEMMs are a library's, which has no gates">,
  ];
}

def VerifyFused : Dit_FusionPass<"dit-verify-fused"> {
  let summary = "check what must hold after the fusion phase";
  let description = [{
    Outside kernels there are only dit.kernel, dit.matmul, dit.attention,
    dit.read, dit.write, and views that one of these can read as strides. Every
    kernel is a row program: results linear in its space, reductions along the
    lane, of rows that do not depend on it; its inputs are no views.
  }];
}

#endif // DIT_FUSION_PASSES_TD
