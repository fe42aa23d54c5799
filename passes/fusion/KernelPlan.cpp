//===- KernelPlan.cpp - Which values are buffers, and who computes them ---===//
#include "passes/fusion/KernelPlan.h"

#include "dialects/dit/StridedView.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/fusion/OpKinds.h"
#include "llvm/ADT/STLExtras.h"

#include <map>

using namespace mlir;
using namespace dit;

/// Buffers that a kernel may read and write: their pointers live in registers.
static constexpr size_t maxOperands = 24;
/// Places at which a kernel may compute one value, and look one up.
static constexpr size_t maxAccesses = 4, maxCheapAccesses = 32;
/// Flops that nobody notices.
static constexpr int64_t negligibleFlops = 1 << 14;
/// Flops that are done again rather than launched once.
static constexpr int64_t tinyFlops = 1024;
/// Ops that are looked at for a reduction that fixes the lane.
static constexpr int lookahead = 64;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

static int64_t countElements(Value value) {
  return ShapedType::getNumElements(shapeOf(value));
}

static int64_t countBits(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getNumElements() *
         static_cast<int64_t>(type.getElementTypeBitWidth());
}

/// True for the results of norms and softmax that are like their input.
static bool isLikeInput(OpResult result) {
  return result.getResultNumber() == 0 && !isa<ReduceOp>(result.getOwner());
}

KernelPlan::KernelPlan(Block &block) {
  unsigned position = 0;
  for (Operation &op : block)
    positions[&op] = position++;
  for (Operation &op : llvm::reverse(block)) {
    if (failure)
      return;
    visit(&op);
  }
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
    return !isReduction(op) &&
           countElements(op->getResult(0)) * getWeight(op) <= tinyFlops;
  int64_t bits = 0;
  bool made = false;
  for (Value operand : op->getOperands())
    made |= isMadeForOne(operand, bits);
  return !made || countBits(op->getResult(0)) > bits;
}

//===----------------------------------------------------------------------===//
// Cycles
//===----------------------------------------------------------------------===//

/// Appends the kernels and anchors that read `value`, had it a buffer.
void KernelPlan::appendReaders(Value value,
                               SmallVectorImpl<Launch> &launches) const {
  for (Operation *user : value.getUsers()) {
    if (isAnchor(user)) {
      if (user->getNumResults())
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
    int64_t lane = shapeOf(op->getOperand(0)).back();
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
    cost = evaluations * getWeight(op);
    // Arithmetic is less than the memory that it saves.
    if (getWeight(op) <= 4)
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
  RowSpace space = kernels[kernel].space;
  auto isLinear = [&](Value result) {
    return llvm::any_of(getAccesses(kernel, result), [&](const Access &access) {
      return getLinearity(access, shapeOf(result), space) != Linearity::None;
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
  return a.space == b.space &&
         a.operands.size() + b.operands.size() - shared + a.results.size() +
                 b.results.size() <=
             maxOperands &&
         !reaches({nullptr, first}, second) &&
         !reaches({nullptr, second}, first);
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
  bool full = countElements(result) == planned.space.rows * planned.space.lane;
  demands[result].push_back(
      {kernel, getResultAccess(shapeOf(result), planned.space,
                               full ? Linearity::Full : Linearity::Row)});
}

/// The space of a kernel with this result. A reduction near it decides the
/// lane: its rows must be the kernel's rows, or parts of them the result's
/// rows. Without one the lane is the last dimension.
RowSpace KernelPlan::chooseSpace(OpResult result) const {
  int64_t points = countElements(result);
  ArrayRef<int64_t> shape = shapeOf(result);
  if (isReduction(result.getOwner())) {
    int64_t lane = shapeOf(result.getOwner()->getOperand(0)).back();
    return {isLikeInput(result) ? points / lane : points, lane};
  }
  RowSpace linear{points, 1};
  std::map<unsigned, Operation *, std::greater<>> pending;
  DenseMap<Value, SmallVector<Access, 1>> accesses;
  accesses[result].push_back(getResultAccess(shape, linear, Linearity::Full));
  pending[positions.at(result.getOwner())] = result.getOwner();
  for (int step = 0; step < lookahead && !pending.empty(); ++step) {
    Operation *op = pending.begin()->second;
    pending.erase(pending.begin());
    for (OpResult wanted : op->getResults())
      for (Access access : accesses.lookup(wanted)) {
        if (isReduction(op)) {
          int64_t lane = shapeOf(op->getOperand(0)).back();
          ArrayRef<int64_t> rowShape = shapeOf(wanted);
          if (isLikeInput(wanted)) {
            access.indices.pop_back();
            rowShape = rowShape.drop_back();
          }
          bool fixed = llvm::all_of(access.indices, [&](const Index &index) {
            return llvm::all_of(index.digits, [&](const Digit &digit) {
              return digit.stride % lane == 0;
            });
          });
          if (points % lane == 0 && fixed)
            return {points / lane, lane};
          if (getLinearity(access, rowShape, linear) == Linearity::Full)
            return {points, lane};
          continue;
        }
        SmallVector<OperandAccess, 4> operands;
        std::string reason;
        if (failed(pullAccess(op, wanted.getResultNumber(), access, linear,
                              operands, reason)))
          continue;
        for (OperandAccess &operand : operands) {
          Operation *producer = operand.operand.getDefiningOp();
          if (!producer || !isBodyOp(producer))
            continue;
          pending[positions.at(producer)] = producer;
          SmallVector<Access, 1> &known = accesses[operand.operand];
          if (known.size() < maxAccesses &&
              !llvm::is_contained(known, operand.access))
            known.push_back(std::move(operand.access));
        }
      }
  }
  int64_t lane = shape.empty() ? 1 : shape.back();
  return {points / lane, lane};
}

unsigned KernelPlan::addKernel(OpResult result) {
  unsigned kernel = kernels.size();
  kernels.emplace_back();
  kernels.back().mergedInto = kernel;
  kernels.back().space = chooseSpace(result);
  return kernel;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

void KernelPlan::visit(Operation *op) {
  if (!isAnchor(op)) {
    visitBodyOp(op);
    return;
  }
  for (OpOperand &operand : op->getOpOperands()) {
    Value buffer = getReadBuffer(operand);
    Operation *producer = buffer.getDefiningOp();
    if (!producer || isAnchor(producer))
      continue;
    if (buffer == operand.get() && isViewOp(producer))
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
  if (canAllTake() && !required && (duplicated || consumers.size() == 1)) {
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
/// that can hold them, else a new one.
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
