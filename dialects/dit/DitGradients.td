//===- DitGradients.td - Operations that gradients need ---*- tablegen -*-===//
//
// Included by DitOps.td, which defines the classes used here.
//
//===----------------------------------------------------------------------===//

#ifndef DIT_GRADIENTS_TD
#define DIT_GRADIENTS_TD

def Dit_StopGradientOp : Dit_Op<"stop_gradient", [Pure,
    SameOperandsAndResultType]> {
  let summary = "a value that counts as a constant for the gradient";
  let description = [{
    `result = input`, and the cotangent of the input is not the result's.

    `%fixed = dit.stop_gradient %eps : tensor<8x1x32x32xf32>`

    Lifespan: the loss makes it; differentiation takes it away again.
  }];
  let arguments = (ins Dit_FloatTensor:$input);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def Dit_AfterOp : Dit_Op<"after", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "a value that is not read before another is there";
  let description = [{
    `result = input`, and what reads the result runs after what makes `first`.

    `%again = dit.after %x, %dy : tensor<8x64x192xf32>, tensor<8x64x192xbf16>`

    What the gradient computes again from kept values reads them through this
    op. Without it the result would be one with what the forward pass computed,
    for CSE and for fusion, and so be kept.

    Lifespan: recompute makes it; dit-form-kernels, which fixes the order, takes
    it away. It costs nothing.
  }];
  let arguments = (ins Dit_Tensor:$input, Dit_Tensor:$first);
  let results = (outs Dit_Tensor:$result);
  let assemblyFormat = "$input `,` $first attr-dict `:` type($input) `,` type($first)";
}

def Dit_GeluGradOp : Dit_Op<"gelu_grad", [Pure, SameOperandsAndResultType,
    Elementwise]> {
  let summary = "the cotangent of dit.gelu's input";
  let description = [{
    `result = cotangent · gelu'(input)`, where gelu'(x) is, for none,
    `½(1 + erf(x / √2)) + x · exp(−x² / 2) / √(2π)`, and for tanh, with
    `u = √(2/π)(x + 0.044715x³)`,
    `½(1 + tanh u) + ½x(1 − tanh² u) · √(2/π)(1 + 3 · 0.044715x²)`.

    `%dx = dit.gelu_grad %x, %dy approximate = tanh : tensor<8x64x768xf32>`

    A named op, because a GEMM's epilogue can be it.

    Lifespan: differentiation makes it; fusion puts it into a kernel.
  }];
  let arguments = (ins Dit_FloatTensor:$input, Dit_FloatTensor:$cotangent,
                       Dit_ApproximateAttr:$approximate);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = [{
    $input `,` $cotangent `approximate` `=` $approximate attr-dict `:` type($input)
  }];
}

def Dit_ScatterAddOp : Dit_Op<"scatter_add", [Pure]> {
  let summary = "adds rows into a table of zeros; the gradient of dit.gather";
  let description = [{
    `result[r, j…] = Σ updates[i…, j…]` over all i… with `indices[i…] = r`, where
    an index means the row that dit.gather reads for it. The sum runs over i… in
    row-major order, in fp32 or wider, so that its bits are always the same.

    ```mlir
    %d = dit.scatter_add %labels, %de
        : tensor<8xi64>, tensor<8x192xf32> -> tensor<11x192xf32>
    ```

    Lifespan: differentiation makes it.
  }];
  let arguments = (ins Dit_IntegerTensor:$indices, Dit_FloatTensor:$updates);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = [{
    $indices `,` $updates attr-dict `:`
    type($indices) `,` type($updates) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Dit_AttentionGradOp : Dit_Op<"attention_grad", [Pure,
    InferTypeOpAdaptor]> {
  let summary = "the cotangents of query, key and value of dit.attention";
  let description = [{
    From the operands and results of a dit.attention and the cotangent dO of its
    first result, by head, with the probabilities made again from the saved log
    Σ exp, never T×T in memory:

        P  = exp(scale · Q Kᵀ + mask − log_sum_exp)
        dV = Pᵀ dO
        dS = P ∘ (dO Vᵀ − rowsum(dO ∘ O))
        dQ = scale · dS K,  dK = scale · dSᵀ Q

    Where heads of the query share a head of key and value, their dK and dV are
    summed in the order of the heads. Sums are in fp32; the results have the
    types of query, key and value.

    ```mlir
    %dq, %dk, %dv = dit.attention_grad %q, %k, %v output %o, %lse cotangent %do scale = 0.144
        : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>
          output tensor<8x64x4x48xf32>, tensor<8x4x64xf32> cotangent tensor<8x64x4x48xf32>
    ```

    Lifespan: differentiation makes it.
  }];
  let arguments = (ins Dit_FloatTensor:$query, Dit_FloatTensor:$key,
                       Dit_FloatTensor:$value, Dit_FloatTensor:$output,
                       Dit_FloatTensor:$log_sum_exp, Dit_FloatTensor:$cotangent,
                       Optional<Dit_FloatTensor>:$mask, F64Attr:$scale);
  let results = (outs Dit_FloatTensor:$query_grad, Dit_FloatTensor:$key_grad,
                      Dit_FloatTensor:$value_grad);
  let assemblyFormat = [{
    $query `,` $key `,` $value `output` $output `,` $log_sum_exp
    `cotangent` $cotangent (`mask` $mask^)? `scale` `=` $scale attr-dict `:`
    type($query) `,` type($key) `,` type($value)
    `output` type($output) `,` type($log_sum_exp)
    `cotangent` type($cotangent) (`mask` type($mask)^)?
  }];
  let hasVerifier = 1;
}

#endif // DIT_GRADIENTS_TD
