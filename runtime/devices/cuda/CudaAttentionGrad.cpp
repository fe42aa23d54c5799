//===- CudaAttentionGrad.cpp - Attention's gradient by cuDNN --------------===//
//
// The pattern that cuDNN's fused engine looks for, in its order, with K and V
// seen transposed:
//
//   delta = sum(dO * O) * 1           in memory: [batch, heads, queries]
//   p     = exp(q k^T * scale (+ mask) - l)
//   dV    = p^T dO                    p^T: a reshape, in the type of q
//   ds    = (dO v^T - delta) * p * scale
//   dK    = ds^T q
//   dQ    = ds k                      k: a reshape of k^T
//
// dQ as a product is what makes it deterministic: cuDNN then keeps ds whole,
// in 16 bits, in its workspace; with fp32 sums of its own it would add with
// atomics. Heads that share a key head get gradients of their own first, which
// a reduction adds.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cuda/CudaAttentionGrad.h"

#include "runtime/devices/cuda/AttentionTensors.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/Support/MathExtras.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

class AttentionGradCommand : public GraphCommand {
public:
  AttentionGradCommand(const proto::AttentionGrad &gradient,
                       const CudaAddresses &addresses,
                       std::shared_ptr<DnnLibrary> library)
      : GraphCommand("gradient of " + describe(gradient.forward()),
                     std::move(library)),
        gradient(gradient), forward(gradient.forward()), addresses(addresses),
        scale(forward.scale()) {}

  llvm::Error prepare();

private:
  /// The graph's tensors that are used in more than one of its parts.
  struct Tensors {
    int64_t q, keys, values, outputGrad, factor, delta, probabilities;
  };

  int64_t addStrided(const proto::Attention::Operand &operand, int64_t heads,
                     int64_t tokens, int64_t dim, bool transposed = false) {
    return addOperand(
        operandTensor(forward, operand, heads, tokens, dim, transposed),
        asPointer(addresses(operand.place())));
  }
  int64_t addScores() {
    return graph.addTensor(
        virtualTensor(DnnF32, {forward.batch(), forward.heads(),
                               forward.query_tokens(), forward.key_tokens()}));
  }
  void addDelta(Tensors &tensors, void *memory);
  void addProbabilities(Tensors &tensors);
  int64_t addTransposed(int64_t scores);
  void addKeyResult(int64_t transposed, int64_t right, int64_t dim,
                    const proto::Attention::Operand &result);
  void addGradients(const Tensors &tensors);

  const proto::AttentionGrad &gradient;
  const proto::Attention &forward;
  const CudaAddresses &addresses;
  float scale, one = 1;
};

} // namespace

void AttentionGradCommand::addDelta(Tensors &tensors, void *memory) {
  int64_t batch = forward.batch(), heads = forward.heads(),
          queries = forward.query_tokens(), dim = forward.value_dim();
  int64_t output = addStrided(forward.output(), heads, queries, dim);
  tensors.outputGrad = addStrided(gradient.output_grad(), heads, queries, dim);
  int64_t products =
      graph.addTensor(virtualTensor(DnnF32, {batch, heads, queries, dim}));
  graph.addPointwise(DnnMul, tensors.outputGrad, output, products);
  DnnTensor column = virtualTensor(DnnF32, {batch, heads, queries, 1});
  int64_t sums = graph.addTensor(column);
  graph.addReduction(DnnSum, products, sums);
  column.isVirtual = false;
  tensors.delta = addOperand(column, memory);
  graph.addPointwise(DnnMul, sums, addScalar(&one), tensors.delta);
}

void AttentionGradCommand::addProbabilities(Tensors &tensors) {
  int64_t heads = forward.heads(), queries = forward.query_tokens(),
          keys = forward.key_tokens(), dim = forward.head_dim();
  int64_t keyHeads = heads / keyHeadGroup(forward);
  tensors.q = addStrided(forward.q(), heads, queries, dim);
  tensors.keys = addStrided(forward.k(), keyHeads, keys, dim, true);
  tensors.values =
      addStrided(forward.v(), keyHeads, keys, forward.value_dim(), true);
  tensors.factor = addScalar(&scale);
  int64_t products = addScores(), scores = addScores();
  graph.addMatmul(tensors.q, tensors.keys, products);
  graph.addPointwise(DnnMul, products, tensors.factor, scores);
  if (present(forward.mask())) {
    int64_t mask =
        addOperand(maskTensor(forward), asPointer(addresses(forward.mask())));
    int64_t masked = addScores();
    graph.addPointwise(DnnAdd, scores, mask, masked);
    scores = masked;
  }
  DnnTensor column =
      virtualTensor(DnnF32, {forward.batch(), heads, queries, 1});
  column.isVirtual = false;
  int64_t logSumExp =
      addOperand(column, asPointer(addresses(forward.log_sum_exp())));
  int64_t exponents = addScores();
  graph.addPointwise(DnnSub, scores, logSumExp, exponents);
  tensors.probabilities = addScores();
  graph.addPointwise(DnnExp, exponents, 0, tensors.probabilities);
}

/// [batch, heads, keys, queries] of scores, in the type of the operands.
int64_t AttentionGradCommand::addTransposed(int64_t scores) {
  int64_t queries = forward.query_tokens(), keys = forward.key_tokens();
  DnnTensor tensor =
      virtualTensor(*dnnType(plan::elementType(forward.type())),
                    {forward.batch(), forward.heads(), queries, keys});
  std::swap(tensor.dimensions[2], tensor.dimensions[3]);
  std::swap(tensor.strides[2], tensor.strides[3]);
  int64_t transposed = graph.addTensor(tensor);
  graph.addReshape(scores, transposed);
  return transposed;
}

/// A gradient with a row for each key: of every head, or summed over groups.
void AttentionGradCommand::addKeyResult(
    int64_t transposed, int64_t right, int64_t dim,
    const proto::Attention::Operand &result) {
  int64_t heads = forward.heads(), group = keyHeadGroup(forward);
  int64_t keys = forward.key_tokens();
  int64_t sums = addStrided(result, heads / group, keys, dim);
  if (group == 1) {
    graph.addMatmul(transposed, right, sums);
    return;
  }
  int64_t each =
      graph.addTensor(virtualTensor(*dnnType(plan::elementType(forward.type())),
                                    {forward.batch(), heads, keys, dim}));
  graph.addMatmul(transposed, right, each);
  graph.addReduction(DnnSum, each, sums);
}

void AttentionGradCommand::addGradients(const Tensors &tensors) {
  int64_t heads = forward.heads(), queries = forward.query_tokens(),
          keys = forward.key_tokens(), dim = forward.head_dim();
  addKeyResult(addTransposed(tensors.probabilities), tensors.outputGrad,
               forward.value_dim(), gradient.value_grad());

  int64_t products = addScores(), shifted = addScores(), scaled = addScores(),
          scores = addScores();
  graph.addMatmul(tensors.outputGrad, tensors.values, products);
  graph.addPointwise(DnnSub, products, tensors.delta, shifted);
  graph.addPointwise(DnnMul, shifted, tensors.probabilities, scaled);
  graph.addPointwise(DnnMul, scaled, tensors.factor, scores);
  addKeyResult(addTransposed(scores), tensors.q, dim, gradient.key_grad());

  DnnTensor keyRows = operandTensor(forward, forward.k(),
                                    heads / keyHeadGroup(forward), keys, dim);
  keyRows.isVirtual = true;
  int64_t rows = graph.addTensor(keyRows);
  graph.addReshape(tensors.keys, rows);
  graph.addMatmul(scores, rows,
                  addStrided(gradient.query_grad(), heads, queries, dim));
}

llvm::Error AttentionGradCommand::prepare() {
  // Delta first, then what cuDNN asks for.
  EngineLimits limits;
  limits.reservedBytes = llvm::alignTo(
      4 * forward.batch() * forward.heads() * forward.query_tokens(), 256);
  limits.workspaceBytes =
      present(gradient.workspace()) ? gradient.workspace().bytes() : 0;
  limits.deterministic = true;
  DevicePointer workspace = addresses(gradient.workspace());
  Tensors tensors;
  addDelta(tensors, asPointer(workspace));
  addProbabilities(tensors);
  addGradients(tensors);
  return finish(asPointer(workspace + limits.reservedBytes), limits);
}

/// Versions whose gradient is wrong, by cuDNN's release notes and what its
/// frontend works around; empty where it is right.
static std::string unsupportedVersion(const proto::Attention &forward,
                                      const CudnnApi &api) {
  size_t version = api.getVersion();
  if (version == 91000 || version == 91001)
    return "cuDNN " + api.version() + ", which has bugs here: take another";
  if (version <= 91500 && forward.key_tokens() % 128 != 0)
    return "numbers of keys that are no multiple of 128 before cuDNN 9.16, and "
           "this is " +
           api.version();
  return "";
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createAttentionGrad(const proto::AttentionGrad &gradient,
                                        const CudaAddresses &addresses,
                                        std::shared_ptr<DnnLibrary> library) {
  const proto::Attention &forward = gradient.forward();
  std::string part = unsupportedVersion(forward, library->api());
  if (part.empty())
    part = unsupportedPart(forward, addresses,
                           {&forward.q(), &forward.k(), &forward.v(),
                            &forward.output(), &gradient.output_grad(),
                            &gradient.query_grad(), &gradient.key_grad(),
                            &gradient.value_grad()});
  if (!part.empty())
    return failure(Exit::Unsupported, "gradient of " + describe(forward) +
                                          ": this ditrun does not support " +
                                          part);
  auto command = std::make_unique<AttentionGradCommand>(gradient, addresses,
                                                        std::move(library));
  if (llvm::Error error = command->prepare())
    return plan::within(std::move(error), "gradient of " + describe(forward));
  return command;
}
