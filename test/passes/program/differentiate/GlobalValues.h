//===- GlobalValues.h - The numbers in globals and constants ----*- C++ -*-===//
#ifndef TEST_PASSES_PROGRAM_DIFFERENTIATE_GLOBALVALUES_H
#define TEST_PASSES_PROGRAM_DIFFERENTIATE_GLOBALVALUES_H

#include "dialects/dit/DitDialect.h"
#include "test/passes/program/differentiate/Evaluator.h"

namespace dit {

/// The elements of a constant; empty where they are not in the IR.
Numbers toNumbers(mlir::ElementsAttr attribute);

/// The values of a global whose pieces all have their values in the IR. A piece
/// without is a test failure.
Numbers getValues(GlobalOp global);

/// The elements of `piece` in `global`, in the order in which they lie there:
/// the file's tensor, permuted.
Numbers takePiece(PieceAttr piece, const Numbers &global);

} // namespace dit

#endif // TEST_PASSES_PROGRAM_DIFFERENTIATE_GLOBALVALUES_H
