//===- PlanOps.td - The plan dialect ----------------------*- tablegen -*-===//
//
// One op an instruction of runtime/plan/plan.proto, which says what each
// computes; here is how it looks as IR. Writing the plan is a walk.
//
//===----------------------------------------------------------------------===//

#ifndef DIT_PLAN_OPS_TD
#define DIT_PLAN_OPS_TD

include "dialects/dit/DitAttrs.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::dit::plan";
  let summary = "What runs: instructions on bytes of memory";
  let description = [{
    A module holds `dit.global`s with a `plan.storage` attribute, `plan.kernel`s
    and `plan.function`s. A function is a list of instructions that run in order.
    Memory is a value of type `!plan.memory`: a buffer in the arena, a global,
    or a slice of one.

    ```mlir
    dit.global @w parameter : tensor<576x192xf32> packed <columns = 32, vnni = 1>
        {plan.storage = #plan.storage<mapped = true, offset = 0, bytes = 442368>}
    plan.function @sample_step step = "sample_step" arena_bytes = 1572864 {
      %x = plan.global @x 393216
      %w = plan.global @w 442368
      %h = plan.buffer 393216 at 0
      %qkv = plan.buffer 1179648 at 393216
      plan.launch @dit_norm_0(%x -> %h) blocks = 16
      plan.gemm %h, %w -> %qkv sizes = [512, 576, 192, 1] leading = [192, 0, 576]
          strides = [0, 0, 0] types = [f32, f32, f32] {packed = #dit.packed<columns = 32, vnni = 1>}
    }
    ```
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::dit::DitDialect"];
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    void registerOperations();

    /// On a dit.global: a `#plan.storage`, where its bytes are.
    static constexpr ::llvm::StringLiteral storageAttrName = "plan.storage";
    /// On the module: bytes of the globals' memory, of the weights section and
    /// of the arena.
    static constexpr ::llvm::StringLiteral globalsBytesAttrName =
        "plan.globals_bytes";
    static constexpr ::llvm::StringLiteral weightsBytesAttrName =
        "plan.weights_bytes";
    static constexpr ::llvm::StringLiteral arenaBytesAttrName =
        "plan.arena_bytes";
  }];
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Plan_MemoryType : TypeDef<Plan_Dialect, "Memory"> {
  let mnemonic = "memory";
  let summary = "a run of bytes: of a buffer or of a global";
}

def Plan_Memory : DialectType<Plan_Dialect,
    CPred<"::llvm::isa<::dit::plan::MemoryType>($_self)">, "memory",
    "::dit::plan::MemoryType">,
    BuildableType<"$_builder.getType<::dit::plan::MemoryType>()">;

def Plan_StorageAttr : AttrDef<Plan_Dialect, "Storage"> {
  let mnemonic = "storage";
  let summary = "where a global's bytes are";
  let description = [{
    `mapped`: at `offset` of the plan's weights section, read only; else at
    `offset` of the globals' memory. Offsets are multiples of 64; `bytes` has
    the padding of packed layouts. Where `initial` is not negative the global is
    in memory and its first values are there in the weights section. Set by
    lowering, discardable on dit.global.
  }];
  let parameters = (ins "bool":$mapped, "int64_t":$offset, "int64_t":$bytes,
                        DefaultValuedParameter<"int64_t", "-1">:$initial);
  let assemblyFormat = "`<` struct($mapped, $offset, $bytes, $initial) `>`";
  let genVerifyDecl = 1;
}

class Plan_Op<string mnemonic, list<Trait> traits = []> :
    Op<Plan_Dialect, mnemonic, traits>;

def Plan_BufferOp : Plan_Op<"buffer", [HasParent<"FunctionOp">]> {
  let summary = "memory of the arena";
  let description = [{
    `%x = plan.buffer 393216 at 4096`: lives from the first to the last
    instruction that uses it. `offset`, in the arena, is set by the memory phase.
  }];
  let arguments = (ins I64Attr:$bytes, OptionalAttr<I64Attr>:$offset);
  let results = (outs Plan_Memory:$memory);
  let assemblyFormat = "$bytes (`at` $offset^)? attr-dict";
  let builders = [OpBuilder<(ins "int64_t":$bytes), [{
    build($_builder, $_state, $_builder.getType<MemoryType>(),
          $_builder.getI64IntegerAttr(bytes), /*offset=*/::mlir::IntegerAttr());
  }]>];
  let hasVerifier = 1;
}

def Plan_GlobalMemoryOp : Plan_Op<"global", [HasParent<"FunctionOp">,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "memory of a dit.global";
  let description = [{
    `%w = plan.global @w 442368`: all bytes of the global as it is stored.
  }];
  let arguments = (ins FlatSymbolRefAttr:$global, I64Attr:$bytes);
  let results = (outs Plan_Memory:$memory);
  let assemblyFormat = "$global $bytes attr-dict";
  let builders = [OpBuilder<(ins "::llvm::StringRef":$global, "int64_t":$bytes), [{
    build($_builder, $_state, $_builder.getType<MemoryType>(), global, bytes);
  }]>];
}

def Plan_SliceOp : Plan_Op<"slice", [HasParent<"FunctionOp">]> {
  let summary = "some of the bytes";
  let description = [{
    `%k = plan.slice %qkv[768, 1178880]`: offset and number of bytes.
  }];
  let arguments = (ins Plan_Memory:$source, I64Attr:$offset, I64Attr:$bytes);
  let results = (outs Plan_Memory:$memory);
  let assemblyFormat = "$source `[` $offset `,` $bytes `]` attr-dict";
  let builders = [OpBuilder<(ins "::mlir::Value":$source, "int64_t":$offset,
                                 "int64_t":$bytes), [{
    build($_builder, $_state, $_builder.getType<MemoryType>(), source, offset,
          bytes);
  }]>];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

def Plan_KernelOp : Plan_Op<"kernel", [Symbol, IsolatedFromAbove,
    SingleBlockImplicitTerminator<"::dit::YieldOp">]> {
  let summary = "a generated kernel";
  let description = [{
    The body of a `dit.kernel`, named, ended by `dit.yield`; the block's
    arguments are the inputs. `symbol(void *const *operands, int64 begin, int64
    end)` does the blocks [begin, end), each `rows_per_block` rows of `space`
    (the last may be shorter); operands are inputs, then results, each a
    contiguous row-major tensor. A launch may give an input's memory to a result
    where point i of that result is the only reader of element i of the input
    (see passes/lowering/InPlace.h): operands are not `noalias`.

    ```mlir
    plan.kernel @dit_double_0 "double" space = [8, 192] rows_per_block = 2 {
    ^bb0(%a: tensor<8x192xf32>):
      %r = arith.addf %a, %a : tensor<8x192xf32>
      dit.yield %r : tensor<8x192xf32>
    }
    ```

    Lifespan: lowering outlines it, equal kernels once; codegen compiles it.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$name,
                       DenseI64ArrayAttr:$space, I64Attr:$rows_per_block);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name $name `space` `=` $space `rows_per_block` `=` $rows_per_block
    attr-dict-with-keyword $body
  }];
  let extraClassDeclaration = [{
    /// Rows of the space: all but the lane.
    int64_t getRows();
    /// How many blocks a launch does.
    int64_t getBlocks();
    ::mlir::TypeRange getInputTypes();
    ::mlir::TypeRange getResultTypes();
    /// Bytes that one launch reads and writes: of a looked up table or a sliced
    /// input only what is used of it.
    int64_t getBytesMoved();
    /// Estimate: one an element and op, more for exp and its kin.
    int64_t getFlops();
  }];
  let hasRegionVerifier = 1;
}

def Plan_FunctionOp : Plan_Op<"function", [Symbol, IsolatedFromAbove,
    SingleBlock, NoTerminator]> {
  let summary = "a list of instructions";
  let description = [{
    `plan.function @sample_step step = "sample_step" arena_bytes = 48234496 {…}`
    `arena_bytes` is set by the memory phase.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$step,
                       OptionalAttr<I64Attr>:$arena_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `step` `=` $step (`arena_bytes` `=` $arena_bytes^)?
    attr-dict-with-keyword $body
  }];
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name,
                                 "::llvm::StringRef":$step)>];
  let extraClassDeclaration = [{
    /// Of all instructions, an estimate.
    int64_t getFlops();
  }];
  let hasRegionVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

def Plan_InstructionInterface : OpInterface<"InstructionInterface"> {
  let cppNamespace = "::dit::plan";
  let description = "An op that runs: what it reads, writes and computes.";
  let methods = [
    InterfaceMethod<"Memory that is read.",
                    "::llvm::SmallVector<::mlir::Value>", "getReads">,
    InterfaceMethod<"Memory that is written.",
                    "::llvm::SmallVector<::mlir::Value>", "getWrites">,
    InterfaceMethod<"Floating-point operations, an estimate.",
                    "int64_t", "getFlops">
  ];
}

class Plan_Instruction<string mnemonic, list<Trait> traits = []> :
    Plan_Op<mnemonic, !listconcat([HasParent<"FunctionOp">,
        DeclareOpInterfaceMethods<Plan_InstructionInterface>], traits)>;

def Plan_LaunchOp : Plan_Instruction<"launch", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a generated kernel";
  let description = [{ `plan.launch @dit_norm_0(%x, %scale -> %h) blocks = 16` }];
  let arguments = (ins FlatSymbolRefAttr:$kernel,
                       Variadic<Plan_Memory>:$inputs,
                       Variadic<Plan_Memory>:$results, I64Attr:$blocks);
  let assemblyFormat = [{
    $kernel `(` $inputs `->` $results `)` `blocks` `=` $blocks attr-dict
  }];
}

def Plan_GemmOp : Plan_Instruction<"gemm", [AttrSizedOperandSegments]> {
  let summary = "matrix product with epilogue";
  let description = [{
    proto.Gemm: sizes = [m, n, k, batch], leading = [lda, ldb, ldc], strides of
    the batch = [a, b, c], in elements; types = [a, b, c]. With a gate:
    `rows_per_gate`, `gate_stride`; with a residual `residual_stride`; with aux
    `aux_stride`. aux is read by gelu_tanh_grad, written by gelu_tanh.

    ```mlir
    plan.gemm %h, %w -> %y bias %b : f32 residual %x
        sizes = [512, 192, 768, 1] leading = [768, 0, 192] strides = [0, 0, 0]
        types = [f32, f32, f32] {residual_stride = 192 : i64, packed = …}
    ```
  }];
  let arguments = (ins Plan_Memory:$a, Plan_Memory:$b, Plan_Memory:$c,
      Optional<Plan_Memory>:$bias, OptionalAttr<TypeAttr>:$bias_type,
      Optional<Plan_Memory>:$gate, OptionalAttr<TypeAttr>:$gate_type,
      Optional<Plan_Memory>:$residual, Optional<Plan_Memory>:$aux,
      Optional<Plan_Memory>:$workspace,
      DenseI64ArrayAttr:$sizes, DenseI64ArrayAttr:$leading,
      DenseI64ArrayAttr:$strides, TypeArrayAttr:$types,
      UnitAttr:$transpose_a, UnitAttr:$transpose_b,
      OptionalAttr<Dit_PackedAttr>:$packed,
      DefaultValuedAttr<Dit_ActivationAttr, "::dit::Activation::Identity">:$activation,
      DefaultValuedAttr<I64Attr, "0">:$rows_per_gate,
      DefaultValuedAttr<I64Attr, "0">:$gate_stride,
      DefaultValuedAttr<I64Attr, "0">:$residual_stride,
      DefaultValuedAttr<I64Attr, "0">:$aux_stride);
  let assemblyFormat = [{
    $a `,` $b `->` $c (`bias` $bias^ `:` $bias_type)?
    (`gate` $gate^ `:` $gate_type)? (`residual` $residual^)?
    (`aux` $aux^)?
    (`workspace` $workspace^)? (`activation` `=` $activation^)?
    `sizes` `=` $sizes `leading` `=` $leading `strides` `=` $strides
    `types` `=` $types attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getM() { return getSizes()[0]; }
    int64_t getN() { return getSizes()[1]; }
    int64_t getK() { return getSizes()[2]; }
    int64_t getBatch() { return getSizes()[3]; }
    ::mlir::Type getElementType(unsigned matrix) {
      return ::llvm::cast<::mlir::TypeAttr>(getTypes()[matrix]).getValue();
    }
    /// Whether aux is an operand, not a result.
    bool readsAux() {
      return getActivation() == ::dit::Activation::GeluTanhGrad;
    }
  }];
  let hasVerifier = 1;
}

def Plan_AttentionOp : Plan_Instruction<"attention", [AttrSizedOperandSegments]> {
  let summary = "scaled dot-product attention";
  let description = [{
    proto.Attention: sizes = [batch, heads, query tokens, key tokens, head dim,
    value dim]; strides of batch, token and head of each operand in elements;
    `mask_strides` of batch, head, query and key. `ours`: our own kernel does it
    on a GPU, not a library.

    ```mlir
    plan.attention %q, %k, %v -> %o sizes = [8, 4, 64, 64, 48, 48] scale = 0.144
        q_strides = [36864, 576, 48] k_strides = [36864, 576, 48]
        v_strides = [36864, 576, 48] output_strides = [12288, 192, 48] type = f32
    ```
  }];
  let arguments = (ins Plan_Memory:$q, Plan_Memory:$k, Plan_Memory:$v,
      Plan_Memory:$output, Optional<Plan_Memory>:$mask,
      Optional<Plan_Memory>:$log_sum_exp, Optional<Plan_Memory>:$workspace,
      DenseI64ArrayAttr:$sizes, F64Attr:$scale, DenseI64ArrayAttr:$q_strides,
      DenseI64ArrayAttr:$k_strides, DenseI64ArrayAttr:$v_strides,
      DenseI64ArrayAttr:$output_strides,
      OptionalAttr<DenseI64ArrayAttr>:$mask_strides,
      DefaultValuedAttr<I64Attr, "1">:$key_head_group, TypeAttr:$type,
      UnitAttr:$ours);
  let assemblyFormat = [{
    $q `,` $k `,` $v `->` $output (`mask` $mask^ $mask_strides)?
    (`log_sum_exp` $log_sum_exp^)? (`workspace` $workspace^)?
    `sizes` `=` $sizes `scale` `=` $scale
    `q_strides` `=` $q_strides `k_strides` `=` $k_strides
    `v_strides` `=` $v_strides `output_strides` `=` $output_strides
    `type` `=` $type attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_AttentionGradOp : Plan_Instruction<"attention_grad",
    [AttrSizedOperandSegments]> {
  let summary = "the cotangents of query, key and value";
  let description = [{
    proto.AttentionGrad: q, k, v, the output, its log Σ exp and its cotangent
    make those of q, k and v. sizes, mask and `ours` as plan.attention has them;
    `strides` of batch, token and head, three each, of q, k, v, output, output's
    cotangent, and of the three results, which may alternate within one buffer.

    ```mlir
    plan.attention_grad %q, %k, %v, %o, %lse, %do -> %dq, %dk, %dv
        sizes = [8, 4, 64, 64, 48, 48] scale = 0.144
        strides = [36864, 576, 144, 36864, 576, 144, 36864, 576, 144,
                   12288, 192, 48, 12288, 192, 48,
                   36864, 576, 144, 36864, 576, 144, 36864, 576, 144] type = f32
    ```
  }];
  let arguments = (ins Plan_Memory:$q, Plan_Memory:$k, Plan_Memory:$v,
      Plan_Memory:$output, Plan_Memory:$log_sum_exp, Plan_Memory:$output_grad,
      Plan_Memory:$query_grad, Plan_Memory:$key_grad, Plan_Memory:$value_grad,
      Optional<Plan_Memory>:$mask, Optional<Plan_Memory>:$workspace,
      DenseI64ArrayAttr:$sizes, F64Attr:$scale, DenseI64ArrayAttr:$strides,
      OptionalAttr<DenseI64ArrayAttr>:$mask_strides,
      DefaultValuedAttr<I64Attr, "1">:$key_head_group, TypeAttr:$type,
      UnitAttr:$ours);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $output `,` $log_sum_exp `,` $output_grad `->`
    $query_grad `,` $key_grad `,` $value_grad (`mask` $mask^ $mask_strides)?
    (`workspace` $workspace^)? `sizes` `=` $sizes `scale` `=` $scale
    `strides` `=` $strides `type` `=` $type attr-dict
  }];
  let extraClassDeclaration = [{
    /// What `getStrides(of)` are of.
    enum Part { Q, K, V, Output, OutputGrad, QueryGrad, KeyGrad, ValueGrad };
    ::llvm::ArrayRef<int64_t> getStrides(Part of) {
      return getStrides().slice(3 * of, 3);
    }
  }];
  let hasVerifier = 1;
}

def Plan_CopyOp : Plan_Instruction<"copy"> {
  let summary = "copies bytes";
  let description = [{ `plan.copy %x to %y`: as many as %y has. }];
  let arguments = (ins Plan_Memory:$from, Plan_Memory:$to);
  let assemblyFormat = "$from `to` $to attr-dict";
  let hasVerifier = 1;
}

def Plan_FillOp : Plan_Instruction<"fill"> {
  let summary = "sets every byte";
  let description = [{ `plan.fill %x with 0` }];
  let arguments = (ins Plan_Memory:$to, I64Attr:$byte);
  let assemblyFormat = "$to `with` $byte attr-dict";
  let hasVerifier = 1;
}

#endif // DIT_PLAN_OPS_TD
