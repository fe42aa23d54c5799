//===- Branches.h - What commands of a graph wait for -----------*- C++ -*-===//
//
// Commands of a list that touch other memory need not wait for one another: a
// weight's gradient runs beside the chain of gradients that goes on. Commands
// in the background, AdamW's for one, have all the time until something needs
// what they make; each is held back until shortly before, so that it shares the
// machine with the commands then and not with the first ones.
//
//   background   u0 u1 u2 u3          u0 u1 |  u2  |  u3
//   others       f0 f1 f2 f3 f4              f0 f1  f2 f3  f4
//   where f(i) needs u(i): u2 waits for f0, u3 for f1
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_BRANCHES_H
#define DIT_RUNTIME_DEVICES_CUDA_BRANCHES_H

#include "runtime/devices/cuda/CudaApi.h"

#include "llvm/ADT/ArrayRef.h"

#include <vector>

namespace dit::runtime::cuda {

/// Bytes of the GPU's memory that a command reads or writes.
struct Extent {
  DevicePointer begin, end;
  bool isWritten;

  bool conflictsWith(const Extent &other) const {
    return (isWritten || other.isWritten) && begin < other.end &&
           other.begin < end;
  }
};

/// A command's place in a graph.
struct Branch {
  size_t command;
  std::vector<size_t> waitsFor; ///< commands that stand before this one
};

/// An order of commands that touch `extents`, and what each waits for, such
/// that every two that conflict run in the given order. The first `background`
/// ones wait for more, see above.
std::vector<Branch> findBranches(llvm::ArrayRef<llvm::ArrayRef<Extent>> extents,
                                 size_t background = 0);

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_BRANCHES_H
