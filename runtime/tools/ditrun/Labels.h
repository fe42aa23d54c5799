//===- Labels.h - What --labels and --num mean ----------------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_LABELS_H
#define DIT_RUNTIME_TOOLS_DITRUN_LABELS_H

#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dit::runtime {

/// The label of every picture. `list` is "0,1,2", "@FILE" (numbers in a text
/// file, a .npy, or `labels` of a .npz) or "all"; absent it is "all". `count`
/// pictures are spread evenly over the list in its order (two pictures a label
/// give 0,0,1,1,2,2); absent it is one picture a label of the list, or
/// `batch` pictures where there is no list either.
llvm::Expected<std::vector<int64_t>>
pictureLabels(const std::optional<std::string> &list,
              std::optional<int64_t> count, int64_t classes, int64_t batch);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_LABELS_H
