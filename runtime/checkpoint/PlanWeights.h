//===- PlanWeights.h - A plan with the weights of a file ------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_PLANWEIGHTS_H
#define DIT_RUNTIME_CHECKPOINT_PLANWEIGHTS_H

#include "runtime/checkpoint/ModelTensors.h"
#include "runtime/devices/cpu/HostMemory.h"
#include "runtime/executor/Executor.h"

namespace dit::runtime {

/// The weight file that PATH means: itself; the EMA weights of a checkpoint
/// that has them, else its weights, hashes checked; the latest checkpoint of a
/// run's folder; the one file or index of a folder. Exit::Missing where there
/// is none or more than one.
llvm::Expected<std::string> findWeights(llvm::StringRef path);

/// Values of a file for all parameters of a plan, by name.
class PlanWeights {
public:
  /// Opens the file and makes a weights section with its values in the place
  /// of the plan's. Exit::Contradiction lists all that does not fit.
  static llvm::Expected<PlanWeights> open(llvm::StringRef path,
                                          const plan::PlanView &plan);

  /// The same with tensors that are open already.
  static llvm::Expected<PlanWeights> create(Safetensors file,
                                            const plan::PlanView &plan);

  /// For PlanFile::replaceWeights, before the plan is loaded.
  llvm::ArrayRef<uint8_t> section() const {
    return {reinterpret_cast<const uint8_t *>(memory.data()), memory.size()};
  }

  /// Writes the parameters that are not in the section, after loading.
  llvm::Error write(Executor &executor) const;

private:
  llvm::Expected<std::vector<uint8_t>> assemble(const proto::Global &global,
                                                unsigned index) const;

  Safetensors file;
  std::vector<ModelTensor> tensors;
  HostMemory memory;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_PLANWEIGHTS_H
