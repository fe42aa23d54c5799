//===- Passes.td - Passes of the precision phase ---*- tablegen -*-===//
//
// First everything the model computes is raised to fp32, so that files of any
// type become one program; then matmuls and attention are given the low type.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_PRECISION_PASSES_TD
#define DIT_PRECISION_PASSES_TD

include "mlir/Pass/PassBase.td"

class Dit_PrecisionPass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect"];
}

def RaisePrecision : Dit_PrecisionPass<"dit-raise-precision"> {
  let summary = "compute everything in fp32 that the file has in another type";
  let description = [{
    fp16 and bf16 values, constants, weights and interfaces become fp32; casts
    between what is now equal vanish. A weight's piece keeps the file's type and
    is converted when the plan is written. fp64 stays where the model computes a
    few things in it (rotary tables), and becomes fp32 where its weights are fp64.

    ```mlir
    dit.global @w parameter : tensor<4x8xf16>
    %w = dit.read @w : tensor<4x8xf16>
    %y = dit.matmul %x, %w {transpose_rhs} : tensor<2x8xf16>, tensor<4x8xf16> -> tensor<2x4xf16>
    ```
    becomes the same in f32. A value that is narrowed and widened at once,
    `arith.extf (arith.truncf %x)`, is a rounding that the model asks for: both
    casts stay. First of the phase: all exports of one model are one program
    after it.
  }];
}

def LowerPrecision : Dit_PrecisionPass<"dit-lower-precision"> {
  let summary = "give matmuls and attention operands of a low type";
  let description = [{
    Operands of `dit.matmul` and `dit.attention` become bf16 or fp16, sums stay
    fp32. Everything else stays fp32: norms, softmax, modulation, gates, biases,
    the residual stream, and the matmuls that see nothing but the timestep's
    sinusoid.

    - A weight used by such matmuls alone is stored in the low type.
    - A value needed in the low type alone is rounded where it is made: a matmul
      gives it (`-> tensor<…xbf16>`), anything else is followed by `arith.truncf`,
      and views of it are views of the low type.
    - A value needed in both types is rounded at the use.

    With `residual=low` the stream is stored in the low type too: what a norm
    over tokens reads is rounded after the add, and used as rounded. With
    `results=low` what matmuls give to arithmetic (branches, modulations) is
    stored so, after its bias; activations and the function's result still see
    the sums. Both save memory traffic, and are what PyTorch does in bf16. In
    training what activations read is kept for their gradients: `results=saved`
    stores it in the low type as well.

    ```mlir
    %y = dit.matmul %h, %w {transpose_rhs} : tensor<2x8xf32>, tensor<4x8xf32> -> tensor<2x4xf32>
    ```
    becomes
    ```mlir
    %l = arith.truncf %h : tensor<2x8xf32> to tensor<2x8xbf16>
    %y = dit.matmul %l, %w {transpose_rhs} : tensor<2x8xbf16>, tensor<4x8xbf16> -> tensor<2x4xf32>
    ```
    Sets the module's `dit.precision`.
  }];
  let options = [
    Option<"precision", "precision", "std::string", "\"fp32\"",
           "fp32 (nothing changes), bf16 or fp16">,
    Option<"residual", "residual", "std::string", "\"fp32\"",
           "type of the residual stream: fp32 or low">,
    Option<"results", "results", "std::string", "\"fp32\"",
           "type of what matmuls give to arithmetic: fp32, low, or saved (low, and "
           "to activations too)">,
  ];
}

def VerifyPrecision : Dit_PrecisionPass<"dit-verify-precision"> {
  let summary = "check what must hold after the precision phase";
  let description = [{
    The module has a `dit.precision`. Values of its low type are made by reads,
    casts, matmuls, attention and views alone; no arithmetic is in the low type,
    and no other 16-bit type is left but between two casts.
  }];
}

#endif // DIT_PRECISION_PASSES_TD
