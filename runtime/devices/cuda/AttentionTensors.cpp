//===- AttentionTensors.cpp - Operands of attention for cuDNN -------------===//

#include "runtime/devices/cuda/AttentionTensors.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::ElementType;

std::string dit::runtime::cuda::describe(const proto::Attention &attention) {
  std::string text = std::string("attention ") +
                     plan::elementName(plan::elementType(attention.type())) +
                     ", batch " + std::to_string(attention.batch()) + ", " +
                     std::to_string(attention.heads()) + " heads, " +
                     std::to_string(attention.query_tokens()) + " x " +
                     std::to_string(attention.key_tokens()) + " tokens, dim " +
                     std::to_string(attention.head_dim());
  if (attention.value_dim() != attention.head_dim())
    text += " and " + std::to_string(attention.value_dim());
  return text;
}

int64_t dit::runtime::cuda::keyHeadGroup(const proto::Attention &attention) {
  return std::max<int64_t>(attention.key_head_group(), 1);
}

std::optional<DnnType> dit::runtime::cuda::dnnType(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return DnnF32;
  case ElementType::F16:
    return DnnF16;
  case ElementType::BF16:
    return DnnBF16;
  default:
    return std::nullopt;
  }
}

/// Rows of an operand that do not begin at multiples of 16 bytes.
static bool misaligned(const proto::Attention::Operand &operand,
                       DevicePointer address, int64_t elementBytes) {
  int64_t elements = dnnAlignment / elementBytes;
  return address % dnnAlignment || operand.batch_stride() % elements ||
         operand.token_stride() % elements || operand.head_stride() % elements;
}

std::string dit::runtime::cuda::unsupportedPart(
    const proto::Attention &attention, const CudaAddresses &addresses,
    llvm::ArrayRef<const proto::Attention::Operand *> operands) {
  ElementType type = plan::elementType(attention.type());
  if (!dnnType(type))
    return std::string("the type ") + plan::elementName(type);
  if (present(attention.mask()) && (attention.mask_key_stride() != 1 ||
                                    addresses(attention.mask()) % dnnAlignment))
    return "a mask whose rows have gaps or whose begin is not a multiple of 16 "
           "bytes";
  for (const proto::Attention::Operand *operand : operands)
    if (misaligned(*operand, addresses(operand->place()),
                   plan::elementBytes(type)))
      return "rows that do not begin at multiples of 16 bytes";
  return "";
}

DnnTensor dit::runtime::cuda::operandTensor(
    const proto::Attention &attention, const proto::Attention::Operand &operand,
    int64_t heads, int64_t tokens, int64_t dim, bool transposed) {
  DnnTensor tensor{*dnnType(plan::elementType(attention.type())),
                   {attention.batch(), heads, tokens, dim},
                   {operand.batch_stride(), operand.head_stride(),
                    operand.token_stride(), 1}};
  if (transposed) {
    std::swap(tensor.dimensions[2], tensor.dimensions[3]);
    std::swap(tensor.strides[2], tensor.strides[3]);
  }
  return tensor;
}

DnnTensor dit::runtime::cuda::maskTensor(const proto::Attention &attention) {
  int64_t keys = attention.key_tokens();
  DnnTensor mask{
      DnnF32,
      {attention.batch(), attention.heads(), attention.query_tokens(), keys},
      {attention.mask_batch_stride(), attention.mask_head_stride(),
       attention.mask_query_stride(), 1}};
  for (unsigned i = 0; i != 3; ++i)
    if (mask.strides[i] == 0) {
      mask.dimensions[i] = 1;
      mask.strides[i] = keys;
    }
  return mask;
}

int64_t GraphCommand::addOperand(const DnnTensor &tensor, void *pointer) {
  ids.push_back(graph.addTensor(tensor));
  pointers.push_back(pointer);
  return ids.back();
}

int64_t GraphCommand::addScalar(float *value) {
  return addOperand({DnnF32, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true}, value);
}

llvm::Error GraphCommand::finish(void *workspace, const EngineLimits &limits) {
  std::shared_ptr<DnnPlan> &known = library->plan(
      graph.description() + std::to_string(limits.workspaceBytes) + " " +
      std::to_string(limits.reservedBytes) + " " +
      std::to_string(limits.deterministic));
  if (!known) {
    llvm::Expected<Descriptor> made = graph.makePlan(limits);
    if (!made)
      return made.takeError();
    known = std::make_shared<DnnPlan>(std::move(graph), std::move(*made));
  }
  execution = known;
  llvm::Expected<Descriptor> made =
      Descriptor::create(*library, VariantPackDescriptor);
  if (!made)
    return made.takeError();
  made->setMany(VariantPackUniqueIds, TypeInt64, ids.size(), ids.data())
      .setMany(VariantPackPointers, TypePointer, pointers.size(),
               pointers.data())
      .set(VariantPackWorkspace, TypePointer, workspace);
  if (llvm::Error error = made->finalize())
    return error;
  pack.emplace(std::move(*made));
  return llvm::Error::success();
}

llvm::Error GraphCommand::enqueue(const CudaContext &) {
  return plan::within(
      library->check(library->api().execute(library->handle(),
                                            execution->execution.get(),
                                            pack->get()),
                     "execution"),
      title);
}
