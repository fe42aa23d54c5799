//===- JoinSmallKernels.cpp - Small results of a step in few launches -----===//
//
// What a kernel writes for whoever comes after the function, nobody waits for:
// such kernels may run as late as anything, and so together. The block is
// walked once; kernels over one space gather until they have as many operands
// as a kernel may have, and become one where the last of them is.
//
//===----------------------------------------------------------------------===//
#include "passes/fusion/Passes.h"

#include "dialects/dit/ColumnSums.h"
#include "dialects/dit/DitDialect.h"
#include "mlir/IR/IRMapping.h"
#include "passes/fusion/KernelName.h"
#include "passes/fusion/OpKinds.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_JOINSMALLKERNELS
#include "passes/fusion/Passes.h.inc"
} // namespace dit

using namespace dit;

/// Bits that a small kernel reads and writes, half a megabyte: it takes less
/// time than its launch, and may hold its operands until the others are there.
static constexpr int64_t mostBits = int64_t(1) << 22;

static SmallVector<Value> getBuffers(KernelOp kernel) {
  SmallVector<Value> buffers(kernel.getInputs());
  llvm::append_range(buffers, kernel.getResults());
  return buffers;
}

/// True for kernels that move little, for writes alone, point by point.
static bool canWait(KernelOp kernel) {
  int64_t bits = 0;
  for (Value buffer : getBuffers(kernel))
    bits += countBits(buffer);
  auto isWritten = [](Operation *user) { return isa<WriteOp>(user); };
  auto isColumnSum = [](Value yielded) {
    return static_cast<bool>(getColumnSum(yielded));
  };
  return bits <= mostBits && llvm::all_of(kernel->getUsers(), isWritten) &&
         llvm::none_of(kernel.getBody().front().getTerminator()->getOperands(),
                       isColumnSum);
}

namespace {
/// Kernels over one space that will be one.
struct Group {
  SmallVector<KernelOp> kernels;
  llvm::SetVector<Value> buffers;
  size_t ops = 0;

  bool hasRoomFor(KernelOp kernel) const;
  void add(KernelOp kernel);
  /// Makes one kernel of what it has, and lets go of it.
  void join();
};

struct JoinSmallKernels : dit::impl::JoinSmallKernelsBase<JoinSmallKernels> {
  void runOnOperation() override;
};
} // namespace

static size_t countOps(KernelOp kernel) {
  return llvm::range_size(kernel.getBody().front().without_terminator());
}

bool Group::hasRoomFor(KernelOp kernel) const {
  size_t added = llvm::count_if(getBuffers(kernel), [&](Value buffer) {
    return !buffers.contains(buffer);
  });
  return buffers.size() + added <= maxKernelOperands &&
         ops + countOps(kernel) <= maxKernelOps;
}

void Group::add(KernelOp kernel) {
  kernels.push_back(kernel);
  buffers.insert_range(getBuffers(kernel));
  ops += countOps(kernel);
}

/// Copies the body of `kernel` to the builder's place in `inside`, whose
/// arguments are `inputs`; returns what it yields.
static SmallVector<Value> copyBody(OpBuilder &builder, KernelOp kernel,
                                   const llvm::SetVector<Value> &inputs,
                                   Block *inside) {
  IRMapping mapping;
  Block &body = kernel.getBody().front();
  for (auto [argument, input] :
       llvm::zip_equal(body.getArguments(), kernel.getInputs()))
    mapping.map(argument, inside->getArgument(llvm::find(inputs, input) -
                                              inputs.begin()));
  for (Operation &op : body.without_terminator())
    builder.clone(op, mapping);
  SmallVector<Value> yielded;
  for (Value value : body.getTerminator()->getOperands())
    yielded.push_back(mapping.lookup(value));
  return yielded;
}

/// What people call it: as all of `kernels`, or after all that it does.
static std::string nameJoined(KernelOp joined, ArrayRef<KernelOp> kernels) {
  StringRef name = joined.getName();
  if (llvm::all_of(kernels, [&](KernelOp op) { return op.getName() == name; }))
    return name.str();
  SmallVector<Operation *> body;
  for (Operation &op : joined.getBody().front().without_terminator())
    body.push_back(&op);
  return nameKernel(body);
}

/// Makes one kernel of `kernels`, which are in the block's order, at the last.
static void makeOne(ArrayRef<KernelOp> kernels) {
  llvm::SetVector<Value> inputs;
  SmallVector<Type> types;
  SmallVector<Location> locations;
  for (KernelOp kernel : kernels) {
    inputs.insert_range(kernel.getInputs());
    llvm::append_range(types, kernel.getResultTypes());
    locations.push_back(kernel.getLoc());
  }
  KernelOp last = kernels.back();
  OpBuilder builder(last);
  auto made =
      KernelOp::create(builder, builder.getFusedLoc(locations), types,
                       last.getName(), last.getSpace(), inputs.getArrayRef());
  Block *inside = builder.createBlock(&made.getBody());
  for (Value input : inputs)
    inside->addArgument(input.getType(), input.getLoc());

  SmallVector<Value> yielded;
  Operation *written = made;
  for (KernelOp kernel : kernels) {
    for (Value result : kernel.getResults()) {
      for (Operation *write : llvm::make_early_inc_range(result.getUsers()))
        if (write->isBeforeInBlock(made)) {
          write->moveAfter(written);
          written = write;
        }
      result.replaceAllUsesWith(made.getResult(
          yielded.size() + cast<OpResult>(result).getResultNumber()));
    }
    llvm::append_range(yielded, copyBody(builder, kernel, inputs, inside));
  }
  YieldOp::create(builder, made.getLoc(), yielded);
  made.setName(nameJoined(made, kernels));
  for (KernelOp kernel : kernels)
    kernel.erase();
}

void Group::join() {
  if (kernels.size() > 1)
    makeOne(kernels);
  *this = {};
}

void JoinSmallKernels::runOnOperation() {
  if (getOperation().isExternal())
    return;
  llvm::MapVector<ArrayRef<int64_t>, Group> groups;
  for (KernelOp kernel :
       llvm::to_vector(getOperation().getBody().getOps<KernelOp>())) {
    if (!canWait(kernel))
      continue;
    Group &group = groups[kernel.getSpace()];
    if (!group.hasRoomFor(kernel))
      group.join();
    group.add(kernel);
  }
  for (auto &[space, group] : groups)
    group.join();
}
