//===- AttentionTensors.h - Operands of attention for cuDNN ---------------===//
//
// What the forward and the gradient have in common: both are graphs of tensors
// [batch, heads, tokens, dim].
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_ATTENTIONTENSORS_H
#define DIT_RUNTIME_DEVICES_CUDA_ATTENTIONTENSORS_H

#include "runtime/devices/cuda/CudaCommand.h"
#include "runtime/devices/cuda/CudnnGraph.h"
#include "runtime/plan/ElementType.h"

namespace dit::runtime::cuda {

/// "attention bf16, batch 2, 16 heads, 256 x 256 tokens, dim 72"
std::string describe(const proto::Attention &attention);

/// True where the instruction has the optional place.
inline bool present(const proto::Place &place) {
  return place.space() != proto::Place::NONE;
}

/// Query heads a head of keys and values.
int64_t keyHeadGroup(const proto::Attention &attention);

/// cuDNN's type of fp32, fp16 and bf16; nothing for others.
std::optional<DnnType> dnnType(plan::ElementType type);

/// What of the sizes, the type, the mask and the operands is not supported;
/// empty where all is.
std::string
unsupportedPart(const proto::Attention &attention,
                const CudaAddresses &addresses,
                llvm::ArrayRef<const proto::Attention::Operand *> operands);

/// An operand; the last two dimensions exchanged if `transposed`.
DnnTensor operandTensor(const proto::Attention &attention,
                        const proto::Attention::Operand &operand, int64_t heads,
                        int64_t tokens, int64_t dim, bool transposed = false);

/// The mask; dimensions along which it does not change are 1.
DnnTensor maskTensor(const proto::Attention &attention);

/// A graph with an execution plan and the addresses of its tensors.
class GraphCommand : public CudaCommand {
public:
  /// `title` is what errors call it.
  GraphCommand(std::string title, std::shared_ptr<DnnLibrary> library)
      : graph(*library), library(std::move(library)), title(std::move(title)) {}

  /// A tensor in memory; its number.
  int64_t addOperand(const DnnTensor &tensor, void *pointer);
  /// A number, the same for every element; `value` outlives the command.
  int64_t addScalar(float *value);
  /// Makes the execution plan, once the graph is complete; nothing can be added
  /// any more.
  llvm::Error finish(void *workspace, const EngineLimits &limits);

  llvm::Error enqueue(const CudaContext &) override;
  std::string name() const override { return title; }

  GraphBuilder graph;

private:
  std::shared_ptr<DnnLibrary> library;
  std::string title;
  std::vector<int64_t> ids; // of the tensors in memory, and where they are
  std::vector<void *> pointers;
  std::shared_ptr<const DnnPlan> execution;
  std::optional<Descriptor> pack;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_ATTENTIONTENSORS_H
