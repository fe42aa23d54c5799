//===- KernelName.cpp - What people call a kernel -------------------------===//
#include "passes/fusion/KernelName.h"

#include "dialects/dit/DitDialect.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/fusion/OpKinds.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace dit;

/// Words of a name; what follows is "more".
static constexpr size_t maxWords = 5;

/// A scale, a shift, a gate: fewer numbers than points.
static bool isSpread(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<BroadcastOp, arith::ConstantOp>(op))
      return true;
    if (!isCheap(op) || op->getNumOperands() != 1)
      return false;
    value = op->getOperand(0);
  }
  return false;
}

/// A product with something spread.
static Operation *getScaling(Value value) {
  auto product = value.getDefiningOp<arith::MulFOp>();
  if (product && (isSpread(product.getLhs()) || isSpread(product.getRhs())))
    return product;
  return nullptr;
}

namespace {
struct Namer {
  ArrayRef<Operation *> body;
  DenseSet<Operation *> inBody, told;

  std::string nameSum(Operation *sum);
  std::string nameOne(Operation *op);
  bool feedsBroadcasts(Operation *op);
};
} // namespace

std::string Namer::nameSum(Operation *sum) {
  for (unsigned side : {0, 1}) {
    Operation *scaling = getScaling(sum->getOperand(side));
    if (!scaling || !inBody.contains(scaling))
      continue;
    told.insert(scaling);
    return isSpread(sum->getOperand(1 - side)) ? "modulate" : "gate_residual";
  }
  if (isSpread(sum->getOperand(0)) || isSpread(sum->getOperand(1)))
    return getShortName(sum);
  return "residual";
}

std::string Namer::nameOne(Operation *op) {
  if (isa<arith::AddFOp>(op))
    return nameSum(op);
  if (isa<arith::MulFOp>(op))
    for (unsigned side : {0, 1}) {
      auto sigmoid = op->getOperand(side).getDefiningOp<SigmoidOp>();
      if (!sigmoid || sigmoid.getInput() != op->getOperand(1 - side))
        continue;
      told.insert(sigmoid);
      return "silu";
    }
  if (auto reduce = dyn_cast<ReduceOp>(op))
    return stringifyReduceKind(reduce.getKind()).str();
  return getShortName(op);
}

/// True for a small computation before it is spread, such as 1 + scale.
bool Namer::feedsBroadcasts(Operation *op) {
  return llvm::all_of(op->getUsers(), [&](Operation *user) {
    return inBody.contains(user) && (isa<BroadcastOp>(user) ||
                                     (isViewOp(user) && feedsBroadcasts(user)));
  });
}

static std::string nameCheap(Operation *op) {
  if (isa<arith::ConstantOp>(op))
    return "fill";
  if (isa<BroadcastOp, tensor::ConcatOp, GatherOp, TransposeOp>(op))
    return getShortName(op);
  return isViewOp(op) ? "copy" : "cast";
}

std::string dit::nameKernel(ArrayRef<Operation *> body) {
  Namer namer{body, {}, {}};
  namer.inBody.insert(body.begin(), body.end());

  // Last to first, so that a sum tells what its product is for.
  SmallVector<std::string> words, plain;
  for (Operation *op : llvm::reverse(body)) {
    if (isa<GatherOp>(op))
      words.push_back("gather");
    if (isCheap(op) || namer.told.contains(op) || namer.feedsBroadcasts(op))
      continue;
    std::string word = namer.nameOne(op);
    // Plain arithmetic is a name only where there is nothing else.
    (word == getShortName(op) && getWeight(op) <= 1 ? plain : words)
        .push_back(word);
  }
  if (words.empty())
    words = std::move(plain);
  std::reverse(words.begin(), words.end());
  if (words.empty())
    for (Operation *op : body)
      if (!isCheap(op))
        words.push_back(getShortName(op));
  if (words.empty())
    for (Operation *op : body)
      if (std::string word = nameCheap(op);
          body.size() == 1 || (word != "fill" && word != "copy"))
        words.push_back(word);
  if (words.empty())
    words.push_back("copy");

  llvm::SetVector<StringRef> distinct(words.begin(), words.end());
  SmallVector<StringRef> kept(distinct.getArrayRef());
  if (kept.size() > maxWords) {
    kept.resize(maxWords);
    kept.push_back("more");
  }
  return llvm::join(kept, "_");
}
