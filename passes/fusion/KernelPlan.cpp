//===- KernelPlan.cpp - Which values are buffers, and who computes them ---===//
#include "passes/fusion/KernelPlan.h"

#include "dialects/dit/ColumnSums.h"
#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/fusion/KernelSpace.h"
#include "passes/fusion/OpKinds.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;

KernelPlan::KernelPlan(Block &block, bool repeatsFlops)
    : repeatsFlops(repeatsFlops) {
  unsigned position = 0;
  for (Operation &op : block)
    positions[&op] = position++;
  for (Operation &op : llvm::reverse(block)) {
    if (failure)
      return;
    visit(&op);
  }
  joinColumnSums();
  std::reverse(notes.begin(), notes.end());
  for (PlannedKernel &kernel : kernels)
    llvm::sort(kernel.results, [&](OpResult a, OpResult b) {
      return std::pair(positions[a.getOwner()], a.getResultNumber()) <
             std::pair(positions[b.getOwner()], b.getResultNumber());
    });
}

const PlannedKernel *KernelPlan::getProducer(Value value) const {
  auto producer = producers.find(value);
  if (producer == producers.end())
    return nullptr;
  unsigned kernel = producer->second;
  while (kernels[kernel].mergedInto != kernel)
    kernel = kernels[kernel].mergedInto;
  return &kernels[kernel];
}

std::vector<Operation *>
KernelPlan::getBody(const PlannedKernel &kernel) const {
  std::vector<Operation *> body(kernel.body);
  llvm::sort(body, [&](Operation *a, Operation *b) {
    return positions.at(a) < positions.at(b);
  });
  body.erase(std::unique(body.begin(), body.end()), body.end());
  return body;
}

void KernelPlan::note(Operation *op, const Twine &text) {
  notes.push_back({op, text.str()});
}

//===----------------------------------------------------------------------===//
// What is known of a value
//===----------------------------------------------------------------------===//

unsigned KernelPlan::find(unsigned kernel) const {
  while (kernels[kernel].mergedInto != kernel)
    kernel = kernels[kernel].mergedInto;
  return kernel;
}

SmallVector<Access, 1> KernelPlan::getAccesses(unsigned kernel,
                                               Value value) const {
  SmallVector<Access, 1> accesses;
  auto wanted = demands.find(value);
  if (wanted == demands.end())
    return accesses;
  for (const Demand &demand : wanted->second)
    if (find(demand.kernel) == kernel &&
        !llvm::is_contained(accesses, demand.access))
      accesses.push_back(demand.access);
  return accesses;
}

SmallVector<unsigned> KernelPlan::getConsumers(Operation *op) const {
  SmallVector<unsigned> consumers;
  for (Value result : op->getResults()) {
    auto wanted = demands.find(result);
    if (wanted == demands.end())
      continue;
    for (const Demand &demand : wanted->second)
      consumers.push_back(find(demand.kernel));
  }
  llvm::sort(consumers, [&](unsigned a, unsigned b) {
    return std::pair(kernels[a].first, a) < std::pair(kernels[b].first, b);
  });
  consumers.erase(std::unique(consumers.begin(), consumers.end()),
                  consumers.end());
  return consumers;
}

bool KernelPlan::isComputedIn(Operation *op, unsigned kernel) const {
  auto found = computedIn.find(op);
  return found != computedIn.end() &&
         llvm::any_of(found->second,
                      [&](unsigned other) { return find(other) == kernel; });
}

//===----------------------------------------------------------------------===//
// Changing the plan
//===----------------------------------------------------------------------===//

void KernelPlan::merge(unsigned first, unsigned second) {
  PlannedKernel &into = kernels[first], &from = kernels[second];
  from.mergedInto = first;
  llvm::append_range(into.results, from.results);
  llvm::append_range(into.body, from.body);
  into.operands.insert(from.operands.begin(), from.operands.end());
  into.run = std::max(into.run, from.run);
  into.first = std::min(into.first, from.first);
  into.last = std::max(into.last, from.last);
}

void KernelPlan::take(unsigned kernel, Operation *op) {
  if (isComputedIn(op, kernel))
    return;
  PlannedKernel &planned = kernels[kernel];
  computedIn[op].push_back(kernel);
  planned.body.push_back(op);
  planned.last = std::max(planned.last, positions[op]);
  for (Value result : op->getResults())
    planned.operands.erase(result);
  for (Value operand : op->getOperands()) {
    Value base = stripViews(operand);
    if (!base.getDefiningOp<arith::ConstantOp>())
      planned.operands.insert(base);
  }

  SmallVector<OperandAccess, 4> operands;
  std::string reason;
  for (OpResult result : op->getResults())
    for (const Access &access : getAccesses(kernel, result))
      if (failed(pullAccess(op, result.getResultNumber(), access, planned.space,
                            operands, reason))) {
        failure = FusionNote{op, reason};
        return;
      }
  for (OperandAccess &operand : operands) {
    SmallVector<Demand, 2> &wanted = demands[operand.operand];
    if (llvm::none_of(wanted, [&](const Demand &demand) {
          return find(demand.kernel) == kernel &&
                 demand.access == operand.access;
        }))
      wanted.push_back({kernel, std::move(operand.access)});
  }
}

void KernelPlan::addResult(unsigned kernel, OpResult result) {
  PlannedKernel &planned = kernels[kernel];
  unsigned position = positions[result.getOwner()];
  planned.first =
      planned.results.empty() ? position : std::min(planned.first, position);
  planned.last = std::max(planned.last, position);
  planned.results.push_back(result);
  producers[result] = kernel;
  if (ReduceOp columnSum = getColumnSum(result))
    planned.run = getRun(columnSum);
  demands[result].push_back({kernel, getResultAccess(result, planned.space)});
}

unsigned KernelPlan::addKernel(OpResult result) {
  unsigned kernel = kernels.size();
  kernels.emplace_back();
  kernels.back().mergedInto = kernel;
  kernels.back().space = chooseSpace(result, positions);
  return kernel;
}

/// The kernel that makes another operand of an anchor that reads `results`, if
/// it could make them too: one launch for q, k and v.
std::optional<unsigned>
KernelPlan::findNeighbour(Operation *op, ArrayRef<OpResult> results) const {
  RowSpace space = chooseSpace(results.front(), positions);
  SmallVector<Launch> readers;
  for (Value result : results)
    appendReaders(result, readers);
  for (Launch reader : readers) {
    if (!reader.anchor)
      continue;
    for (OpOperand &operand : reader.anchor->getOpOperands()) {
      auto producer = producers.find(getReadBuffer(operand));
      if (producer == producers.end())
        continue;
      unsigned kernel = find(producer->second);
      if (kernels[kernel].space == space && canJoin(kernel, op, readers))
        return kernel;
    }
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

void KernelPlan::visit(Operation *op) {
  if (!isAnchor(op)) {
    visitBodyOp(op);
    return;
  }
  if (op->getNumResults() && llvm::none_of(op->getResults(), [&](Value result) {
        return buffers.contains(result) || demands.contains(result);
      }))
    return;
  liveAnchors.insert(op);
  for (OpOperand &operand : op->getOpOperands()) {
    Value buffer = getReadBuffer(operand);
    if (buffer == operand.get() && buffer.getDefiningOp() &&
        isViewOp(buffer.getDefiningOp()))
      note(op, "not fused: operand " + Twine(operand.getOperandNumber()) +
                   " is no strided view of a buffer, so it is copied");
    buffers.insert(buffer);
  }
}

void KernelPlan::visitBodyOp(Operation *op) {
  auto isBuffer = [&](Value result) { return buffers.contains(result); };
  bool required = llvm::any_of(op->getResults(), isBuffer);
  SmallVector<unsigned> consumers = getConsumers(op);
  if (consumers.empty() && !required)
    return;
  if (!isBodyOp(op)) {
    failure = FusionNote{op, "it is not a pure op on tensors of static shape"};
    return;
  }

  // Who could compute it?
  std::string reason;
  auto canAllTake = [&] {
    return llvm::all_of(consumers, [&](unsigned kernel) {
      return canTake(kernel, op, reason);
    });
  };
  bool duplicated = isDuplicated(op);
  if (!duplicated)
    mergeConsumers(op, consumers);
  bool takesOne = duplicated || consumers.size() == 1 || isDoneAgain(op);
  if (takesOne && !required && canAllTake()) {
    for (unsigned kernel : consumers)
      take(kernel, op);
    return;
  }
  makeBuffer(op, consumers, reason);
}

/// Makes one kernel of those consumers that could compute `op` once for all.
void KernelPlan::mergeConsumers(Operation *op,
                                SmallVectorImpl<unsigned> &consumers) {
  std::string reason;
  auto isCandidate = [&](unsigned kernel) {
    return isAligned(kernel, op) && canTake(kernel, op, reason);
  };
  for (size_t i = 0; i < consumers.size(); ++i) {
    if (!isCandidate(consumers[i]))
      continue;
    for (size_t j = i + 1; j < consumers.size();) {
      if (isCandidate(consumers[j]) && canMerge(consumers[i], consumers[j])) {
        merge(consumers[i], consumers[j]);
        consumers.erase(consumers.begin() + j);
      } else {
        ++j;
      }
    }
  }
}

/// Gives `op`'s results that somebody reads to one kernel: the first consumer
/// that can hold them, else one that works for the same anchor, else a new one.
void KernelPlan::makeBuffer(Operation *op, ArrayRef<unsigned> consumers,
                            std::string reason) {
  std::optional<unsigned> home;
  for (unsigned kernel : consumers) {
    std::string why;
    if (canTake(kernel, op, why) && canHold(kernel, op, why)) {
      home = kernel;
      break;
    }
    if (reason.empty())
      reason = why;
  }

  SmallVector<OpResult> read;
  for (OpResult result : op->getResults()) {
    auto wanted = demands.find(result);
    bool elsewhere = wanted != demands.end() &&
                     llvm::any_of(wanted->second, [&](const Demand &demand) {
                       return !home || find(demand.kernel) != *home;
                     });
    if (buffers.contains(result) || elsewhere)
      read.push_back(result);
  }
  if (!home) {
    if (!consumers.empty() && !isa<arith::ConstantOp>(op))
      note(op, consumers.size() == 1
                   ? "not fused: " + reason
                   : "not fused into " + Twine(consumers.size()) +
                         " kernels that use it: " + reason);
    home = findNeighbour(op, read);
    if (!home)
      home = addKernel(read.front());
  }
  // Constants stay with those who use them; only anchors need them in memory.
  if (isa<arith::ConstantOp>(op))
    for (unsigned kernel : consumers)
      take(kernel, op);
  for (OpResult result : read)
    addResult(*home, result);
  take(*home, op);
}

/// Column sums read whole rows; a kernel that reads them too makes them at
/// once.
void KernelPlan::joinColumnSums() {
  for (unsigned sums = 0; sums < kernels.size(); ++sums)
    for (unsigned kernel = 0; kernel < kernels.size(); ++kernel)
      if (find(sums) == sums && find(kernel) == kernel &&
          canJoinColumnSums(kernel, sums))
        merge(kernel, sums);
}
