//===- PlanOps.cpp - Verifiers of the plan dialect ------------------------===//
//
// An instruction is legal when the furthest byte it addresses lies within the
// memory it was given. The runtime checks the same of a plan it loads.
//
//===----------------------------------------------------------------------===//
#include "dialects/plan/PlanDialect.h"

#include "dialects/dit/ColumnSums.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dit;
using namespace dit::plan;

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"

void PlanDialect::registerOperations() {
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/PlanOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Place dit::plan::getPlace(Value memory) {
  int64_t offset = 0;
  std::optional<int64_t> bytes;
  while (auto slice = memory.getDefiningOp<SliceOp>()) {
    offset += slice.getOffset();
    if (!bytes)
      bytes = slice.getBytes();
    memory = slice.getSource();
  }
  Operation *root = memory.getDefiningOp();
  if (auto buffer = dyn_cast<BufferOp>(root))
    return {root, offset, bytes.value_or(buffer.getBytes())};
  return {root, offset, bytes.value_or(cast<GlobalMemoryOp>(root).getBytes())};
}

static LogicalResult verifyBytes(Operation *op, int64_t bytes) {
  if (bytes < 1)
    return op->emitOpError("must have at least one byte, not ") << bytes;
  return success();
}

LogicalResult BufferOp::verify() {
  if (getOffset() && (*getOffset() < 0 || *getOffset() % 64 != 0))
    return emitOpError("offset ")
           << *getOffset() << " must be a multiple of 64, not negative";
  return verifyBytes(*this, getBytes());
}

LogicalResult GlobalMemoryOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto global =
      symbols.lookupNearestSymbolFrom<dit::GlobalOp>(*this, getGlobalAttr());
  if (!global)
    return emitOpError("no dit.global is named ") << getGlobalAttr();
  if (getStoredBytes(global) == static_cast<int64_t>(getBytes()))
    return success();
  InFlightDiagnostic diagnostic =
      emitOpError("has ") << getBytes() << " bytes, but " << getGlobalAttr()
                          << " is stored in " << getStoredBytes(global);
  diagnostic.attachNote(global.getLoc()) << "declared here";
  return diagnostic;
}

LogicalResult SliceOp::verify() {
  if (failed(verifyBytes(*this, getBytes())))
    return failure();
  int64_t available = getPlace(getSource()).bytes;
  int64_t offset = getOffset(), bytes = getBytes();
  if (offset < 0 || bytes > available || offset > available - bytes)
    return emitOpError("reaches past the ")
           << available << " bytes of its source";
  return success();
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

int64_t plan::KernelOp::getRows() {
  int64_t rows = 1;
  for (int64_t size : getSpace().drop_back())
    rows *= size;
  return rows;
}

int64_t plan::KernelOp::getBlocks() {
  return llvm::divideCeil(getRows(), getRowsPerBlock());
}

TypeRange plan::KernelOp::getInputTypes() {
  return getBody().front().getArgumentTypes();
}

TypeRange plan::KernelOp::getResultTypes() {
  return getBody().front().getTerminator()->getOperandTypes();
}

LogicalResult plan::KernelOp::verifyRegions() {
  if (getSpace().empty())
    return emitOpError("space has no lane");
  if (static_cast<int64_t>(getRowsPerBlock()) < 1)
    return emitOpError("needs at least one row a block");
  Block &block = getBody().front();
  for (Type type : block.getArgumentTypes())
    if (!isa<RankedTensorType>(type))
      return emitOpError("has an argument of type ") << type;
  return verifyKernelResults(*this, block, getSpace());
}

void plan::FunctionOp::build(OpBuilder &builder, OperationState &state,
                             StringRef name, StringRef step) {
  state.addAttribute(getSymNameAttrName(state.name),
                     builder.getStringAttr(name));
  state.addAttribute(getStepAttrName(state.name), builder.getStringAttr(step));
  state.addRegion()->emplaceBlock();
}

LogicalResult plan::FunctionOp::verifyRegions() {
  if (getBody().getNumArguments() != 0)
    return emitOpError("has arguments; a step works on globals");
  for (Operation &op : getBody().front())
    if (!isa<BufferOp, GlobalMemoryOp, SliceOp, InstructionInterface>(op))
      return op.emitOpError("is no instruction of a plan");
  return success();
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

SmallVector<Value> LaunchOp::getReads() { return getInputs(); }
SmallVector<Value> LaunchOp::getWrites() { return getResults(); }

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel =
      symbols.lookupNearestSymbolFrom<plan::KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("no plan.kernel is named ") << getKernelAttr();
  auto verifyOperands = [&](StringRef kind, OperandRange operands,
                            TypeRange types) -> LogicalResult {
    if (operands.size() != types.size())
      return emitOpError("gives ") << operands.size() << " " << kind
                                   << "s to a kernel with " << types.size();
    for (auto [index, operand, type] : llvm::enumerate(operands, types))
      if (getPlace(operand).bytes != getTensorBytes(type))
        return emitOpError()
               << kind << " " << index << " has " << getPlace(operand).bytes
               << " bytes, but " << type << " has " << getTensorBytes(type);
    return success();
  };
  if (failed(verifyOperands("input", getInputs(), kernel.getInputTypes())) ||
      failed(verifyOperands("result", getResults(), kernel.getResultTypes())))
    return failure();
  if (static_cast<int64_t>(getBlocks()) != kernel.getBlocks())
    return emitOpError("does ")
           << getBlocks() << " blocks of " << kernel.getBlocks();
  return success();
}

namespace {
/// A dimension that is walked: how many steps of how many elements.
struct Walk {
  int64_t count;
  int64_t stride;
};
} // namespace

/// Checks that the furthest element lies within `memory`.
static LogicalResult verifyReach(Operation *op, StringRef name, Value memory,
                                 Type element, ArrayRef<Walk> walks) {
  int64_t last = 0;
  for (const Walk &walk : walks) {
    if (walk.count < 1 || walk.stride < 0)
      return op->emitOpError() << name << " is walked " << walk.count
                               << " times by " << walk.stride << " elements";
    last += (walk.count - 1) * walk.stride;
  }
  int64_t needed = (last + 1) * getElementBytes(element);
  if (needed > getPlace(memory).bytes)
    return op->emitOpError() << name << " needs " << needed << " of "
                             << getPlace(memory).bytes << " bytes";
  return success();
}

static LogicalResult verifyCount(Operation *op, StringRef name,
                                 ArrayRef<int64_t> numbers, size_t count) {
  if (numbers.size() != count)
    return op->emitOpError() << name << " must be " << count << " numbers";
  return success();
}

SmallVector<Value> GemmOp::getReads() {
  SmallVector<Value> reads{getA(), getB()};
  for (Value operand : {getBias(), getGate(), getResidual()})
    if (operand)
      reads.push_back(operand);
  if (getAux() && readsAux())
    reads.push_back(getAux());
  return reads;
}

SmallVector<Value> GemmOp::getWrites() {
  SmallVector<Value> writes{getC()};
  if (getAux() && !readsAux())
    writes.push_back(getAux());
  if (getWorkspace())
    writes.push_back(getWorkspace());
  return writes;
}

static LogicalResult verifyAux(GemmOp op) {
  if (!op.getAux() && op.readsAux())
    return op.emitOpError("gelu_tanh_grad needs aux");
  if (!op.getAux())
    return success();
  if (!op.readsAux() && op.getActivation() != Activation::GeluTanh)
    return op.emitOpError("aux goes with gelu_tanh and its gradient");
  return verifyReach(op, "aux", op.getAux(), op.getElementType(2),
                     {{op.getBatch(), op.getStrides()[2]},
                      {op.getM(), static_cast<int64_t>(op.getAuxStride())},
                      {op.getN(), 1}});
}

static LogicalResult verifyEpilogue(GemmOp op) {
  if (!op.getBias() != !op.getBiasType() || !op.getGate() != !op.getGateType())
    return op.emitOpError("bias and gate need their types, and only they");
  int64_t m = op.getM(), n = op.getN();
  if (op.getBias() && failed(verifyReach(op, "bias", op.getBias(),
                                         *op.getBiasType(), {{n, 1}})))
    return failure();
  if (op.getGate()) {
    int64_t rows = op.getRowsPerGate();
    if (rows < 1)
      return op.emitOpError("a gate needs rows_per_gate");
    Walk gates{(m - 1) / rows + 1, static_cast<int64_t>(op.getGateStride())};
    if (failed(verifyReach(op, "gate", op.getGate(), *op.getGateType(),
                           {gates, {n, 1}})))
      return failure();
  }
  if (op.getResidual() &&
      failed(verifyReach(op, "residual", op.getResidual(), op.getElementType(2),
                         {{op.getBatch(), op.getStrides()[2]},
                          {m, static_cast<int64_t>(op.getResidualStride())},
                          {n, 1}})))
    return failure();
  return verifyAux(op);
}

LogicalResult GemmOp::verify() {
  if (failed(verifyCount(*this, "sizes", getSizes(), 4)) ||
      failed(verifyCount(*this, "leading", getLeading(), 3)) ||
      failed(verifyCount(*this, "strides", getStrides(), 3)))
    return failure();
  if (getTypes().size() != 3)
    return emitOpError("types must be those of a, b and c");
  int64_t m = getM(), n = getN(), k = getK(), batch = getBatch();
  ArrayRef<int64_t> leading = getLeading(), strides = getStrides();
  if (failed(verifyReach(*this, "a", getA(), getElementType(0),
                         {{batch, strides[0]},
                          {getTransposeA() ? k : m, leading[0]},
                          {getTransposeA() ? m : k, 1}})))
    return failure();
  Walk batchB{batch, strides[1]};
  if (std::optional<PackedAttr> packed = getPacked()) {
    int64_t panel = llvm::alignTo(k, packed->getVnni()) * packed->getColumns();
    int64_t panels = llvm::divideCeil(n, packed->getColumns());
    if (failed(verifyReach(*this, "b", getB(), getElementType(1),
                           {batchB, {panels * panel, 1}})))
      return failure();
  } else if (failed(verifyReach(*this, "b", getB(), getElementType(1),
                                {batchB,
                                 {getTransposeB() ? n : k, leading[1]},
                                 {getTransposeB() ? k : n, 1}}))) {
    return failure();
  }
  if (failed(verifyReach(*this, "c", getC(), getElementType(2),
                         {{batch, strides[2]}, {m, leading[2]}, {n, 1}})))
    return failure();
  return verifyEpilogue(*this);
}

SmallVector<Value> plan::AttentionOp::getReads() {
  SmallVector<Value> reads{getQ(), getK(), getV()};
  if (getMask())
    reads.push_back(getMask());
  return reads;
}

SmallVector<Value> plan::AttentionOp::getWrites() {
  SmallVector<Value> writes{getOutput()};
  for (Value operand : {getLogSumExp(), getWorkspace()})
    if (operand)
      writes.push_back(operand);
  return writes;
}

namespace {
/// An operand of an attention: [batch, tokens, heads, dim], strides of the
/// first three.
struct AttentionPart {
  StringRef name;
  Value memory;
  int64_t tokens, heads, dim;
  ArrayRef<int64_t> strides;
};

/// Checks the sizes of an attention and what it touches of its operands.
struct AttentionChecker {
  Operation *op;
  ArrayRef<int64_t> sizes; ///< batch, heads, queries, keys, head dim, value dim
  int64_t group;
  Type type;

  LogicalResult verifySizes() const {
    if (failed(verifyCount(op, "sizes", sizes, 6)))
      return failure();
    if (group < 1 || sizes[1] % group != 0)
      return op->emitOpError("key_head_group ")
             << group << " does not divide " << sizes[1] << " heads";
    return success();
  }
  AttentionPart query(StringRef name, Value memory,
                      ArrayRef<int64_t> strides) const {
    return {name, memory, sizes[2], sizes[1], sizes[4], strides};
  }
  AttentionPart key(StringRef name, Value memory,
                    ArrayRef<int64_t> strides) const {
    return {name, memory, sizes[3], sizes[1] / group, sizes[4], strides};
  }
  AttentionPart value(StringRef name, Value memory,
                      ArrayRef<int64_t> strides) const {
    return {name, memory, sizes[3], sizes[1] / group, sizes[5], strides};
  }
  AttentionPart output(StringRef name, Value memory,
                       ArrayRef<int64_t> strides) const {
    return {name, memory, sizes[2], sizes[1], sizes[5], strides};
  }
  LogicalResult verifyParts(ArrayRef<AttentionPart> parts) const {
    for (const AttentionPart &part : parts)
      if (failed(verifyReach(op, part.name, part.memory, type,
                             {{sizes[0], part.strides[0]},
                              {part.tokens, part.strides[1]},
                              {part.heads, part.strides[2]},
                              {part.dim, 1}})))
        return failure();
    return success();
  }
  LogicalResult verifyMask(Value mask,
                           std::optional<ArrayRef<int64_t>> strides) const {
    if (!mask != !strides)
      return op->emitOpError("a mask needs its strides");
    if (!mask)
      return success();
    if (failed(verifyCount(op, "mask_strides", *strides, 4)))
      return failure();
    return verifyReach(op, "mask", mask, Float32Type::get(op->getContext()),
                       {{sizes[0], (*strides)[0]},
                        {sizes[1], (*strides)[1]},
                        {sizes[2], (*strides)[2]},
                        {sizes[3], (*strides)[3]}});
  }
  LogicalResult verifyLogSumExp(Value memory) const {
    return verifyReach(op, "log_sum_exp", memory,
                       Float32Type::get(op->getContext()),
                       {{sizes[0] * sizes[1] * sizes[2], 1}});
  }
};
} // namespace

LogicalResult plan::AttentionOp::verify() {
  for (auto [name, strides] :
       {std::pair<StringRef, ArrayRef<int64_t>>{"q_strides", getQStrides()},
        {"k_strides", getKStrides()},
        {"v_strides", getVStrides()},
        {"output_strides", getOutputStrides()}})
    if (failed(verifyCount(*this, name, strides, 3)))
      return failure();
  AttentionChecker checker{*this, getSizes(),
                           static_cast<int64_t>(getKeyHeadGroup()), getType()};
  if (failed(checker.verifySizes()) ||
      failed(checker.verifyParts(
          {checker.query("q", getQ(), getQStrides()),
           checker.key("k", getK(), getKStrides()),
           checker.value("v", getV(), getVStrides()),
           checker.output("output", getOutput(), getOutputStrides())})) ||
      failed(checker.verifyMask(getMask(), getMaskStrides())))
    return failure();
  return getLogSumExp() ? checker.verifyLogSumExp(getLogSumExp()) : success();
}

SmallVector<Value> plan::AttentionGradOp::getReads() {
  SmallVector<Value> reads{getQ(),      getK(),         getV(),
                           getOutput(), getLogSumExp(), getOutputGrad()};
  if (getMask())
    reads.push_back(getMask());
  return reads;
}

SmallVector<Value> plan::AttentionGradOp::getWrites() {
  SmallVector<Value> writes{getQueryGrad(), getKeyGrad(), getValueGrad()};
  if (getWorkspace())
    writes.push_back(getWorkspace());
  return writes;
}

LogicalResult plan::AttentionGradOp::verify() {
  if (failed(verifyCount(*this, "strides", getStrides(), 24)))
    return failure();
  AttentionChecker checker{*this, getSizes(),
                           static_cast<int64_t>(getKeyHeadGroup()), getType()};
  if (failed(checker.verifySizes()) ||
      failed(checker.verifyParts(
          {checker.query("q", getQ(), getStrides(Q)),
           checker.key("k", getK(), getStrides(K)),
           checker.value("v", getV(), getStrides(V)),
           checker.output("output", getOutput(), getStrides(Output)),
           checker.output("output_grad", getOutputGrad(),
                          getStrides(OutputGrad)),
           checker.query("query_grad", getQueryGrad(), getStrides(QueryGrad)),
           checker.key("key_grad", getKeyGrad(), getStrides(KeyGrad)),
           checker.value("value_grad", getValueGrad(),
                         getStrides(ValueGrad))})) ||
      failed(checker.verifyMask(getMask(), getMaskStrides())))
    return failure();
  return checker.verifyLogSumExp(getLogSumExp());
}

SmallVector<Value> CopyOp::getReads() { return {getFrom()}; }
SmallVector<Value> CopyOp::getWrites() { return {getTo()}; }

LogicalResult CopyOp::verify() {
  if (getPlace(getFrom()).bytes < getPlace(getTo()).bytes)
    return emitOpError("copies ")
           << getPlace(getTo()).bytes << " bytes, but its source has "
           << getPlace(getFrom()).bytes;
  return success();
}

SmallVector<Value> FillOp::getReads() { return {}; }
SmallVector<Value> FillOp::getWrites() { return {getTo()}; }

LogicalResult FillOp::verify() {
  if (getByte() > 255)
    return emitOpError("fills with ") << getByte() << ", which is no byte";
  return success();
}
