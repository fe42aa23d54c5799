//===- Initialise.h - Parameters drawn from their recipes -----------------===//
#ifndef DIT_RUNTIME_EXECUTOR_INITIALISE_H
#define DIT_RUNTIME_EXECUTOR_INITIALISE_H

#include "runtime/executor/Executor.h"

#include <vector>

namespace dit::runtime {

/// Draws the values of a piece with an init, in fp32 and the file's order.
/// Element i of a NORMAL piece is normal(seed, i, stream, 0, ParameterInit) of
/// Philox.h: `stream` takes the place of the picture; XAVIER_UNIFORM takes the
/// words of the same counters as uniforms. Exit::Malformed where a SINCOS_2D
/// table's shape is none.
llvm::Error drawPiece(const proto::Piece &piece, std::vector<float> &values);

/// Copies the first values that the plan has for globals in memory, draws every
/// other that has pieces with an init, and writes them to the executor's
/// device, many at a time; threads do not change the values. Exit::Missing
/// where parameters have neither values nor an init.
llvm::Error initialiseParameters(Executor &executor);

} // namespace dit::runtime

#endif // DIT_RUNTIME_EXECUTOR_INITIALISE_H
