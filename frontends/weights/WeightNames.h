//===- WeightNames.h - Tensors of a file by name ----------------*- C++ -*-===//
#ifndef FRONTENDS_WEIGHTS_WEIGHTNAMES_H
#define FRONTENDS_WEIGHTS_WEIGHTNAMES_H

#include "frontends/builder/DitParameters.h"
#include "frontends/weights/Safetensors.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

namespace dit {

/// Finds tensors by their own names and by the original DiT's.
class WeightNames {
public:
  /// `tensors` must outlive this.
  explicit WeightNames(llvm::ArrayRef<StoredTensor> tensors) {
    for (const StoredTensor &tensor : tensors) {
      exact.try_emplace(tensor.name, &tensor);
      originals.try_emplace(key(getOriginalName(tensor.name)), &tensor);
    }
  }

  /// The tensor called `name`, else the first that is `original` under any
  /// name; null if there is none. It counts as used.
  const StoredTensor *find(llvm::StringRef name, const DitParameter &original) {
    const StoredTensor *tensor = exact.lookup(name);
    if (!tensor)
      tensor = originals.lookup(key(original));
    if (tensor)
      used.insert(tensor);
    return tensor;
  }

  bool isUsed(const StoredTensor &tensor) const {
    return used.contains(&tensor);
  }

private:
  static std::string key(const DitParameter &parameter) {
    return parameter.name + "\n" + std::to_string(parameter.part);
  }

  llvm::StringMap<const StoredTensor *> exact, originals;
  llvm::DenseSet<const StoredTensor *> used;
};

} // namespace dit

#endif // FRONTENDS_WEIGHTS_WEIGHTNAMES_H
