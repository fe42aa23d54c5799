//===- TrainingState.h - What a checkpoint of a run holds -----------------===//
//
//   model.safetensors      every parameter, as trained
//   ema.safetensors        the averaged ones
//   optimizer.safetensors  NAME.moment1 and NAME.moment2 of each trained
//                          tensor; loss_scale, good_steps, applied, skipped
//
// All by PyTorch's names and in its layouts: nothing in them depends on how the
// plan places its parameters, so another plan of the model can go on with them.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_TRAINING_TRAININGSTATE_H
#define DIT_RUNTIME_TRAINING_TRAININGSTATE_H

#include "runtime/checkpoint/RunFolder.h"
#include "runtime/data/Array.h"
#include "runtime/executor/Executor.h"
#include "runtime/training/FlatParameters.h"

namespace dit::runtime {

/// A copy in host memory of everything that training changes.
class TrainingState {
public:
  /// Copies the device's state as it is between two steps.
  static llvm::Expected<std::shared_ptr<const TrainingState>>
  copy(Executor &executor, const FlatParameters &parameters);

  /// Reads a checkpoint whose files were verified. Exit::Contradiction lists
  /// what does not fit the plan's model.
  static llvm::Expected<std::shared_ptr<const TrainingState>>
  load(llvm::StringRef folder, const proto::Plan &plan,
       const FlatParameters &parameters);

  /// Puts it back; `initialise` runs the plan's train_init, which makes what
  /// follows from the masters.
  llvm::Error restore(Executor &executor,
                      llvm::function_ref<llvm::Error()> initialise) const;

  /// The files of `state`, which they keep alive; `plan` and `parameters` must
  /// outlive them.
  static std::vector<TensorFile>
  files(std::shared_ptr<const TrainingState> state, const proto::Plan &plan,
        const FlatParameters &parameters);

  /// The averaged weights alone, as ema.safetensors has them.
  static llvm::Expected<TensorFile> averages(Executor &executor,
                                             const FlatParameters &parameters);

private:
  /// One of the optimizer's numbers.
  struct Scalar {
    std::string name; // in the file
    std::string global;
    Array value;
  };
  static std::vector<Scalar> scalarsOf(const proto::Plan &plan);
  llvm::Error copyFrozen(Executor &executor, const FlatParameters &parameters);

  std::vector<uint8_t> masters, ema, moment1, moment2;
  std::vector<Scalar> scalars;
  std::vector<std::vector<uint8_t>> frozen; // a tensor's values each
};

/// A file of one tensor a trained parameter, out of a flat's bytes, which it
/// owns; values are multiplied by `factor`.
TensorFile flatFile(std::string name, std::vector<uint8_t> flat, float factor,
                    const proto::Plan &plan, const FlatParameters &parameters);

/// All bytes of a global, by name.
llvm::Expected<std::vector<uint8_t>> readWhole(Executor &executor,
                                               const std::string &global);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_TRAININGSTATE_H
