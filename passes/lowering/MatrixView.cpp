//===- MatrixView.cpp - Tensors as GEMMs see them -------------------------===//
#include "passes/lowering/MatrixView.h"

using namespace mlir;
using namespace dit;

std::optional<MatrixView> dit::getMatrixView(Value value, bool fold) {
  std::optional<StridedView> view = getStridedView(value);
  if (!view)
    return std::nullopt;
  unsigned rank = view->sizes.size();
  if (fold) {
    // [rows…, columns] → [rows, columns] → [1, rows, columns]
    if (!view->collapse(0, rank - 1) || !view->collapse(0, 0))
      return std::nullopt;
  } else if (!view->collapse(0, rank - 2)) {
    return std::nullopt;
  }
  int64_t rows = view->sizes[1], columns = view->sizes[2];
  int64_t rowStride = view->strides[1], columnStride = view->strides[2];
  MatrixView matrix{*view, /*transposed=*/false, 0,
                    view->sizes[0] == 1 ? 0 : view->strides[0]};
  // The stride of a dimension of size 1 says nothing.
  if (columns == 1 || columnStride == 1)
    matrix.leading = rows == 1 ? columns : rowStride;
  else if (rows == 1 || rowStride == 1)
    matrix.transposed = true, matrix.leading = columnStride;
  else
    return std::nullopt;
  return matrix;
}

std::optional<MatmulViews> dit::getMatmulViews(MatmulOp op,
                                               OpOperand *&culprit) {
  auto rhsType = cast<RankedTensorType>(op.getRhs().getType());
  bool shared = rhsType.getRank() == 2;
  bool epilogueNeedsOne =
      op.getGate() || op.getResidual() || op.getAux() || op.getSaved();
  MatmulOp::Sizes sizes = op.getSizes();

  // All rows are one product where they have one stride; else a batch that
  // shares the right side.
  bool fold = shared && !op.getTransposeLhs();
  std::optional<MatrixView> lhs = getMatrixView(op.getLhs(), fold);
  if (!lhs && fold && !epilogueNeedsOne) {
    fold = false;
    lhs = getMatrixView(op.getLhs(), fold);
  }
  culprit = &op.getLhsMutable();
  if (!lhs)
    return std::nullopt;
  int64_t batch = lhs->view.sizes[0];
  int64_t m = lhs->view.sizes[op.getTransposeLhs() ? 2 : 1];

  std::optional<MatrixView> rhs = getMatrixView(op.getRhs(), false);
  culprit = &op.getRhsMutable();
  if (!rhs)
    return std::nullopt;

  MatmulViews views{m,    sizes.n, sizes.k,      batch,
                    *lhs, *rhs,    std::nullopt, std::nullopt};
  auto seeAsResult = [&](MutableOperandRange operand,
                         std::optional<MatrixView> &view) {
    if (operand.empty())
      return true;
    view = getMatrixView(operand[0].get(), fold);
    culprit = &operand[0];
    return view && !view->transposed;
  };
  if (!seeAsResult(op.getResidualMutable(), views.residual) ||
      !seeAsResult(op.getAuxMutable(), views.aux))
    return std::nullopt;
  culprit = nullptr;
  return views;
}
