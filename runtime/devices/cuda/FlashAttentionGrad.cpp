//===- FlashAttentionGrad.cpp - Attention's gradient by our kernel --------===//

#include "runtime/devices/cuda/FlashAttentionGrad.h"

#include "runtime/devices/cuda/AttentionTensors.h"

using namespace dit;
using namespace dit::runtime::cuda;

namespace {

/// In elements.
struct Strides {
  int64_t batch, token, head;
};

/// What the kernel takes by value: GradArguments of FlashAttentionGradSm90.cu.
struct Arguments {
  DevicePointer query, key, value, output, outputGrad;
  DevicePointer queryGrad, keyGrad, valueGrad;
  DevicePointer logSumExp;
  Strides queryStrides, keyStrides, valueStrides, outputStrides,
      outputGradStrides, queryGradStrides, keyGradStrides, valueGradStrides;
  int32_t heads;
  float scale;
};

class FlashGradCommand : public CudaCommand {
public:
  FlashGradCommand(const proto::AttentionGrad &gradient,
                   const CudaAddresses &addresses, Function function);

  llvm::Error enqueue(const CudaContext &context) override {
    void *parameters[] = {&arguments};
    const proto::FlashAttentionGrad &flash = gradient.flash();
    return context.api().check(
        context.api().launchKernel(function, gradient.forward().heads(),
                                   gradient.forward().batch(), 1,
                                   flash.threads(), 1, 1, flash.shared_bytes(),
                                   context.stream(), parameters, nullptr),
        name());
  }

  std::string name() const override {
    return "our gradient of " + describe(gradient.forward());
  }

private:
  const proto::AttentionGrad &gradient;
  Function function;
  Arguments arguments;
};

} // namespace

static Strides stridesOf(const proto::Attention::Operand &operand) {
  return {operand.batch_stride(), operand.token_stride(),
          operand.head_stride()};
}

FlashGradCommand::FlashGradCommand(const proto::AttentionGrad &gradient,
                                   const CudaAddresses &addresses,
                                   Function function)
    : gradient(gradient), function(function) {
  const proto::Attention &forward = gradient.forward();
  arguments = {addresses(forward.q().place()),
               addresses(forward.k().place()),
               addresses(forward.v().place()),
               addresses(forward.output().place()),
               addresses(gradient.output_grad().place()),
               addresses(gradient.query_grad().place()),
               addresses(gradient.key_grad().place()),
               addresses(gradient.value_grad().place()),
               addresses(forward.log_sum_exp()),
               stridesOf(forward.q()),
               stridesOf(forward.k()),
               stridesOf(forward.v()),
               stridesOf(forward.output()),
               stridesOf(gradient.output_grad()),
               stridesOf(gradient.query_grad()),
               stridesOf(gradient.key_grad()),
               stridesOf(gradient.value_grad()),
               static_cast<int32_t>(forward.heads()),
               forward.scale()};
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createFlashAttentionGrad(
    const proto::AttentionGrad &gradient, const CudaAddresses &addresses,
    FlashKernels &kernels) {
  llvm::Expected<Function> function = kernels.find(gradient.flash());
  if (!function)
    return function.takeError();
  return std::make_unique<FlashGradCommand>(gradient, addresses, *function);
}
