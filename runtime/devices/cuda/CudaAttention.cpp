//===- CudaAttention.cpp - Attention by cuDNN -----------------------------===//
//
// The pattern that cuDNN's fused engine looks for, in its order:
//
//   s = q k^T;  t = s * scale;  m = max t;  e = exp(t - m);  z = sum e;
//   l = m + log z;  p = e / z, in the type of v;  o = p v
//
// Everything between q, k, v and o is virtual, and l where nobody wants it; it
// belongs to the pattern all the same.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cuda/CudaAttention.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include <optional>

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

static bool present(const proto::Place &place) {
  return place.space() != proto::Place::NONE;
}

/// "attention bf16, batch 2, 16 heads, 256 x 256 tokens, dim 72"
static std::string describe(const proto::Attention &attention) {
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

static std::optional<DnnType> dnnType(ElementType type) {
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

/// What of an instruction is not supported; empty where all is.
static std::string unsupportedPart(const proto::Attention &attention,
                                   const CudaAddresses &addresses) {
  ElementType type = plan::elementType(attention.type());
  if (!dnnType(type))
    return std::string("the type ") + plan::elementName(type);
  if (present(attention.mask()))
    return "a mask";
  for (const proto::Attention::Operand *operand :
       {&attention.q(), &attention.k(), &attention.v(), &attention.output()})
    if (misaligned(*operand, addresses(operand->place()),
                   plan::elementBytes(type)))
      return "rows that do not begin at multiples of 16 bytes";
  return "";
}

namespace {

class AttentionCommand : public CudaCommand {
public:
  AttentionCommand(const proto::Attention &attention,
                   const CudaAddresses &addresses,
                   std::shared_ptr<DnnLibrary> library)
      : library(std::move(library)), title(describe(attention)),
        builder(*this->library), scale(attention.scale()) {
    for (const proto::Place &place :
         {attention.q().place(), attention.k().place(), attention.v().place(),
          attention.output().place()})
      pointers.push_back(asPointer(addresses(place)));
    pointers.push_back(&scale);
    if (present(attention.log_sum_exp()))
      pointers.push_back(asPointer(addresses(attention.log_sum_exp())));
    workspace = asPointer(addresses(attention.workspace()));
  }

  llvm::Error prepare(const proto::Attention &attention);

  llvm::Error enqueue(const CudaContext &) override {
    return plan::within(
        library->check(library->api().execute(library->handle(),
                                              execution->get(), pack->get()),
                       "execution"),
        title);
  }

  std::string name() const override { return title; }

private:
  llvm::Error makeGraph(const proto::Attention &attention);
  llvm::Error makePack();

  std::shared_ptr<DnnLibrary> library;
  std::string title;
  GraphBuilder builder;
  float scale;
  // Of q, k, v, output, scale and log_sum_exp where that is wanted.
  std::vector<int64_t> ids;
  std::vector<void *> pointers;
  void *workspace;
  std::optional<Descriptor> execution, pack;
};

} // namespace

llvm::Error AttentionCommand::makeGraph(const proto::Attention &attention) {
  DnnType type = *dnnType(plan::elementType(attention.type()));
  int64_t batch = attention.batch(), heads = attention.heads();
  int64_t keyHeads = heads / std::max<int64_t>(attention.key_head_group(), 1);
  int64_t queries = attention.query_tokens(), keys = attention.key_tokens();
  int64_t dim = attention.head_dim(), valueDim = attention.value_dim();
  auto strided = [&](const proto::Attention::Operand &operand, int64_t heads,
                     int64_t tokens, int64_t dim) {
    return DnnTensor{type,
                     {batch, heads, tokens, dim},
                     {operand.batch_stride(), operand.head_stride(),
                      operand.token_stride(), 1}};
  };
  DnnTensor key = strided(attention.k(), keyHeads, keys, dim);
  std::swap(key.dimensions[2], key.dimensions[3]);
  std::swap(key.strides[2], key.strides[3]);
  DnnTensor number{DnnF32, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true};
  DnnTensor scores = virtualTensor(DnnF32, {batch, heads, queries, keys});
  DnnTensor row = virtualTensor(DnnF32, {batch, heads, queries, 1});
  DnnTensor weights = virtualTensor(type, {batch, heads, queries, keys});
  // [batch, heads, query_tokens] without gaps, as virtual tensors are.
  DnnTensor logSumExp = row;
  logSumExp.isVirtual = !present(attention.log_sum_exp());
  enum {
    Q = 1,
    K,
    V,
    O,
    Scale,
    LogSumExp,
    S,
    T,
    Max,
    Shifted,
    Exp,
    Sum,
    Log,
    P
  };
  for (const DnnTensor &tensor :
       {strided(attention.q(), heads, queries, dim), key,
        strided(attention.v(), keyHeads, keys, valueDim),
        strided(attention.output(), heads, queries, valueDim), number,
        logSumExp, scores, scores, row, scores, scores, row, row, weights}) {
    llvm::Expected<int64_t> id = builder.addTensor(tensor);
    if (!id)
      return id.takeError();
    if (ids.size() != pointers.size())
      ids.push_back(*id);
  }
  if (llvm::Error error = builder.addMatmul(Q, K, S))
    return error;
  if (llvm::Error error = builder.addPointwise(DnnMul, S, Scale, T))
    return error;
  if (llvm::Error error = builder.addReduction(DnnMax, T, Max))
    return error;
  if (llvm::Error error = builder.addPointwise(DnnSub, T, Max, Shifted))
    return error;
  if (llvm::Error error = builder.addPointwise(DnnExp, Shifted, 0, Exp))
    return error;
  if (llvm::Error error = builder.addReduction(DnnSum, Exp, Sum))
    return error;
  if (llvm::Error error = builder.addPointwise(DnnLog, Sum, 0, Log))
    return error;
  if (llvm::Error error = builder.addPointwise(DnnAdd, Max, Log, LogSumExp))
    return error;
  if (llvm::Error error = builder.addPointwise(DnnDiv, Exp, Sum, P))
    return error;
  return builder.addMatmul(P, V, O);
}

llvm::Error AttentionCommand::makePack() {
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

llvm::Error AttentionCommand::prepare(const proto::Attention &attention) {
  if (llvm::Error error = makeGraph(attention))
    return error;
  llvm::Expected<Descriptor> made =
      builder.makePlan(workspace ? attention.workspace().bytes() : 0);
  if (!made)
    return made.takeError();
  execution.emplace(std::move(*made));
  return makePack();
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createAttention(const proto::Attention &attention,
                                    const CudaAddresses &addresses,
                                    std::shared_ptr<DnnLibrary> library) {
  if (std::string part = unsupportedPart(attention, addresses); !part.empty())
    return failure(Exit::Unsupported, describe(attention) +
                                          ": this ditrun does not support " +
                                          part);
  auto command = std::make_unique<AttentionCommand>(attention, addresses,
                                                    std::move(library));
  if (llvm::Error error = command->prepare(attention))
    return plan::within(std::move(error), describe(attention));
  return command;
}
