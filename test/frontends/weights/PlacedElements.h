//===- PlacedElements.h - Pieces put into a global, naively -----*- C++ -*-===//
#ifndef TEST_FRONTENDS_WEIGHTS_PLACEDELEMENTS_H
#define TEST_FRONTENDS_WEIGHTS_PLACEDELEMENTS_H

#include "frontends/weights/Placement.h"

#include <vector>

namespace dit {

/// Puts a file's `values` into `global` as the definition of `#dit.piece` says,
/// element by element.
inline void place(llvm::ArrayRef<float> values, const Placement &placement,
                  std::vector<float> &global) {
  size_t rank = placement.view.size();
  for (size_t element = 0; element < values.size(); ++element) {
    std::vector<int64_t> index(rank);
    auto rest = static_cast<int64_t>(element);
    for (size_t dim = rank; dim-- > 0; rest /= placement.view[dim])
      index[dim] = rest % placement.view[dim];
    int64_t to = 0;
    for (size_t dim = 0; dim < rank; ++dim)
      to = to * placement.target[dim] + placement.offset[dim] +
           index[placement.permutation[dim]];
    global[to] = values[element];
  }
}

} // namespace dit

#endif // TEST_FRONTENDS_WEIGHTS_PLACEDELEMENTS_H
