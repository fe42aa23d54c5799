//===- FlashAttention.cpp - Attention by our own kernel -------------------===//

#include "runtime/devices/cuda/FlashAttention.h"

#include "runtime/devices/cuda/AttentionTensors.h"
#include "runtime/plan/Failure.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<Function> FlashKernels::find(const std::string &part,
                                            const std::string &symbol,
                                            int64_t sharedBytes) {
  std::string name = "attention kernel '" + plan::escaped(symbol) + "' of '" +
                     plan::escaped(part) + "'";
  auto found = modules.find(part);
  if (found == modules.end()) {
    llvm::Expected<Owned<Module>> module = loadPart(context, plan, part);
    if (!module)
      return plan::within(module.takeError(), name);
    found = modules.emplace(part, std::move(*module)).first;
  }
  const CudaApi &api = context.api();
  Function function;
  if (api.moduleGetFunction(&function, found->second.get(), symbol.c_str()))
    return failure(Exit::Malformed, "the plan's code has no " + name);
  if (api.funcSetAttribute(function, MaxDynamicSharedBytes,
                           static_cast<int>(sharedBytes)))
    return failure(Exit::Unsupported,
                   name + " wants " + llvm::Twine(sharedBytes) +
                       " bytes of shared memory a block, more than " +
                       context.gpu().name + " has");
  return function;
}

namespace {

/// What the kernel takes by value: FlashArguments of FlashAttentionSm90.cu.
struct Arguments {
  DevicePointer output;
  DevicePointer logSumExp;
  int64_t outputBatchStride, outputTokenStride, outputHeadStride;
  int32_t heads, queries, keys;
  float scale;
};

/// How the copy engine sees an operand: the first 64 columns of its rows, and
/// the rest, where there is one.
struct OperandMaps {
  TensorMap first, rest;
};

class FlashCommand : public CudaCommand {
public:
  FlashCommand(const proto::Attention &attention,
               const CudaAddresses &addresses, Function function)
      : attention(attention), function(function) {
    const proto::Attention::Operand &output = attention.output();
    arguments = {addresses(output.place()),
                 addresses(attention.log_sum_exp()),
                 output.batch_stride(),
                 output.token_stride(),
                 output.head_stride(),
                 static_cast<int32_t>(attention.heads()),
                 static_cast<int32_t>(attention.query_tokens()),
                 static_cast<int32_t>(attention.key_tokens()),
                 attention.scale()};
  }

  /// Describes an operand of `tokens` tokens to the copy engine.
  llvm::Error describe(const CudaContext &context, OperandMaps &maps,
                       const proto::Attention::Operand &operand,
                       DevicePointer address, int64_t tokens) const;
  llvm::Error describeAll(const CudaContext &context,
                          const CudaAddresses &addresses);

  llvm::Error enqueue(const CudaContext &context) override {
    void *parameters[] = {&arguments, &q, &k, &v};
    int64_t block = attention.flash().query_block();
    return context.api().check(
        context.api().launchKernel(
            function, (attention.query_tokens() + block - 1) / block,
            attention.heads(), attention.batch(), 2 * block, 1, 1,
            attention.flash().shared_bytes(), context.stream(), parameters,
            nullptr),
        name());
  }

  std::string name() const override {
    return "our " + runtime::cuda::describe(attention);
  }

private:
  const proto::Attention &attention;
  Function function;
  Arguments arguments;
  OperandMaps q{}, k{}, v{};
};

} // namespace

llvm::Error FlashCommand::describe(const CudaContext &context,
                                   OperandMaps &maps,
                                   const proto::Attention::Operand &operand,
                                   DevicePointer address,
                                   int64_t tokens) const {
  constexpr uint64_t elementBytes = 2;
  constexpr uint32_t boxTokens = 64, firstColumns = 64;
  auto bytes = [](int64_t stride) {
    return static_cast<uint64_t>(stride) * elementBytes;
  };
  const uint64_t sizes[] = {static_cast<uint64_t>(attention.head_dim()),
                            static_cast<uint64_t>(tokens),
                            static_cast<uint64_t>(attention.heads()),
                            static_cast<uint64_t>(attention.batch())};
  const uint64_t strides[] = {bytes(operand.token_stride()),
                              bytes(operand.head_stride()),
                              bytes(operand.batch_stride())};
  auto encode = [&](TensorMap &map, uint32_t columns,
                    TensorMapSwizzle swizzle) {
    const uint32_t box[] = {columns, boxTokens, 1, 1}, steps[] = {1, 1, 1, 1};
    return context.api().check(context.api().tensorMapEncodeTiled(
                                   &map, TensorMapBf16, 4, asPointer(address),
                                   sizes, strides, box, steps,
                                   TensorMapNotInterleaved, swizzle,
                                   TensorMapPromotion256, TensorMapFillZero),
                               "cuTensorMapEncodeTiled of " + name());
  };
  if (llvm::Error error = encode(maps.first, firstColumns, TensorMapSwizzle128))
    return error;
  // The kernel's boxes for the rest are as wide as their swizzle.
  int64_t rest = attention.head_dim() - firstColumns;
  if (rest <= 0)
    return llvm::Error::success();
  if (rest <= 16)
    return encode(maps.rest, 16, TensorMapSwizzle32);
  if (rest <= 32)
    return encode(maps.rest, 32, TensorMapSwizzle64);
  return encode(maps.rest, 64, TensorMapSwizzle128);
}

llvm::Error FlashCommand::describeAll(const CudaContext &context,
                                      const CudaAddresses &addresses) {
  struct Part {
    OperandMaps &maps;
    const proto::Attention::Operand &operand;
    int64_t tokens;
  };
  for (Part part : {Part{q, attention.q(), attention.query_tokens()},
                    {k, attention.k(), attention.key_tokens()},
                    {v, attention.v(), attention.key_tokens()}})
    if (llvm::Error error =
            describe(context, part.maps, part.operand,
                     addresses(part.operand.place()), part.tokens))
      return error;
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createFlashAttention(const proto::Attention &attention,
                                         const CudaAddresses &addresses,
                                         const CudaContext &context,
                                         FlashKernels &kernels) {
  llvm::Expected<Function> function = kernels.find(attention.flash());
  if (!function)
    return function.takeError();
  auto command =
      std::make_unique<FlashCommand>(attention, addresses, *function);
  if (llvm::Error error = command->describeAll(context, addresses))
    return std::move(error);
  return command;
}
