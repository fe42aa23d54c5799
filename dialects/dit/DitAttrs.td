//===- DitAttrs.td - Attributes of the dit dialect --------*- tablegen -*-===//
//
// Where a global's values come from, and how the model file's tensors lie in it.
//
//===----------------------------------------------------------------------===//

#ifndef DIT_ATTRS_TD
#define DIT_ATTRS_TD

include "dialects/dit/DitBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Dit_Enum<string name, string summary, list<I32EnumAttrCase> cases> :
    I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::dit";
  let genSpecializedAttr = 0;
}

class Dit_EnumAttr<EnumAttrInfo info, string mnemonic> :
    EnumAttr<Dit_Dialect, info, mnemonic>;

def Dit_Role : Dit_Enum<"Role", "what a global is to the program", [
    I32EnumAttrCase<"Parameter", 1, "parameter">,
    I32EnumAttrCase<"Constant", 2, "constant">,
    I32EnumAttrCase<"Input", 3, "input">,
    I32EnumAttrCase<"Output", 4, "output">,
    I32EnumAttrCase<"State", 5, "state">,
    I32EnumAttrCase<"Table", 6, "table">]>;
def Dit_RoleAttr : Dit_EnumAttr<Dit_Role, "role">;

def Dit_InitKind : Dit_Enum<"InitKind", "how a parameter is drawn", [
    I32EnumAttrCase<"Zeros", 0, "zeros">,
    I32EnumAttrCase<"Constant", 1, "constant">,
    I32EnumAttrCase<"Normal", 2, "normal">,
    I32EnumAttrCase<"XavierUniform", 3, "xavier_uniform">,
    I32EnumAttrCase<"Sincos2D", 4, "sincos_2d">]>;

def Dit_ReduceKind : Dit_Enum<"ReduceKind", "the monoid of a reduction", [
    I32EnumAttrCase<"Sum", 0, "sum">,
    I32EnumAttrCase<"Max", 1, "max">,
    I32EnumAttrCase<"Min", 2, "min">,
    I32EnumAttrCase<"Prod", 3, "prod">]>;
def Dit_ReduceKindAttr : Dit_EnumAttr<Dit_ReduceKind, "reduce">;

def Dit_Activation : Dit_Enum<"Activation", "a GEMM's epilogue", [
    I32EnumAttrCase<"Identity", 0, "identity">,
    I32EnumAttrCase<"GeluTanh", 1, "gelu_tanh">,
    I32EnumAttrCase<"GeluErf", 2, "gelu_erf">,
    I32EnumAttrCase<"Silu", 3, "silu">,
    I32EnumAttrCase<"GeluTanhGrad", 4, "gelu_tanh_grad">]>;
def Dit_ActivationAttr : Dit_EnumAttr<Dit_Activation, "activation">;

def Dit_Approximate : Dit_Enum<"Approximate", "which GELU", [
    I32EnumAttrCase<"None", 0, "none">,
    I32EnumAttrCase<"Tanh", 1, "tanh">]>;
def Dit_ApproximateAttr : Dit_EnumAttr<Dit_Approximate, "approximate">;

def Dit_Distribution : Dit_Enum<"Distribution", "what is drawn", [
    I32EnumAttrCase<"Normal", 0, "normal">,
    I32EnumAttrCase<"Uniform", 1, "uniform">]>;
def Dit_DistributionAttr : Dit_EnumAttr<Dit_Distribution, "distribution">;

class Dit_Attr<string name, string attrMnemonic> : AttrDef<Dit_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Dit_InitAttr : Dit_Attr<"Init", "init"> {
  let summary = "a recipe for a parameter's first values";
  let description = [{
    Stored in the plan instead of bytes; ditrun draws the values at start with
    Philox keyed by (`seed`, `stream`). `xavier_uniform` is uniform in
    ±√(6 / (fan_in + fan_out)); `normal` has standard deviation `value`;
    `sincos_2d` is DiT's fixed position table.

    `#dit.init<xavier_uniform, value = 0.0 : f64, fan_in = 384, fan_out = 1536, seed = 0, stream = 8>`
  }];
  let parameters = (ins EnumParameter<Dit_InitKind>:$kind,
                        "::mlir::FloatAttr":$value, "int64_t":$fan_in, "int64_t":$fan_out,
                        "uint64_t":$seed, "uint64_t":$stream);
  let assemblyFormat = [{
    `<` $kind `,` struct($value, $fan_in, $fan_out, $seed, $stream) `>`
  }];
}

def Dit_PieceAttr : Dit_Attr<"Piece", "piece"> {
  let summary = "one tensor of the model's file and its place in a global";
  let description = [{
    The file's tensor `name` of type `file` is seen with shape `view`, permuted
    by `permutation`, and lies at `offset` of the global seen with shape
    `target`; elements are converted to the global's element type. Checkpoints
    invert it.

    `source` is an elements attribute (`dense_resource` into the mapped file, or
    dense), an `#dit.init` recipe, or `unit` where a weight file will have it.

    Q of a fused [head][q, k, v][d] projection of 4 heads of 48:
    ```mlir
    #dit.piece<name = "to_q.weight", file = tensor<192x192xf32>,
               view = [4, 1, 48, 192], permutation = [0, 1, 2, 3],
               target = [4, 3, 48, 192], offset = [0, 0, 0, 0], source = …>
    ```
    The permuted view must fit in `target` at `offset`.
  }];
  let parameters = (ins StringRefParameter<"name in the file, '' for constants">:$name,
                        "::mlir::RankedTensorType":$file,
                        "::mlir::DenseI64ArrayAttr":$view,
                        "::mlir::DenseI64ArrayAttr":$permutation,
                        "::mlir::DenseI64ArrayAttr":$target,
                        "::mlir::DenseI64ArrayAttr":$offset,
                        "::mlir::Attribute":$source);
  let assemblyFormat = [{
    `<` struct($name, $file, $view, $permutation, $target, $offset, $source) `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The piece that is the whole global, unchanged.
    static PieceAttr getIdentity(::llvm::StringRef name,
                                 ::mlir::RankedTensorType type,
                                 ::mlir::Attribute source);
    /// True where the file's tensor is the global, element by element.
    bool isIdentity();
  }];
}

def Dit_PackedAttr : Dit_Attr<"Packed", "packed"> {
  let summary = "a GEMM weight's layout in panels";
  let description = [{
    [N, K] stored as [⌈N / columns⌉][K][columns], or with `vnni` 2 (bf16) as
    [⌈N / columns⌉][⌈K / 2⌉][columns][2], zero padded. Set by lowering.
  }];
  let parameters = (ins "int64_t":$columns, "int64_t":$vnni);
  let assemblyFormat = "`<` struct($columns, $vnni) `>`";
}

#endif // DIT_ATTRS_TD
