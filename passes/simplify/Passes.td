//===- Passes.td - Passes of the simplify phase ---*- tablegen -*-===//
//
// All exports of one model become one program here. The order is in
// compiler/Pipeline.cpp; what may be left at the end is with VerifySimplified.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_SIMPLIFY_PASSES_TD
#define DIT_SIMPLIFY_PASSES_TD

include "mlir/Pass/PassBase.td"

class Dit_SimplifyPass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ChooseTrained : Dit_SimplifyPass<"dit-choose-trained"> {
  let summary = "say which parameters training changes";
  let description = [{
    A frontend marks as `trainable` what names and metadata call a parameter.
    Of these, a table whose values are the sines and cosines of positions
    (SinCosTable.h) is not trained, whatever it is called.

    With `trainable`, a regular expression of the names in the file, those that
    match are trained, and they alone; with `freeze` those that match are not.

    ```mlir
    dit.global @table parameter : tensor<1x64x192xf32> trainable pieces […]
    ```
    whose values are DiT's table loses `trainable`. First of the phase in
    training: names and values are still the file's.
  }];
  let options = [
    Option<"trainable", "trainable", "std::string", "\"\"", "names of what is trained; '': all parameters">,
    Option<"freeze", "freeze", "std::string", "\"\"", "names of what is not">,
    Option<"report", "report", "bool", "false", "remark what is not trained, and why">];
}

def ShareEqual : Dit_SimplifyPass<"dit-share-equal"> {
  let summary = "one global for equal weights";
  let description = [{
    diffusers' DiT stores the timestep and label embedders once a block, all
    equal. Parameters and constants of one type and layout whose bytes are equal
    become the first of them; CSE then makes one of what is computed from them.

    ```mlir
    dit.global @"0.emb.weight" parameter : tensor<4x8xf32> pieces […]
    dit.global @"1.emb.weight" parameter : tensor<4x8xf32> pieces […]
    ```
    with the same bytes becomes `@"0.emb.weight"` alone. First of the phase, so
    that everything after sees each weight once. Does nothing with `training`:
    the weights are equal now, but learn apart.
  }];
  let options = [
    Option<"training", "training", "bool", "false", "the weights will be trained">,
    Option<"report", "report", "bool", "false", "remark what is shared">];
}

def SimplifyArithmetic : Dit_SimplifyPass<"dit-simplify-arithmetic"> {
  let summary = "take out what computes nothing";
  let description = [{
    x + 0, x − 0, x · 1, x / 1; x², x³, √x for powers; square roots, exp and log
    of constants; reads of globals whose elements are all one number (the ones
    and zeros of a LayerNormalization without affine part).

    ```mlir
    %ones = dit.read @"norm.ones" : tensor<192xf32>
    %wide = dit.broadcast %ones dims = [2] : tensor<192xf32> -> tensor<8x64x192xf32>
    %y = arith.mulf %n, %wide : tensor<8x64x192xf32>
    ```
    becomes `%n`. With `training` only constants are looked at: a parameter that
    is zero now will learn.
  }];
  let options = [
    Option<"training", "training", "bool", "false", "the weights will be trained">];
}

def NormalizeViews : Dit_SimplifyPass<"dit-normalize-views"> {
  let summary = "one spelling for every chain of reshapes, slices and transposes";
  let description = [{
    Every chain of views is composed (IndexView.h) and written again as

        expand → slice → transpose → collapse → broadcast → collapse/expand

    with what does nothing left out. Then the ways of exporters to write one
    thing are one: K transposed as 4-D, or as reshape, 3-D transpose, reshape;
    Unsqueeze and Expand; patchify and unpatchify by Einsum or Transpose.

    ```mlir
    %a = dit.transpose %x permutation = [0, 2, 1, 3] : tensor<2x64x4x48xf32>
    %b = tensor.collapse_shape %a [[0, 1], [2], [3]]
    %c = dit.transpose %b permutation = [0, 2, 1] : tensor<8x64x48xf32>
    %d = tensor.expand_shape %c [[0, 1], [2], [3]]
    ```
    becomes `%d = dit.transpose %x permutation = [0, 2, 3, 1]`.

    Views sink below elementwise ops all of whose operands are that view or
    constants, which are then computed on the smaller tensor; transposes also
    past operands that are broadcast, and below concat and norms, until they meet
    attention's own. A slice of a concat is a slice of
    its operand: diffusers' flipped [sin | cos] is [cos | sin].

    Runs before the recognitions, which then see each thing once, and after them.
  }];
}

def RecognizeNorms : Dit_SimplifyPass<"dit-recognize-norms"> {
  let summary = "LayerNorm and RMSNorm from their formulas";
  let description = [{
    (x − mean x) / √(mean (x − mean x)² + eps) is dit.layer_norm, x / √(mean x² +
    eps) is dit.rms_norm: with √ and a division, with its reciprocal or rsqrt,
    the square as a product or a power, the statistics spread at any point, casts
    anywhere. An affine part stays, as arith. Casts around a norm, a softmax or a
    GELU that only widen its input are left out: statistics are fp32 anyway.

    ```mlir
    %m = …mean of %x, %c = arith.subf %x, %m, %v = …mean of %c * %c…
    %y = arith.divf %c, …√(%v + 1.0e-6)…
    ```
    becomes `%y, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6`.
    With `report`, a quotient by a root that is no norm, and a mean that no norm
    takes in, is a remark.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is no norm">];
}

def RecognizeActivations : Dit_SimplifyPass<"dit-recognize-activations"> {
  let summary = "GELU and sigmoid from their formulas";
  let description = [{
    ½x(1 + tanh(√(2/π)(x + 0.044715x³))) and ½x(1 + erf(x/√2)) are dit.gelu, in
    any order and association and with the constants rounded to the file's type;
    1/(1 + exp(−x)) is dit.sigmoid, x/(1 + exp(−x)) is x · dit.sigmoid.

    ```mlir
    %t = math.tanh %u : tensor<8x64x768xf32>      // u = 0.798 · (x + 0.0447 · x·x·x)
    %h = arith.mulf %half, (arith.addf %t, %one)
    %y = arith.mulf %x, %h
    ```
    becomes `%y = dit.gelu %x approximate = tanh`.
    With `report`, a tanh or erf that is left is a remark.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is no GELU">];
}

def RecognizeSoftmax : Dit_SimplifyPass<"dit-recognize-softmax"> {
  let summary = "softmax from its formula";
  let description = [{
    exp(x) / Σ exp(x), with or without the row's largest value subtracted, is
    dit.softmax. Before attention is recognised.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is no softmax">];
}

def RecognizeAttention : Dit_SimplifyPass<"dit-recognize-attention"> {
  let summary = "attention from softmax(scale · q kᵀ + mask) v";
  let description = [{
    The batch may be [B, H], [B·H] or just [B]; the scale on the scores, on q, on
    k, or its root on both; masks added before or after it, spread from any part
    of [B, H, Tq, Tk]; a guard against NaN after the softmax is dropped.

    ```mlir
    %s = dit.matmul %q, %kt : tensor<2x4x64x48xf32>, tensor<2x4x48x64xf32> -> tensor<2x4x64x64xf32>
    %p = dit.softmax (arith.mulf %s, %scale)
    %o = dit.matmul %p, %v
    ```
    becomes dit.attention on [B, T, H, d], with transposes around it that
    dit-normalize-views composes with the exporter's own. With `report`, each
    softmax that is left is a remark with its reason.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is no attention">];
}

def FoldLinear : Dit_SimplifyPass<"dit-fold-linear"> {
  let summary = "every Linear in one form";
  let description = [{
    Gemm, MatMul + Add, Add(bias, MatMul), and Reshape + Gemm + Reshape are
    `dit.matmul %x, %w bias %b {transpose_rhs}` with x [B, T, K] (or [B, K]) and
    w [out, in]. A weight [in, out] is transposed in the IR; dit-absorb-layouts
    takes that into its global. What optimisers leave is mended: biases of slices
    of joined projections (onnxsim), GELU's ½ behind the next product (ONNX
    Runtime).

    ```mlir
    %y = dit.matmul %x, %w : tensor<8x64x192xf32>, tensor<192x768xf32> -> tensor<8x64x768xf32>
    %z = arith.addf %b, %y          // %b: a broadcast of tensor<768xf32>
    ```
    becomes
    ```mlir
    %t = dit.transpose %w permutation = [1, 0] : tensor<192x768xf32>
    %z = dit.matmul %x, %t bias %b {transpose_rhs} : …
    ```
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is no Linear">];
}

def AbsorbLayouts : Dit_SimplifyPass<"dit-absorb-layouts"> {
  let summary = "reshapes and transposes of weights go into their globals";
  let description = [{
    Where all reads of a parameter or constant are seen through one view, the
    global lies so, and its pieces say how the file's tensor gets there. Where a
    transpose is one of several views, it gets a copy (never of what is trained).
    A concat of reads is a read of one global with the pieces of all.

    ```mlir
    dit.global @w parameter : tensor<192x768xf32> pieces [#dit.piece<… view = [192, 768], permutation = [0, 1] …>]
    %w = dit.read @w : tensor<192x768xf32>
    %t = dit.transpose %w permutation = [1, 0] : tensor<192x768xf32>
    ```
    becomes
    ```mlir
    dit.global @w parameter : tensor<768x192xf32> pieces [#dit.piece<… view = [192, 768], permutation = [1, 0] …>]
    %t = dit.read @w : tensor<768x192xf32>
    ```
    After dit-fold-linear, before dit-fuse-projections.
  }];
  let options = [
    Option<"training", "training", "bool", "false", "the weights will be trained">,
    Option<"report", "report", "bool", "false", "remark what stays">];
}

def FuseProjections : Dit_SimplifyPass<"dit-fuse-projections"> {
  let summary = "q, k and v from one product, laid out by head";
  let description = [{
    Projections of one tensor that only feed one attention, whether one product
    or three, become one whose columns are [head][q, k, v][d] (in cross-attention
    [head][k, v][d] for k and v), so that a shard of the columns is whole heads.

    ```mlir
    %q = dit.matmul %x, %wq bias %bq {transpose_rhs} : … -> tensor<8x64x192xf32>   // and k, v
    %o, %lse = dit.attention (expand %q), (expand %k), (expand %v) scale = 0.144
    ```
    becomes
    ```mlir
    %qkv = dit.matmul %x, %w bias %b {transpose_rhs} : … -> tensor<8x64x576xf32>
    %h = tensor.expand_shape %qkv … : tensor<8x64x576xf32> into tensor<8x64x4x144xf32>
    %q = tensor.extract_slice %h[0, 0, 0, 0] [8, 64, 4, 48] …                        // k at 48, v at 96
    %o, %lse = dit.attention %q, %k, %v scale = 0.144
    ```
    The weights' pieces say which rows of the file's tensors go where.
    With `report`: what was fused, what was not and why.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is fused, and what not">];
}

def RemoveDeadGlobals : Dit_SimplifyPass<"dit-remove-dead-globals"> {
  let summary = "drop parameters and constants that nobody reads";
  let description = [{
    ```mlir
    dit.global @"norm.ones" constant : tensor<192xf32> pieces […]   // no dit.read
    ```
    goes. Last before the verifier.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is removed">];
}

def VerifySimplified : Dit_SimplifyPass<"dit-verify-simplified"> {
  let summary = "check that only the documented subset is left";
  let description = [{
    After simplify a module is globals and functions of
    - arith and math elementwise on tensors of one static shape,
    - tensor.expand_shape, collapse_shape, extract_slice, concat,
    - dit.read, broadcast, transpose, reduce, matmul, layer_norm, rms_norm,
      softmax, attention, gelu, sigmoid, gather, and whatever else of dit;
    - the rhs of a matmul that all rows share is [out, in] (`transpose_rhs`).

    A DiT is, a block: one matmul for the modulation and its six slices, two
    layer_norm, one matmul for q, k, v and three slices of it, one attention, one
    matmul for the output, two for the MLP around one gelu, and arith.

    Anything else is an error. With `report` it remarks what is legal, but slow:
    a softmax outside attention, a tanh or erf outside GELU, a transpose that
    attention has to read, integer arithmetic.
  }];
  let options = [
    Option<"report", "report", "bool", "false", "remark what is legal, but slow">];
}

#endif // DIT_SIMPLIFY_PASSES_TD
