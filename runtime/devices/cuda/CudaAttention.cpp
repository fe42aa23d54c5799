//===- CudaAttention.cpp - Attention by cuDNN -----------------------------===//
//
// The pattern that cuDNN's fused engine looks for, in its order:
//
//   s = q k^T;  t = s * scale (+ mask);  m = max t;  e = exp(t - m);
//   z = sum e;  l = m + log z;  p = e / z, in the type of v;  o = p v
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
  if (present(attention.mask()) && (attention.mask_key_stride() != 1 ||
                                    addresses(attention.mask()) % dnnAlignment))
    return "a mask whose rows have gaps or whose begin is not a multiple of 16 "
           "bytes";
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
      : library(std::move(library)), addresses(addresses),
        title(describe(attention)), builder(*this->library),
        scale(attention.scale()),
        workspace(asPointer(addresses(attention.workspace()))) {}

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
  void makeGraph(const proto::Attention &attention);
  llvm::Error makePack();
  /// A tensor in memory.
  int64_t addOperand(const DnnTensor &tensor, void *pointer) {
    ids.push_back(builder.addTensor(tensor));
    pointers.push_back(pointer);
    return ids.back();
  }

  std::shared_ptr<DnnLibrary> library;
  const CudaAddresses &addresses;
  std::string title;
  GraphBuilder builder;
  float scale;
  void *workspace;
  std::vector<int64_t> ids; // of the tensors in memory, and where they are
  std::vector<void *> pointers;
  std::optional<Descriptor> execution, pack;
};

} // namespace

/// The mask's tensor; dimensions along which it does not change are 1.
static DnnTensor maskTensor(const proto::Attention &attention) {
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

void AttentionCommand::makeGraph(const proto::Attention &attention) {
  DnnType type = *dnnType(plan::elementType(attention.type()));
  int64_t batch = attention.batch(), heads = attention.heads();
  int64_t keyHeads = heads / std::max<int64_t>(attention.key_head_group(), 1);
  int64_t queries = attention.query_tokens(), keys = attention.key_tokens();
  int64_t dim = attention.head_dim(), valueDim = attention.value_dim();
  auto addStrided = [&](const proto::Attention::Operand &operand, int64_t heads,
                        int64_t tokens, int64_t dim, bool transposed = false) {
    DnnTensor tensor{type,
                     {batch, heads, tokens, dim},
                     {operand.batch_stride(), operand.head_stride(),
                      operand.token_stride(), 1}};
    if (transposed) {
      std::swap(tensor.dimensions[2], tensor.dimensions[3]);
      std::swap(tensor.strides[2], tensor.strides[3]);
    }
    return addOperand(tensor, asPointer(addresses(operand.place())));
  };
  auto addScores = [&](DnnType type) {
    return builder.addTensor(
        virtualTensor(type, {batch, heads, queries, keys}));
  };
  // One number a row; [batch, heads, query_tokens] without gaps.
  DnnTensor column = virtualTensor(DnnF32, {batch, heads, queries, 1});

  int64_t q = addStrided(attention.q(), heads, queries, dim);
  int64_t k = addStrided(attention.k(), keyHeads, keys, dim, true);
  int64_t v = addStrided(attention.v(), keyHeads, keys, valueDim);
  int64_t o = addStrided(attention.output(), heads, queries, valueDim);
  int64_t factor =
      addOperand({DnnF32, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true}, &scale);

  int64_t products = addScores(DnnF32), scores = addScores(DnnF32);
  builder.addMatmul(q, k, products);
  builder.addPointwise(DnnMul, products, factor, scores);
  if (present(attention.mask())) {
    int64_t mask = addOperand(maskTensor(attention),
                              asPointer(addresses(attention.mask())));
    int64_t masked = addScores(DnnF32);
    builder.addPointwise(DnnAdd, scores, mask, masked);
    scores = masked;
  }
  int64_t largest = builder.addTensor(column);
  builder.addReduction(DnnMax, scores, largest);
  int64_t shifted = addScores(DnnF32), exponentials = addScores(DnnF32);
  builder.addPointwise(DnnSub, scores, largest, shifted);
  builder.addPointwise(DnnExp, shifted, 0, exponentials);
  int64_t sum = builder.addTensor(column);
  builder.addReduction(DnnSum, exponentials, sum);

  int64_t logarithm = builder.addTensor(column);
  builder.addPointwise(DnnLog, sum, 0, logarithm);
  bool wanted = present(attention.log_sum_exp());
  DnnTensor result = column;
  result.isVirtual = !wanted;
  int64_t logSumExp =
      wanted ? addOperand(result, asPointer(addresses(attention.log_sum_exp())))
             : builder.addTensor(result);
  builder.addPointwise(DnnAdd, largest, logarithm, logSumExp);

  int64_t weights = addScores(type);
  builder.addPointwise(DnnDiv, exponentials, sum, weights);
  builder.addMatmul(weights, v, o);
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
  makeGraph(attention);
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
