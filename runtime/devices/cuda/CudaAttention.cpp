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

#include "runtime/devices/cuda/AttentionTensors.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

class AttentionCommand : public GraphCommand {
public:
  AttentionCommand(const proto::Attention &attention,
                   std::shared_ptr<DnnLibrary> library)
      : GraphCommand(describe(attention), std::move(library)),
        scale(attention.scale()) {}

  void makeGraph(const proto::Attention &attention,
                 const CudaAddresses &addresses);

private:
  float scale;
};

} // namespace

void AttentionCommand::makeGraph(const proto::Attention &attention,
                                 const CudaAddresses &addresses) {
  DnnType type = *dnnType(plan::elementType(attention.type()));
  int64_t batch = attention.batch(), heads = attention.heads();
  int64_t keyHeads = heads / keyHeadGroup(attention);
  int64_t queries = attention.query_tokens(), keys = attention.key_tokens();
  int64_t dim = attention.head_dim(), valueDim = attention.value_dim();
  auto addStrided = [&](const proto::Attention::Operand &operand, int64_t heads,
                        int64_t tokens, int64_t dim, bool transposed = false) {
    return addOperand(
        operandTensor(attention, operand, heads, tokens, dim, transposed),
        asPointer(addresses(operand.place())));
  };
  auto addScores = [&](DnnType type) {
    return graph.addTensor(virtualTensor(type, {batch, heads, queries, keys}));
  };
  // One number a row; [batch, heads, query_tokens] without gaps.
  DnnTensor column = virtualTensor(DnnF32, {batch, heads, queries, 1});

  int64_t q = addStrided(attention.q(), heads, queries, dim);
  int64_t k = addStrided(attention.k(), keyHeads, keys, dim, true);
  int64_t v = addStrided(attention.v(), keyHeads, keys, valueDim);
  int64_t o = addStrided(attention.output(), heads, queries, valueDim);
  int64_t factor = addScalar(&scale);

  int64_t products = addScores(DnnF32), scores = addScores(DnnF32);
  graph.addMatmul(q, k, products);
  graph.addPointwise(DnnMul, products, factor, scores);
  if (present(attention.mask())) {
    int64_t mask = addOperand(maskTensor(attention),
                              asPointer(addresses(attention.mask())));
    int64_t masked = addScores(DnnF32);
    graph.addPointwise(DnnAdd, scores, mask, masked);
    scores = masked;
  }
  int64_t largest = graph.addTensor(column);
  graph.addReduction(DnnMax, scores, largest);
  int64_t shifted = addScores(DnnF32), exponentials = addScores(DnnF32);
  graph.addPointwise(DnnSub, scores, largest, shifted);
  graph.addPointwise(DnnExp, shifted, 0, exponentials);
  int64_t sum = graph.addTensor(column);
  graph.addReduction(DnnSum, exponentials, sum);

  int64_t logarithm = graph.addTensor(column);
  graph.addPointwise(DnnLog, sum, 0, logarithm);
  bool wanted = present(attention.log_sum_exp());
  DnnTensor result = column;
  result.isVirtual = !wanted;
  int64_t logSumExp =
      wanted ? addOperand(result, asPointer(addresses(attention.log_sum_exp())))
             : graph.addTensor(result);
  graph.addPointwise(DnnAdd, largest, logarithm, logSumExp);

  int64_t weights = addScores(type);
  graph.addPointwise(DnnDiv, exponentials, sum, weights);
  graph.addMatmul(weights, v, o);
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createAttention(const proto::Attention &attention,
                                    const CudaAddresses &addresses,
                                    std::shared_ptr<DnnLibrary> library) {
  std::string part = unsupportedPart(
      attention, addresses,
      {&attention.q(), &attention.k(), &attention.v(), &attention.output()});
  if (!part.empty())
    return failure(Exit::Unsupported, describe(attention) +
                                          ": this ditrun does not support " +
                                          part);
  auto command =
      std::make_unique<AttentionCommand>(attention, std::move(library));
  command->makeGraph(attention, addresses);
  void *workspace = asPointer(addresses(attention.workspace()));
  EngineLimits limits;
  limits.workspaceBytes = workspace ? attention.workspace().bytes() : 0;
  if (llvm::Error error = command->finish(workspace, limits))
    return plan::within(std::move(error), describe(attention));
  return command;
}
