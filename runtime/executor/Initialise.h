//===- Initialise.h - Parameters drawn from their recipes --------*- C++
//-*-===//
#ifndef DIT_RUNTIME_EXECUTOR_INITIALISE_H
#define DIT_RUNTIME_EXECUTOR_INITIALISE_H

#include "runtime/executor/Executor.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace dit::runtime {

/// Runs a body over [0, count) blocks, perhaps in parallel.
using ParallelFor = llvm::function_ref<void(
    int64_t count, llvm::function_ref<void(int64_t begin, int64_t end)> body)>;

/// The values of a piece with an init, in fp32 and the file's order. The
/// element i of a NORMAL piece is normal(seed, i, stream, 0, ParameterInit) of
/// Philox.h: `stream` takes the place of the picture; XAVIER_UNIFORM takes the
/// words of the same counters as uniforms. Threads do not change the values.
/// Exit::Malformed where a SINCOS_2D table's shape is none.
llvm::Expected<std::vector<float>> drawPiece(const proto::Piece &piece,
                                             ParallelFor parallelFor);

/// Draws every global that has pieces with an init and writes it to the
/// executor's device. Globals without any are left as they are.
llvm::Error initialiseParameters(Executor &executor);

} // namespace dit::runtime

#endif // DIT_RUNTIME_EXECUTOR_INITIALISE_H
