//===- FlatParameters.h - Where a train plan's parameters are -------------===//
#ifndef DIT_RUNTIME_TRAINING_FLATPARAMETERS_H
#define DIT_RUNTIME_TRAINING_FLATPARAMETERS_H

#include "runtime/checkpoint/ModelTensors.h"

namespace dit::runtime {

/// The tensors that a plan trains, by PyTorch's names, and their places: a
/// parameter begins at the same element of every flat global (masters,
/// gradients, moments, averages).
class FlatParameters {
public:
  /// One tensor of a trained parameter.
  struct Member {
    ModelTensor tensor;
    uint64_t at;       // first element of its parameter in a flat
    uint64_t elements; // of the parameter
  };

  /// Exit::Unsupported where a checkpoint could not hold them: a value that is
  /// in no tensor, or a name that is empty or taken.
  static llvm::Expected<FlatParameters> find(const proto::Plan &plan);

  llvm::ArrayRef<Member> trained() const { return members; }
  /// Parameters that stay as they are.
  llvm::ArrayRef<ModelTensor> frozen() const { return others; }
  /// All tensors of the model, trained and frozen.
  std::vector<ModelTensor> all() const;

  /// The values of a member's tensor out of a flat's bytes.
  llvm::Error extract(const proto::Plan &plan, const Member &member,
                      llvm::ArrayRef<uint8_t> flat,
                      llvm::MutableArrayRef<uint8_t> values) const;

  /// Puts a file's values into a flat's bytes; `name` is the tensor's there.
  llvm::Error place(const proto::Plan &plan, const Member &member,
                    const Safetensors &file, llvm::StringRef name,
                    llvm::MutableArrayRef<uint8_t> flat) const;

private:
  std::vector<Member> members;
  std::vector<ModelTensor> others;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_FLATPARAMETERS_H
