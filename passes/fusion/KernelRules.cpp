//===- KernelRules.cpp - What may go into a kernel ------------------------===//
//
// The questions that a KernelPlan asks before it decides; nothing here changes
// the plan.
//
//===----------------------------------------------------------------------===//
#include "dialects/dit/ColumnSums.h"
#include "dialects/dit/StridedView.h"
#include "passes/fusion/KernelPlan.h"
#include "passes/fusion/OpKinds.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

/// Buffers that a kernel may read and write: their pointers live in registers.
static constexpr size_t maxOperands = 24;
/// Ops of a kernel's body, so that it compiles in no time.
static constexpr size_t maxOps = 256;
/// Places at which a kernel may compute one value, and look one up.
static constexpr size_t maxAccesses = 4, maxCheapAccesses = 32;
/// Flops that nobody notices.
static constexpr int64_t negligibleFlops = 1 << 14;
/// Flops that are done again rather than launched once.
static constexpr int64_t tinyFlops = 1024;

/// Flops of all elements of an op that is no reduction of rows.
static int64_t countFlops(Operation *op) {
  Value walked =
      getColumnReduction(op) ? op->getOperand(0) : Value(op->getResult(0));
  return countElements(walked) * getWeight(op);
}

/// True where an op that is not cheap computes `value` for one reader alone,
/// cheap ops between them or not. Adds the bits of what it computes to `bits`.
static bool isMadeForOne(Value value, int64_t &bits) {
  Operation *producer = value.getDefiningOp();
  if (!producer || !isBodyOp(producer) || !value.hasOneUse())
    return false;
  if (!isCheap(producer)) {
    bits += countBits(value);
    return true;
  }
  bool made = false;
  for (Value operand : producer->getOperands())
    made |= isMadeForOne(operand, bits);
  return made;
}

/// True for ops that every consumer computes for itself: tiny ones, and the
/// cheap ones, but for those that make what an expensive op computes for them
/// alone smaller, or collect several. Then their result is the better buffer.
bool KernelPlan::isDuplicated(Operation *op) const {
  if (!isCheap(op))
    return !isReduction(op) && countFlops(op) <= tinyFlops;
  int64_t bits = 0, operandBits = 0;
  bool made = false;
  for (Value operand : op->getOperands()) {
    made |= isMadeForOne(operand, bits);
    operandBits += countBits(operand);
  }
  // A widening cast or a repetition: its operand is the smaller buffer.
  int64_t resultBits = countBits(op->getResult(0));
  return !made || resultBits > bits || resultBits > operandBits;
}

/// True for ops that several kernels do again rather than read the result of:
/// one flop on the numbers of one buffer, which is there anyway and no wider.
bool KernelPlan::isDoneAgain(Operation *op) const {
  if (!repeatsFlops || isCheap(op) || isReduction(op) || getWeight(op) > 1)
    return false;
  auto getWidth = [](Value value) {
    return getElementTypeOrSelf(value).getIntOrFloatBitWidth();
  };
  unsigned width = getWidth(op->getResult(0));
  Value only;
  for (Value operand : op->getOperands()) {
    Value base = stripViews(operand);
    if (base.getDefiningOp<arith::ConstantOp>())
      continue;
    if (only && only != operand)
      return false;
    Operation *producer = base.getDefiningOp();
    if ((producer && !isAnchor(producer)) || getWidth(base) > width)
      return false;
    only = operand;
  }
  return only != nullptr;
}

//===----------------------------------------------------------------------===//
// Cycles
//===----------------------------------------------------------------------===//

/// Appends the kernels and anchors that read `value`, had it a buffer.
void KernelPlan::appendReaders(Value value,
                               SmallVectorImpl<Launch> &launches) const {
  for (Operation *user : value.getUsers()) {
    if (isAnchor(user)) {
      if (user->getNumResults() && isLive(user))
        launches.push_back({user, 0});
      continue;
    }
    auto found = computedIn.find(user);
    if (found != computedIn.end())
      for (unsigned kernel : found->second)
        if (!value.getDefiningOp() ||
            !isComputedIn(value.getDefiningOp(), find(kernel)))
          launches.push_back({nullptr, find(kernel)});
    // A view outside kernels, for an anchor.
    if (isViewOp(user))
      for (Value view : user->getResults())
        appendReaders(view, launches);
  }
}

/// True where kernel `to` needs, through others or not, what `from` makes. What
/// lies behind `to` in the block cannot lead there.
bool KernelPlan::reaches(Launch from, unsigned to) const {
  SmallVector<Launch> pending{from};
  DenseSet<Operation *> anchors;
  DenseSet<unsigned> seen;
  while (!pending.empty()) {
    Launch launch = pending.pop_back_val();
    if (launch.anchor) {
      if (positions.at(launch.anchor) > kernels[to].last ||
          !anchors.insert(launch.anchor).second)
        continue;
      for (Value result : launch.anchor->getResults())
        appendReaders(result, pending);
      continue;
    }
    if (launch.kernel == to)
      return true;
    if (kernels[launch.kernel].first > kernels[to].last ||
        !seen.insert(launch.kernel).second)
      continue;
    for (Value result : kernels[launch.kernel].results)
      appendReaders(result, pending);
  }
  return false;
}

//===----------------------------------------------------------------------===//
// May an op go into a kernel?
//===----------------------------------------------------------------------===//

/// Fails where the kernel would compute the op's elements more than once, and
/// that costs.
bool KernelPlan::isRepeated(unsigned kernel, Operation *op,
                            std::string &reason) const {
  int64_t evaluations = 0, elements = countElements(op->getResult(0)), cost;
  if (isReduction(op)) {
    SmallVector<Access, 1> rows;
    for (OpResult result : op->getResults())
      for (Access access : getAccesses(kernel, result)) {
        if (isLikeInput(result))
          access.indices.pop_back();
        access.lanes = 0;
        if (!llvm::is_contained(rows, access))
          rows.push_back(access);
      }
    for (const Access &access : rows)
      evaluations += access.rows;
    int64_t lane = getShape(op->getOperand(0)).back();
    elements = countElements(op->getOperand(0)) / lane;
    cost = evaluations * lane * getWeight(op);
  } else {
    SmallVector<Access, 1> accesses = getAccesses(kernel, op->getResult(0));
    if (accesses.size() > (isCheap(op) ? maxCheapAccesses : maxAccesses)) {
      reason = "the kernel wants it at " + std::to_string(accesses.size()) +
               " places";
      return true;
    }
    for (const Access &access : accesses)
      evaluations += access.getEvaluations();
    cost = evaluations * (countFlops(op) / std::max<int64_t>(1, elements));
    // Arithmetic is less than the memory that it saves.
    if (getWeight(op) <= 4 && !getColumnReduction(op))
      return false;
  }
  if (evaluations <= elements || cost <= negligibleFlops)
    return false;
  reason = "it would be computed " +
           std::to_string((evaluations + elements - 1) / elements) + " times";
  return true;
}

bool KernelPlan::canTake(unsigned kernel, Operation *op,
                         std::string &reason) const {
  const PlannedKernel &planned = kernels[kernel];
  SmallVector<OperandAccess, 4> operands;
  for (OpResult result : op->getResults())
    for (const Access &access : getAccesses(kernel, result))
      if (failed(pullAccess(op, result.getResultNumber(), access, planned.space,
                            operands, reason)))
        return false;
  if (isRepeated(kernel, op, reason))
    return false;
  if (planned.body.size() >= maxOps && !isCheap(op)) {
    reason = "the kernel has " + std::to_string(maxOps) + " ops already";
    return false;
  }

  DenseSet<Value> added;
  for (Value operand : op->getOperands())
    if (Value base = stripViews(operand); !planned.operands.contains(base))
      added.insert(base);
  size_t freed = llvm::count_if(op->getResults(), [&](Value result) {
    return planned.operands.contains(result);
  });
  size_t count =
      planned.operands.size() + added.size() + planned.results.size();
  if (added.size() > freed && count - freed > maxOperands) {
    reason = "the kernel would have " + std::to_string(count - freed) +
             " operands, more than " + std::to_string(maxOperands);
    return false;
  }
  return true;
}

/// True where every result of `op` that others want is a result the kernel
/// could have: its elements are the kernel's points or rows.
bool KernelPlan::isAligned(unsigned kernel, Operation *op) const {
  if (op->getNumResults() == 1 && getColumnSum(op->getResult(0)))
    return false;
  RowSpace space = kernels[kernel].space;
  auto isLinear = [&](Value result) {
    return llvm::any_of(getAccesses(kernel, result), [&](const Access &access) {
      return getLinearity(access, getShape(result), space) != Linearity::None;
    });
  };
  if (op->getNumResults() == 1)
    return isLinear(op->getResult(0));
  // Rows of a norm are aligned together with its elements.
  return llvm::any_of(op->getResults(), isLinear);
}

/// True where the kernel may compute `op` for all: no other reader may lead
/// back to it.
bool KernelPlan::canHold(unsigned kernel, Operation *op,
                         std::string &reason) const {
  if (!isAligned(kernel, op)) {
    reason = "it lies otherwise than the kernel's points";
    return false;
  }
  if (kernels[kernel].results.size() + kernels[kernel].operands.size() >=
      maxOperands) {
    reason =
        "the kernel has " + std::to_string(maxOperands) + " operands already";
    return false;
  }
  SmallVector<Launch> readers;
  for (Value result : op->getResults())
    appendReaders(result, readers);
  for (Launch reader : readers)
    if ((reader.anchor || reader.kernel != kernel) && reaches(reader, kernel)) {
      reason = reader.anchor ? "a cycle through " +
                                   reader.anchor->getName().getStringRef().str()
                             : "a cycle through another kernel";
      return false;
    }
  return true;
}

bool KernelPlan::canMerge(unsigned first, unsigned second) const {
  const PlannedKernel &a = kernels[first], &b = kernels[second];
  size_t shared = llvm::count_if(
      b.operands, [&](Value value) { return a.operands.contains(value); });
  bool haveOneRun = a.run == 0 || b.run == 0 || a.run == b.run;
  return a.space == b.space && haveOneRun &&
         a.operands.size() + b.operands.size() - shared + a.results.size() +
                 b.results.size() <=
             maxOperands &&
         !reaches({nullptr, first}, second) &&
         !reaches({nullptr, second}, first);
}

/// True where a kernel that does not need `op` may compute it all the same for
/// `readers`.
bool KernelPlan::canJoin(unsigned kernel, Operation *op,
                         ArrayRef<Launch> readers) const {
  const PlannedKernel &planned = kernels[kernel];
  return planned.results.size() + planned.operands.size() +
                 op->getNumOperands() <
             maxOperands &&
         llvm::none_of(
             readers,
             [&](Launch reader) {
               return (!reader.anchor && reader.kernel == kernel) ||
                      reaches(reader, kernel);
             });
}

/// True where all results of `sums` are column sums of what `kernel`, over the
/// same rows, reads or makes too.
bool KernelPlan::canJoinColumnSums(unsigned kernel, unsigned sums) const {
  const PlannedKernel &a = kernels[kernel], &b = kernels[sums];
  if (kernel == sums || !llvm::all_of(b.results, getColumnSum))
    return false;
  bool sharesRows = llvm::any_of(b.operands, [&](Value value) {
    return a.operands.contains(value) &&
           countElements(value) == a.space.rows * a.space.lane;
  });
  return sharesRows && canMerge(kernel, sums);
}
