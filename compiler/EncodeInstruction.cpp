//===- EncodeInstruction.cpp - Plan ops as messages -----------------------===//
#include "compiler/EncodeInstruction.h"

#include "compiler/codegen/gpu/FlashAttention.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;

proto::ElementType dit::encodeElementType(Type type) {
  if (type.isF32())
    return proto::F32;
  if (type.isF16())
    return proto::F16;
  if (type.isBF16())
    return proto::BF16;
  if (type.isF64())
    return proto::F64;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return proto::ELEMENT_TYPE_UNSPECIFIED;
  switch (integer.getWidth()) {
  case 1:
    return proto::BOOL;
  case 8:
    return integer.isUnsigned() ? proto::U8 : proto::I8;
  case 16:
    return proto::I16;
  case 32:
    return proto::I32;
  case 64:
    return proto::I64;
  default:
    return proto::ELEMENT_TYPE_UNSPECIFIED;
  }
}

namespace {
/// Encodes the ops of one function.
struct Encoder {
  const PlanIndices &indices;

  void encode(Value memory, proto::Place *place) const {
    if (!memory)
      return; // space NONE
    plan::Place resolved = plan::getPlace(memory);
    place->set_bytes(resolved.bytes);
    if (auto buffer = dyn_cast<plan::BufferOp>(resolved.root)) {
      place->set_space(proto::Place::ARENA);
      place->set_offset(*buffer.getOffset() + resolved.offset);
      return;
    }
    auto global = cast<plan::GlobalMemoryOp>(resolved.root);
    place->set_space(proto::Place::GLOBAL);
    place->set_global(indices.globals.at(global.getGlobalAttr().getAttr()));
    place->set_offset(resolved.offset);
  }

  void encode(plan::LaunchOp op, proto::Instruction &instruction) const {
    proto::Launch *launch = instruction.mutable_launch();
    launch->set_kernel(indices.kernels.at(op.getKernelAttr().getAttr()));
    for (Value operand : op->getOperands())
      encode(operand, launch->add_operands());
    launch->set_blocks(op.getBlocks());
  }

  void encode(plan::GemmOp op, proto::Instruction &instruction) const {
    proto::Gemm *gemm = instruction.mutable_gemm();
    gemm->set_m(op.getM());
    gemm->set_n(op.getN());
    gemm->set_k(op.getK());
    gemm->set_batch(op.getBatch());
    gemm->set_a_type(encodeElementType(op.getElementType(0)));
    gemm->set_b_type(encodeElementType(op.getElementType(1)));
    gemm->set_c_type(encodeElementType(op.getElementType(2)));
    gemm->set_transpose_a(op.getTransposeA());
    gemm->set_transpose_b(op.getTransposeB());
    if (std::optional<PackedAttr> packed = op.getPacked()) {
      gemm->mutable_packed()->set_columns(packed->getColumns());
      gemm->mutable_packed()->set_vnni(packed->getVnni());
    }
    gemm->set_lda(op.getLeading()[0]);
    gemm->set_ldb(op.getLeading()[1]);
    gemm->set_ldc(op.getLeading()[2]);
    gemm->set_stride_a(op.getStrides()[0]);
    gemm->set_stride_b(op.getStrides()[1]);
    gemm->set_stride_c(op.getStrides()[2]);
    encode(op.getA(), gemm->mutable_a());
    encode(op.getB(), gemm->mutable_b());
    encode(op.getC(), gemm->mutable_c());
    gemm->set_activation(
        static_cast<proto::Gemm::Activation>(op.getActivation()));
    if (op.getBias()) {
      encode(op.getBias(), gemm->mutable_bias());
      gemm->set_bias_type(encodeElementType(*op.getBiasType()));
    }
    if (op.getGate()) {
      encode(op.getGate(), gemm->mutable_gate());
      gemm->set_gate_type(encodeElementType(*op.getGateType()));
      gemm->set_rows_per_gate(op.getRowsPerGate());
      gemm->set_gate_stride(op.getGateStride());
    }
    if (op.getResidual()) {
      encode(op.getResidual(), gemm->mutable_residual());
      gemm->set_residual_stride(op.getResidualStride());
    }
    if (op.getAux()) {
      encode(op.getAux(), gemm->mutable_aux());
      gemm->set_aux_stride(op.getAuxStride());
    }
    if (op.getWorkspace())
      encode(op.getWorkspace(), gemm->mutable_workspace());
  }

  void encode(Value memory, ArrayRef<int64_t> strides,
              proto::Attention::Operand *operand) const {
    encode(memory, operand->mutable_place());
    operand->set_batch_stride(strides[0]);
    operand->set_token_stride(strides[1]);
    operand->set_head_stride(strides[2]);
  }

  /// What an attention and its gradient have in common.
  template <typename Op>
  void encodeSizes(Op op, proto::Attention *attention) const {
    ArrayRef<int64_t> sizes = op.getSizes();
    attention->set_batch(sizes[0]);
    attention->set_heads(sizes[1]);
    attention->set_query_tokens(sizes[2]);
    attention->set_key_tokens(sizes[3]);
    attention->set_head_dim(sizes[4]);
    attention->set_value_dim(sizes[5]);
    attention->set_scale(op.getScale().convertToDouble());
    attention->set_type(encodeElementType(op.getType()));
    if (op.getMask()) {
      encode(op.getMask(), attention->mutable_mask());
      ArrayRef<int64_t> strides = *op.getMaskStrides();
      attention->set_mask_batch_stride(strides[0]);
      attention->set_mask_head_stride(strides[1]);
      attention->set_mask_query_stride(strides[2]);
      attention->set_mask_key_stride(strides[3]);
    }
    if (op.getLogSumExp())
      encode(op.getLogSumExp(), attention->mutable_log_sum_exp());
    attention->set_key_head_group(op.getKeyHeadGroup());
  }

  void encode(plan::AttentionOp op, proto::Instruction &instruction) const {
    proto::Attention *attention = instruction.mutable_attention();
    encodeSizes(op, attention);
    encode(op.getQ(), op.getQStrides(), attention->mutable_q());
    encode(op.getK(), op.getKStrides(), attention->mutable_k());
    encode(op.getV(), op.getVStrides(), attention->mutable_v());
    encode(op.getOutput(), op.getOutputStrides(), attention->mutable_output());
    if (op.getWorkspace())
      encode(op.getWorkspace(), attention->mutable_workspace());
    if (op.getOurs())
      encodeFlash(codegen::getFlashAttention(op.getSizes()[4]),
                  attention->mutable_flash())
          ->set_query_block(codegen::flashQueryBlock);
  }

  /// What the launches of our own kernels have in common.
  template <typename Flash>
  Flash *encodeFlash(const codegen::FlashKernel &kernel, Flash *flash) const {
    flash->set_part(kernel.part);
    flash->set_symbol(kernel.symbol);
    flash->set_shared_bytes(kernel.sharedBytes);
    return flash;
  }

  void encode(plan::AttentionGradOp op, proto::Instruction &instruction) const {
    using Op = plan::AttentionGradOp;
    proto::AttentionGrad *gradient = instruction.mutable_attention_grad();
    proto::Attention *forward = gradient->mutable_forward();
    encodeSizes(op, forward);
    encode(op.getQ(), op.getStrides(Op::Q), forward->mutable_q());
    encode(op.getK(), op.getStrides(Op::K), forward->mutable_k());
    encode(op.getV(), op.getStrides(Op::V), forward->mutable_v());
    encode(op.getOutput(), op.getStrides(Op::Output),
           forward->mutable_output());
    encode(op.getOutputGrad(), op.getStrides(Op::OutputGrad),
           gradient->mutable_output_grad());
    encode(op.getQueryGrad(), op.getStrides(Op::QueryGrad),
           gradient->mutable_query_grad());
    encode(op.getKeyGrad(), op.getStrides(Op::KeyGrad),
           gradient->mutable_key_grad());
    encode(op.getValueGrad(), op.getStrides(Op::ValueGrad),
           gradient->mutable_value_grad());
    if (op.getWorkspace())
      encode(op.getWorkspace(), gradient->mutable_workspace());
    if (op.getOurs()) {
      codegen::FlashKernel kernel =
          codegen::getFlashAttentionGrad(op.getSizes()[4], op.getSizes()[2]);
      encodeFlash(kernel, gradient->mutable_flash())
          ->set_threads(kernel.threads);
    }
  }

  void encode(plan::CopyOp op, proto::Instruction &instruction) const {
    encode(op.getFrom(), instruction.mutable_copy()->mutable_from());
    encode(op.getTo(), instruction.mutable_copy()->mutable_to());
  }

  void encode(plan::FillOp op, proto::Instruction &instruction) const {
    encode(op.getTo(), instruction.mutable_fill()->mutable_to());
    instruction.mutable_fill()->set_byte(op.getByte());
  }
};
} // namespace

proto::Instruction dit::encodeInstruction(plan::InstructionInterface op,
                                          const PlanIndices &indices) {
  proto::Instruction instruction;
  Encoder encoder{indices};
  llvm::TypeSwitch<Operation *>(op)
      .Case<plan::LaunchOp, plan::GemmOp, plan::AttentionOp,
            plan::AttentionGradOp, plan::CopyOp, plan::FillOp>(
          [&](auto known) { encoder.encode(known, instruction); })
      .DefaultUnreachable("every instruction is one of these");
  if (auto name = op->getLoc()->findInstanceOf<NameLoc>())
    instruction.set_location(name.getName().getValue().str());
  return instruction;
}
