//===- DitOps.td - Operations of the dit dialect ----------*- tablegen -*-===//
#ifndef DIT_OPS_TD
#define DIT_OPS_TD

include "dialects/dit/DifferentiableOpInterface.td"
include "dialects/dit/DitAttrs.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Dit_Op<string mnemonic, list<Trait> traits = []> :
    Op<Dit_Dialect, mnemonic, traits>;

/// Has a rule in DifferentiableDitOps.cpp.
def Dit_Differentiable : DeclareOpInterfaceMethods<DifferentiableOpInterface>;

def Dit_Tensor : StaticShapeTensorOf<[AnyType]>;
def Dit_FloatTensor : StaticShapeTensorOf<[AnyFloat]>;
def Dit_IntegerTensor : StaticShapeTensorOf<[AnyInteger]>;

//===----------------------------------------------------------------------===//
// The program's state
//===----------------------------------------------------------------------===//

def Dit_GlobalOp : Dit_Op<"global", [Symbol,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a named tensor of the program's state";
  let description = [{
    Weights, inputs, outputs, tables and state from step to step. `pieces` say
    which tensors of the model's file lie where in it (see `#dit.piece`); a
    global without pieces is zero at start.

    ```mlir
    dit.global @"blocks.0.mlp.fc1.bias" parameter : tensor<768xf32>
        pieces [#dit.piece<…>]
    dit.global @latent state : tensor<8x1x32x32xf32>
    dit.global @masters parameter : tensor<1024xf32>
    dit.global @fc1.weight parameter : tensor<8x16xf32> trainable within @masters at 64
        pieces [#dit.piece<…>]
    ```

    A member of a flat global, `within` it, lies in its memory from element `at`
    on, a multiple of 64: the flat is of rank 1, has the member's element type
    and no pieces. What is between members is zero. A function uses members or
    their flat, not both.

    Lifespan: frontends make parameters and constants; simplify merges and
    re-lays them; precision changes their element type; program adds the rest;
    lowering gives GEMM weights their `packed` layout; the plan writer writes them.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Dit_RoleAttr:$role,
                       TypeAttrOf<Dit_Tensor>:$type,
                       DefaultValuedAttr<TypedArrayAttrBase<Dit_PieceAttr, "pieces">, "{}">:$pieces,
                       UnitAttr:$trainable,
                       OptionalAttr<Dit_PackedAttr>:$packed,
                       OptionalAttr<FlatSymbolRefAttr>:$flat,
                       OptionalAttr<I64Attr>:$at);
  let assemblyFormat = [{
    $sym_name $role `:` $type (`trainable` $trainable^)?
    (`within` $flat^ `at` $at)? (`packed` $packed^)? (`pieces` $pieces^)? attr-dict
  }];
  let builders = [
    OpBuilder<(ins "::llvm::StringRef":$name, "Role":$role,
                   "::mlir::RankedTensorType":$type,
                   CArg<"::llvm::ArrayRef<::mlir::Attribute>", "{}">:$pieces)>];
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getType());
    }
    /// Makes it a member of `flat` from element `element` on.
    void placeWithin(GlobalOp flat, int64_t element);
  }];
  let hasVerifier = 1;
}

def Dit_ReadOp : Dit_Op<"read", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a global's value at function entry";
  let description = [{
    No effect, so that it can be shared and moved: what it yields is the value
    when the step function began, whatever the function writes.

    `%w = dit.read @"blocks.0.mlp.fc1.weight" : tensor<768x192xf32>`

    Lifespan: frontends and program make it; lowering turns it into a place.
  }];
  let arguments = (ins FlatSymbolRefAttr:$global);
  let results = (outs Dit_Tensor:$result);
  let assemblyFormat = "$global attr-dict `:` type($result)";
}

def Dit_WriteOp : Dit_Op<"write", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "commits a global's value at function exit";
  let description = [{
    `dit.write %x, @latent : tensor<8x1x32x32xf32>`

    At most one write of a global in a function. Lowering writes in place where
    every reader of the old value is done, else adds a copy.
  }];
  let arguments = (ins Dit_Tensor:$value, FlatSymbolRefAttr:$global);
  let assemblyFormat = "$value `,` $global attr-dict `:` type($value)";
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

def Dit_BroadcastOp : Dit_Op<"broadcast", [Pure, Dit_Differentiable,
    AllElementTypesMatch<["input", "result"]>]> {
  let summary = "repeats a tensor along new dimensions";
  let description = [{
    `result[i] = input[i[dims[0]], i[dims[1]], …]`. `dims` increase and have one
    entry a dimension of the input, of equal size.

    `%s = dit.broadcast %scale {dims = [0, 2]} : tensor<8x192xf32> -> tensor<8x64x192xf32>`
  }];
  let arguments = (ins Dit_Tensor:$input, DenseI64ArrayAttr:$dims);
  let results = (outs Dit_Tensor:$result);
  let assemblyFormat = [{
    $input `dims` `=` $dims attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Dit_TransposeOp : Dit_Op<"transpose", [Pure, Dit_Differentiable,
    InferTypeOpAdaptor]> {
  let summary = "permutes dimensions";
  let description = [{
    `result[i[permutation[0]], i[permutation[1]], …] = input[i]`: dimension d of
    the result is dimension permutation[d] of the input.

    `%t = dit.transpose %x permutation = [0, 2, 1] : tensor<8x64x192xf32>`
  }];
  let arguments = (ins Dit_Tensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs Dit_Tensor:$result);
  let assemblyFormat = [{
    $input `permutation` `=` $permutation attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def Dit_ReduceOp : Dit_Op<"reduce", [Pure, Dit_Differentiable,
    InferTypeOpAdaptor]> {
  let summary = "combines the elements along dimensions";
  let description = [{
    Drops `dims` (increasing). Float sums are in fp32 or wider, whatever the
    element type.

    `%m = dit.reduce sum %x dims = [2] : tensor<8x64x192xf32>` gives tensor<8x64xf32>
  }];
  let arguments = (ins Dit_ReduceKindAttr:$kind, Dit_Tensor:$input,
                       DenseI64ArrayAttr:$dims);
  let results = (outs Dit_Tensor:$result);
  let assemblyFormat = [{
    $kind $input `dims` `=` $dims attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Dit_MatmulOp : Dit_Op<"matmul", [Pure, Dit_Differentiable,
    AttrSizedOperandSegments]> {
  let summary = "matrix product, with what its epilogue can do";
  let description = [{
    `result = residual + gate · activation(lhs · rhs + bias)`, sums in fp32.

    lhs is [batch…, M, K] ([batch…, K, M] with `transpose_lhs`; at rank 1 of M:
    [M, K]); rhs is [K, N] ([N, K] with `transpose_rhs`, as a Linear's weight
    lies in memory), shared by every batch, or [batch…, K, N] with lhs's batch.
    bias is [N]; gate is [batch₀, N], one row a leading index of the result;
    residual is like the result. gate comes with residual.

    For training, on GPUs: `saved` is a second result, lhs · rhs + bias as
    gelu_tanh reads it, rounded to the result's type; the activation
    gelu_tanh_grad multiplies with the derivative of gelu_tanh at `aux`, which is
    like the result.

    ```mlir
    %h = dit.matmul %x, %w bias %b activation = gelu_tanh {transpose_rhs}
        : tensor<8x64x192xf32>, tensor<768x192xf32> bias tensor<768xf32> -> tensor<8x64x768xf32>
    %g, %p = dit.matmul %y, %w activation = gelu_tanh {transpose_rhs}
        : tensor<8x64x192xbf16>, tensor<768x192xbf16> -> tensor<8x64x768xbf16> saved tensor<8x64x768xbf16>
    ```

    Lifespan: frontends make it bare; simplify folds the bias and transposes in;
    fusion the rest; lowering makes it a plan.gemm.
  }];
  let arguments = (ins Dit_FloatTensor:$lhs, Dit_FloatTensor:$rhs,
                       Optional<Dit_FloatTensor>:$bias,
                       Optional<Dit_FloatTensor>:$gate,
                       Optional<Dit_FloatTensor>:$residual,
                       Optional<Dit_FloatTensor>:$aux,
                       UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs,
                       DefaultValuedAttr<Dit_ActivationAttr, "::dit::Activation::Identity">:$activation);
  let results = (outs Dit_FloatTensor:$result, Optional<Dit_FloatTensor>:$saved);
  let assemblyFormat = [{
    $lhs `,` $rhs (`bias` $bias^)? (`gate` $gate^)? (`residual` $residual^)?
    (`aux` $aux^)?
    (`activation` `=` $activation^)? attr-dict `:` type($lhs) `,` type($rhs) (`bias` type($bias)^)?
    (`gate` type($gate)^)? (`residual` type($residual)^)? (`aux` type($aux)^)?
    `->` type($result) (`saved` type($saved)^)?
  }];
  let builders = [
    OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$lhs,
                   "::mlir::Value":$rhs, "::mlir::Value":$bias,
                   CArg<"bool", "true">:$transposeRhs,
                   CArg<"Activation", "Activation::Identity">:$activation)>,
    OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$lhs,
                   "::mlir::Value":$rhs, "::mlir::Value":$bias,
                   "::mlir::Value":$gate, "::mlir::Value":$residual,
                   "bool":$transposeLhs, "bool":$transposeRhs,
                   "Activation":$activation), [{
      build($_builder, $_state, result, /*saved=*/::mlir::Type(),
            lhs, rhs, bias, gate, residual, /*aux=*/::mlir::Value(),
            transposeLhs, transposeRhs, activation);
    }]>];
  let extraClassDeclaration = [{
    /// The product, as if it were the only result.
    operator ::mlir::Value() { return getResult(); }
    ::mlir::RankedTensorType getType() { return getResult().getType(); }
    /// Rows of one problem, columns, depth, and number of problems. Where rhs
    /// is shared and lhs is not transposed the batch is folded into M.
    struct Sizes { int64_t m, n, k, batch; };
    Sizes getSizes();
  }];
  let hasVerifier = 1;
}

def Dit_LayerNormOp : Dit_Op<"layer_norm", [Pure, Dit_Differentiable,
    InferTypeOpAdaptor]> {
  let summary = "normalises the last dimension; no affine part";
  let description = [{
    `result = (x − mean) · rstd`, `rstd = 1 / √(var + eps)`, over the last
    dimension; statistics in fp32, as results for the backward pass (fp64 where
    the input is fp64). Scale and shift are arith after it.

    `%n, %mean, %rstd = dit.layer_norm %x eps = 1.0e-6 : tensor<8x64x192xf32>`
  }];
  let arguments = (ins Dit_FloatTensor:$input, F64Attr:$eps);
  let results = (outs Dit_FloatTensor:$result, Dit_FloatTensor:$mean,
                      Dit_FloatTensor:$rstd);
  let assemblyFormat = "$input `eps` `=` $eps attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Dit_RmsNormOp : Dit_Op<"rms_norm", [Pure, Dit_Differentiable,
    InferTypeOpAdaptor]> {
  let summary = "divides the last dimension by its root mean square";
  let description = [{
    `result = x · rstd`, `rstd = 1 / √(mean(x²) + eps)`; statistics in fp32.

    `%n, %rstd = dit.rms_norm %x eps = 1.0e-6 : tensor<8x64x4x48xf32>`
  }];
  let arguments = (ins Dit_FloatTensor:$input, F64Attr:$eps);
  let results = (outs Dit_FloatTensor:$result, Dit_FloatTensor:$rstd);
  let assemblyFormat = "$input `eps` `=` $eps attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Dit_SoftmaxOp : Dit_Op<"softmax", [Pure, Dit_Differentiable, SameOperandsAndResultType]> {
  let summary = "softmax of the last dimension, in fp32";
  let description = [{
    `result = exp(x − max x) / Σ exp(x − max x)`

    `%p = dit.softmax %s : tensor<8x4x64x64xf32>`
  }];
  let arguments = (ins Dit_FloatTensor:$input);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Dit_AttentionOp : Dit_Op<"attention", [Pure, Dit_Differentiable,
    InferTypeOpAdaptor]> {
  let summary = "scaled dot-product attention, never T×T in memory";
  let description = [{
    q [B, Tq, H, d], k [B, Tk, Hk, d], v [B, Tk, Hk, dv] → [B, Tq, H, dv]:
    `softmax(scale · q kᵀ + mask) v` by head; Hk divides H. mask is fp32
    [B, H, Tq, Tk], any of whose dimensions may be 1 (repeated). The second
    result is log Σ exp of the scores, fp32 [B, H, Tq], for the backward pass.

    ```mlir
    %o, %lse = dit.attention %q, %k, %v scale = 0.144
        : tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>, tensor<8x64x4x48xf32>
    ```

    Lifespan: simplify recognises it (or the importer meets ONNX's op); lowering
    makes it a plan.attention on strided views.
  }];
  let arguments = (ins Dit_FloatTensor:$query, Dit_FloatTensor:$key,
                       Dit_FloatTensor:$value, Optional<Dit_FloatTensor>:$mask,
                       F64Attr:$scale);
  let results = (outs Dit_FloatTensor:$result, Dit_FloatTensor:$log_sum_exp);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`mask` $mask^)? `scale` `=` $scale attr-dict `:`
    type($query) `,` type($key) `,` type($value) (`,` type($mask)^)?
  }];
  let hasVerifier = 1;
}

def Dit_GeluOp : Dit_Op<"gelu", [Pure, Dit_Differentiable, SameOperandsAndResultType, Elementwise]> {
  let summary = "Gaussian error linear unit";
  let description = [{
    none: `x · ½(1 + erf(x / √2))`; tanh: `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`.
    A named op, because its gradient and the GEMM's epilogue need the name.

    `%y = dit.gelu %x approximate = tanh : tensor<8x64x768xf32>`
  }];
  let arguments = (ins Dit_FloatTensor:$input, Dit_ApproximateAttr:$approximate);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = [{
    $input `approximate` `=` $approximate attr-dict `:` type($input)
  }];
}

def Dit_SigmoidOp : Dit_Op<"sigmoid", [Pure, Dit_Differentiable, SameOperandsAndResultType, Elementwise]> {
  let summary = "1 / (1 + exp(−x))";
  let description = [{
    `%y = dit.sigmoid %x : tensor<8x192xf32>`; SiLU is x times it, in arith.
  }];
  let arguments = (ins Dit_FloatTensor:$input);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def Dit_GatherOp : Dit_Op<"gather", [Pure, Dit_Differentiable,
    InferTypeOpAdaptor]> {
  let summary = "looks rows of a table up";
  let description = [{
    `result[i…, j…] = table[indices[i…], j…]`. Indices count from the end where
    negative, are clamped to the table otherwise; the host checks labels before.

    `%e = dit.gather %table, %labels : tensor<11x192xf32>, tensor<8xi64>`
  }];
  let arguments = (ins Dit_Tensor:$table, Dit_IntegerTensor:$indices);
  let results = (outs Dit_Tensor:$result);
  let assemblyFormat = "$table `,` $indices attr-dict `:` type($table) `,` type($indices)";
  let hasVerifier = 1;
}

def Dit_RandomOp : Dit_Op<"random", [Pure]> {
  let summary = "counter-based random numbers (Philox 4x32-10)";
  let description = [{
    result [B, …] fp32. Key = seed; counter of element e of picture p at step s:
    (⌊e / 4⌋, low p, s + 1, stream | high p << 16); four words make four
    elements: uniform ((w >> 8) · 2⁻²⁴), or normal by Box–Muller on pairs with
    u₁ = ((w >> 8) + 1) · 2⁻²⁴. Element e takes number e mod 4. The initial noise
    is step −1. runtime/diffusion/Philox.h is the reference.

    ```mlir
    %z = dit.random normal stream = 1 at (%seed, %step, %pictures)
        : tensor<1xi64>, tensor<1xi64>, tensor<8xi64> -> tensor<8x1x32x32xf32>
    ```

    Lifespan: program makes it; fusion puts it into a kernel.
  }];
  let arguments = (ins Dit_DistributionAttr:$distribution, I64Attr:$stream,
                       Dit_IntegerTensor:$seed, Dit_IntegerTensor:$step,
                       Dit_IntegerTensor:$pictures);
  let results = (outs Dit_FloatTensor:$result);
  let assemblyFormat = [{
    $distribution `stream` `=` $stream
    `at` `(` $seed `,` $step `,` $pictures `)` attr-dict `:`
    type($seed) `,` type($step) `,` type($pictures) `->` type($result)
  }];
  let hasVerifier = 1;
}

include "dialects/dit/DitGradients.td"

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def Dit_KernelOp : Dit_Op<"kernel", [Pure, IsolatedFromAbove,
    SingleBlockImplicitTerminator<"::dit::YieldOp">]> {
  let summary = "a region that becomes one generated kernel";
  let description = [{
    The body is a small tensor program on the block's arguments, which are the
    inputs: arith, math, dit and tensor view ops, constants inside. `space` is
    the iteration space, the lane last. Every result is *linear* in it: its
    elements in row-major order are the space's (a full result), or the space's
    without the lane (a row result, of a reduction). Reductions run along the
    last dimension of their operand.

    ```mlir
    %y = dit.kernel "layer_norm_modulate" space = [8, 64, 192] (%x, %scale)
        : (tensor<8x64x192xf32>, tensor<8x192xf32>) -> tensor<8x64x192xf32> {
    ^bb0(%a: tensor<8x64x192xf32>, %s: tensor<8x192xf32>):
      %n, %mean, %rstd = dit.layer_norm %a eps = 1.0e-6 : tensor<8x64x192xf32>
      %b = dit.broadcast %s dims = [0, 2] : tensor<8x192xf32> -> tensor<8x64x192xf32>
      %r = arith.mulf %n, %b : tensor<8x64x192xf32>
      dit.yield %r : tensor<8x64x192xf32>
    }
    ```

    Lifespan: fusion makes it; lowering launches it; codegen compiles it.
  }];
  let arguments = (ins StrAttr:$name, DenseI64ArrayAttr:$space,
                       Variadic<Dit_Tensor>:$inputs);
  let results = (outs Variadic<Dit_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name `space` `=` $space `(` $inputs `)` attr-dict `:`
    functional-type($inputs, $results) $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Dit_YieldOp : Dit_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "the results of a kernel's body";
  let description = [{
    `dit.yield %a, %b : tensor<8x64xf32>, tensor<8xf32>`

    Ends a `dit.kernel`, and the `plan.kernel` that lowering makes of it.
  }];
  let arguments = (ins Variadic<Dit_Tensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), [{ (void)odsBuilder; (void)odsState; }]>];
}

#endif // DIT_OPS_TD
