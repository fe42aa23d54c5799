//===- Writer.h - Writes plan.bin -----------------------------------------===//
#ifndef DIT_RUNTIME_PLAN_WRITER_H
#define DIT_RUNTIME_PLAN_WRITER_H

#include "runtime/plan/plan.pb.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

namespace dit::plan {

/// Takes the next bytes of the weights section.
using WeightSink =
    llvm::function_ref<llvm::Error(llvm::ArrayRef<uint8_t> bytes)>;

/// Streams the weights section into the sink, in order; called once, so that
/// gigabytes of weights are never held.
using WeightSource = llvm::function_ref<llvm::Error(WeightSink sink)>;

/// Writes a plan to `path`: to a temporary file beside it, fsync, rename, so
/// that `path` is always either what it was or whole. `weightBytes` is what
/// `weights` will stream, exactly. Equal arguments give equal bytes. A plan
/// that the reader would refuse is an error (Exit::Internal) and not written.
llvm::Error writePlan(llvm::StringRef path, const proto::Plan &metadata,
                      llvm::ArrayRef<uint8_t> code, uint64_t weightBytes,
                      WeightSource weights);

/// The same with the weights in memory.
llvm::Error writePlan(llvm::StringRef path, const proto::Plan &metadata,
                      llvm::ArrayRef<uint8_t> code,
                      llvm::ArrayRef<uint8_t> weights);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_WRITER_H
