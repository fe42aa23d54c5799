//===- KernelCommands.cpp - GEMM and attention instructions ---------------===//

#include "runtime/devices/cpu/KernelCommands.h"

#include "runtime/kernels/attention/AttentionGrad.h"
#include "runtime/kernels/gemm/Gemm.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

/// A kernel with blocks(), scratchBytes() and run(pointers, ...).
template <typename Kernel, typename Pointers>
class KernelCommand : public CpuCommand {
public:
  KernelCommand(Kernel kernel, const Pointers &pointers,
                const WorkEstimate &work)
      : kernel(std::move(kernel)), pointers(pointers),
        split(work.split(this->kernel.blocks())) {}

  void run(CpuWorkers &workers) override {
    workers.pool.parallelFor(kernel.blocks(), split.chunk, split.threads,
                             [&](unsigned thread, int64_t begin, int64_t end) {
                               kernel.run(pointers, begin, end,
                                          workers.scratchOf(thread));
                             });
  }

  uint64_t scratchBytes() const override { return kernel.scratchBytes(); }

private:
  Kernel kernel;
  Pointers pointers;
  WorkSplit split;
};

} // namespace

static bool present(const proto::Place &place) {
  return place.space() != proto::Place::NONE;
}

static GemmShape gemmShape(const proto::Gemm &gemm) {
  GemmShape shape;
  shape.m = gemm.m();
  shape.n = gemm.n();
  shape.k = gemm.k();
  shape.batch = gemm.batch();
  shape.aType = plan::elementType(gemm.a_type());
  shape.bType = plan::elementType(gemm.b_type());
  shape.cType = plan::elementType(gemm.c_type());
  shape.transposeA = gemm.transpose_a();
  shape.transposeB = gemm.transpose_b();
  if (gemm.has_packed())
    shape.packed = plan::panelLayout(gemm.packed());
  shape.lda = gemm.lda();
  shape.ldb = gemm.ldb();
  shape.ldc = gemm.ldc();
  shape.strideA = gemm.stride_a();
  shape.strideB = gemm.stride_b();
  shape.strideC = gemm.stride_c();
  if (present(gemm.bias()))
    shape.biasType = plan::elementType(gemm.bias_type());
  shape.activation = static_cast<Activation>(gemm.activation());
  if (present(gemm.gate())) {
    shape.gateType = plan::elementType(gemm.gate_type());
    shape.rowsPerGate = gemm.rows_per_gate();
    shape.gateStride = gemm.gate_stride();
  }
  if (present(gemm.residual()))
    shape.residualStride = gemm.residual_stride();
  shape.beta = gemm.beta();
  return shape;
}

llvm::Expected<std::unique_ptr<CpuCommand>>
dit::runtime::createGemm(const proto::Gemm &gemm, const CpuAddresses &addresses,
                         const WorkEstimate &work) {
  if (present(gemm.aux()))
    return failure(Exit::Unsupported,
                   "gemm " + std::to_string(gemm.m()) + "x" +
                       std::to_string(gemm.n()) + "x" +
                       std::to_string(gemm.k()) +
                       ": products on CPUs have no aux (GELU's input, which "
                       "GPUs keep or read)");
  llvm::Expected<GemmKernel> kernel = GemmKernel::create(gemmShape(gemm));
  if (!kernel)
    return failure(Exit::Unsupported, llvm::toString(kernel.takeError()));
  GemmPointers pointers;
  pointers.a = addresses(gemm.a());
  pointers.b = addresses(gemm.b());
  pointers.c = addresses(gemm.c());
  pointers.bias = addresses(gemm.bias());
  pointers.gate = addresses(gemm.gate());
  pointers.residual = addresses(gemm.residual());
  return std::make_unique<KernelCommand<GemmKernel, GemmPointers>>(
      std::move(*kernel), pointers, work);
}

static AttentionShape::Operand
operandStrides(const proto::Attention::Operand &operand) {
  return {operand.batch_stride(), operand.token_stride(),
          operand.head_stride()};
}

static AttentionShape attentionShape(const proto::Attention &attention) {
  AttentionShape shape;
  shape.batch = attention.batch();
  shape.heads = attention.heads();
  shape.queryTokens = attention.query_tokens();
  shape.keyTokens = attention.key_tokens();
  shape.headDim = attention.head_dim();
  shape.valueDim = attention.value_dim();
  shape.scale = attention.scale();
  shape.type = plan::elementType(attention.type());
  shape.q = operandStrides(attention.q());
  shape.k = operandStrides(attention.k());
  shape.v = operandStrides(attention.v());
  shape.output = operandStrides(attention.output());
  shape.hasMask = present(attention.mask());
  shape.maskBatchStride = attention.mask_batch_stride();
  shape.maskHeadStride = attention.mask_head_stride();
  shape.maskQueryStride = attention.mask_query_stride();
  shape.maskKeyStride = attention.mask_key_stride();
  shape.keyHeadGroup = std::max<int64_t>(attention.key_head_group(), 1);
  return shape;
}

llvm::Expected<std::unique_ptr<CpuCommand>>
dit::runtime::createAttention(const proto::Attention &attention,
                              const CpuAddresses &addresses,
                              const WorkEstimate &work) {
  llvm::Expected<AttentionKernel> kernel =
      AttentionKernel::create(attentionShape(attention));
  if (!kernel)
    return failure(Exit::Unsupported, llvm::toString(kernel.takeError()));
  AttentionPointers pointers;
  pointers.q = addresses(attention.q().place());
  pointers.k = addresses(attention.k().place());
  pointers.v = addresses(attention.v().place());
  pointers.output = addresses(attention.output().place());
  pointers.mask = reinterpret_cast<const float *>(addresses(attention.mask()));
  pointers.logSumExp =
      reinterpret_cast<float *>(addresses(attention.log_sum_exp()));
  return std::make_unique<KernelCommand<AttentionKernel, AttentionPointers>>(
      std::move(*kernel), pointers, work);
}

llvm::Expected<std::unique_ptr<CpuCommand>>
dit::runtime::createAttentionGrad(const proto::AttentionGrad &gradient,
                                  const CpuAddresses &addresses,
                                  const WorkEstimate &work) {
  const proto::Attention &forward = gradient.forward();
  AttentionGradShape shape;
  shape.forward = attentionShape(forward);
  shape.outputGrad = operandStrides(gradient.output_grad());
  shape.queryGrad = operandStrides(gradient.query_grad());
  shape.keyGrad = operandStrides(gradient.key_grad());
  shape.valueGrad = operandStrides(gradient.value_grad());
  llvm::Expected<AttentionGradKernel> kernel =
      AttentionGradKernel::create(shape);
  if (!kernel)
    return failure(Exit::Unsupported, llvm::toString(kernel.takeError()));
  AttentionGradPointers pointers;
  pointers.q = addresses(forward.q().place());
  pointers.k = addresses(forward.k().place());
  pointers.v = addresses(forward.v().place());
  pointers.output = addresses(forward.output().place());
  pointers.logSumExp =
      reinterpret_cast<const float *>(addresses(forward.log_sum_exp()));
  pointers.outputGrad = addresses(gradient.output_grad().place());
  pointers.mask = reinterpret_cast<const float *>(addresses(forward.mask()));
  pointers.queryGrad = addresses(gradient.query_grad().place());
  pointers.keyGrad = addresses(gradient.key_grad().place());
  pointers.valueGrad = addresses(gradient.value_grad().place());
  return std::make_unique<
      KernelCommand<AttentionGradKernel, AttentionGradPointers>>(
      std::move(*kernel), pointers, work);
}
