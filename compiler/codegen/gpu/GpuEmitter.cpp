//===- GpuEmitter.cpp - Kernels whose rows threads share ------------------===//
#include "compiler/codegen/gpu/GpuEmitter.h"
#include "dialects/dit/ColumnSums.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"
#include <utility>

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// Elements of the rows it reads that a thread holds in registers, at most
/// where a block is wide enough.
static constexpr int64_t mostElements = 64;

/// Elements in 16 bytes of the narrowest number that the kernel reads or writes
/// once for each point.
static int64_t getVectorWidth(const KernelSource &source) {
  int64_t points = source.getRows() * source.space.back(), bits = 32;
  auto look = [&](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    Type element = tensor.getElementType();
    if (!isa<FloatType>(element) || tensor.getNumElements() < points)
      return;
    bits = std::min<int64_t>(bits, element.getIntOrFloatBitWidth());
  };
  Block &body = source.body->front();
  for (Type type : body.getArgumentTypes())
    look(type);
  for (Type type : body.getTerminator()->getOperandTypes())
    look(type);
  return 128 / bits;
}

/// Whether the rows of a kernel read more, in bytes, of operands that other
/// rows read too than they read and write of their own, and all rows together
/// more than a GPU's cache holds: 50 MB, of which each half of an H100 sees 25.
/// What fits the cache should stay there for the next kernel. Measured on an
/// H100, LayerNorm + modulate, bf16, D 1152: 31.7 → 27.6 µs for 16384 rows;
/// with gate and residual nothing.
static bool decideStreaming(const KernelSource &source) {
  constexpr int64_t cacheBytes = 64 << 20;
  int64_t size = source.space.back(), rows = source.getRows();
  int64_t own = 0, others = 0;
  Block &body = source.body->front();
  auto look = [&](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    int64_t count = tensor.getNumElements();
    int64_t bytes = size * std::max(1u, tensor.getElementTypeBitWidth() / 8);
    if (count >= rows * size)
      own += bytes;
    else if (count >= size)
      others += bytes;
  };
  for (Type type : body.getArgumentTypes())
    look(type);
  for (Type type : body.getTerminator()->getOperandTypes())
    look(type);
  return others >= own && own * rows >= cacheBytes;
}

GpuEmitter::GpuEmitter(ModuleOp module, const KernelSource &source,
                       bool canOverlap)
    : KernelEmitter(module, source,
                    {getVectorWidth(source), /*hasBf16Conversion=*/true,
                     /*hasApproximations=*/true}),
      launch{source.symbol, 1, 1, 0, /*waitsItself=*/true},
      vectorWidth(getVectorWidth(source)), canOverlap(canOverlap),
      streamsPast(decideStreaming(source)) {}

SmallVector<Type> GpuEmitter::getArguments() {
  size_t count = source.body->getNumArguments() +
                 source.body->front().getTerminator()->getNumOperands();
  return SmallVector<Type>(count,
                           LLVM::LLVMPointerType::get(builder.getContext()));
}

/// Whole vectors only: a row that is no multiple of 16 bytes has narrower ones.
int64_t GpuEmitter::getWidth(int64_t size) const {
  return std::min(vectorWidth, powerIn(size));
}

Value GpuEmitter::getRegister(StringRef name) {
  return LLVM::CallIntrinsicOp::create(
             builder, lanes.loc, builder.getI32Type(),
             builder.getStringAttr("llvm.nvvm.read.ptx.sreg." + name),
             ValueRange())
      .getResult(0);
}

void GpuEmitter::callIntrinsic(StringRef name, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(
      builder, lanes.loc, builder.getStringAttr("llvm.nvvm." + name), operands);
}

/// A number that is not negative, as an i64.
Value GpuEmitter::toWide(Value number) {
  return arith::ExtUIOp::create(builder, lanes.loc, builder.getI64Type(),
                                number);
}

void GpuEmitter::emitFunction(Block *entry) {
  Block &body = source.body->front();
  unsigned position = 0;
  auto nextBuffer = [&](Type type) -> Buffer {
    return {entry->getArgument(position++), cast<RankedTensorType>(type)};
  };
  for (BlockArgument argument : body.getArguments())
    buffers[argument] = nextBuffer(argument.getType());
  for (Value result : body.getTerminator()->getOperands())
    results.push_back(nextBuffer(result.getType()));
  if (canOverlap) {
    // Nothing is read or written before the kernel before is done; the next
    // may be set up as soon as all blocks of this one are.
    callIntrinsic("griddepcontrol.wait");
    callIntrinsic("griddepcontrol.launch.dependents");
  }
  thread = getRegister("tid.x");
  block = getRegister("ctaid.x");
  bool isFlatKernel = isFlat();
  Scope inner(entry);
  scopes.push_back(&inner);
  if (isFlatKernel)
    emitFlatThreads();
  else
    emitRowThreads();
  scopes.pop_back();
  setInsertionPoint();
}

void GpuEmitter::emitFlatThreads() {
  int64_t points = source.getRows() * source.space.back();
  int64_t width = getWidth(points), vectors = points / width;
  launch.threads = std::min<int64_t>(256, llvm::alignTo(vectors, warpSize));
  launch.blocks = llvm::divideCeil(vectors, launch.threads);
  Type word = builder.getI32Type();
  Value number = lanes.make<arith::AddIOp>(
      lanes.make<arith::MulIOp>(block, lanes.integer(word, launch.threads)),
      thread);
  Value exists;
  if (vectors % launch.threads) {
    exists = lanes.compare(arith::CmpIPredicate::ult, number,
                           lanes.integer(word, vectors));
    number = lanes.select(exists, number, lanes.integer(word, 0));
  }
  Value base = lanes.make<arith::MulIOp>(
      toWide(number), lanes.integer(builder.getI64Type(), width));
  scope().lane = makeLane(base, exists, {0, points - 1}, width, /*size=*/0);
  storeResults({IndexTable::get(scope().lane->atom)});
}

/// Threads of a row, rows of a run at once, threads of a block, and blocks: a
/// warp a row, or as many as keep a thread's part of all rows that it reads in
/// registers. Few rows cannot fill the GPU with a warp each: then what counts
/// is how long one takes (512 rows of 1152 on an H100, gate + residual + norm +
/// modulate, fp32 residual: 3.4 us with a warp a row, 2.6 with a vector a
/// thread).
void GpuEmitter::chooseThreads() {
  constexpr int64_t fewRows = 2048, mostThreads = 512;
  int64_t rows = source.getRows(), size = source.space.back();
  int64_t width = getWidth(size), vectors = size / width, read = 0;
  for (Type type : source.body->getArgumentTypes())
    read += cast<RankedTensorType>(type).getNumElements() >= rows * size;
  // Column sums are held as well; threads go through the rows of a run.
  for (Value result : source.body->front().getTerminator()->getOperands())
    read += getColumnSum(result) != nullptr;
  rows /= run;
  int64_t atOnce =
      std::max<int64_t>(1, mostElements / (width * std::max<int64_t>(1, read)));
  // Rows of a run are made at once where a warp holds each.
  bool isShortInRun = run > 1 && reducesRows() && vectors <= warpSize * atOnce;
  if (rows <= fewRows && !isShortInRun)
    atOnce = llvm::divideCeil(vectors, mostThreads);
  lanesPerRow = std::min<int64_t>(llvm::PowerOf2Ceil(vectors), warpSize);
  if (vectors > warpSize * atOnce)
    lanesPerRow = std::min<int64_t>(
        llvm::alignTo(llvm::divideCeil(vectors, atOnce), warpSize), 1024);
  rowsAtOnce = chooseRowsAtOnce();
  int64_t together = getThreadsOfRun();
  launch.threads =
      together > warpSize ? together : std::max(together, fewestThreads);
  launch.blocks = llvm::divideCeil(rows, launch.threads / together);
}

Value GpuEmitter::takePlace(int64_t count) {
  int64_t together = getThreadsOfRun();
  int64_t perBlock = launch.threads / together;
  Type word = builder.getI32Type();
  lane = lanes.make<arith::RemUIOp>(thread, lanes.integer(word, lanesPerRow));
  Value place = lanes.make<arith::AddIOp>(
      lanes.make<arith::MulIOp>(block, lanes.integer(word, perBlock)),
      lanes.make<arith::DivUIOp>(thread, lanes.integer(word, together)));
  if (count % perBlock == 0)
    return place;
  rowExists = lanes.compare(arith::CmpIPredicate::ult, place,
                            lanes.integer(word, count));
  return lanes.select(rowExists, place, lanes.integer(word, count - 1));
}

void GpuEmitter::emitRowThreads() {
  chooseThreads();
  if (run > 1)
    return emitRunThreads();
  // Rows are split as i32, and widened then: quotients are dear in 64 bits.
  Index index = splitRow(takePlace(source.getRows()));
  for (const IndexExpr &expr : index)
    for (auto [atom, _] : expr.terms)
      variables[atom] = toWide(variables[atom]);
  emitCutRows(index);
}

/// Rows of one warp must not part where they exchange numbers.
void GpuEmitter::emitCutRows(const Index &row) {
  if (lanesPerRow >= warpSize)
    KernelEmitter::emitCutRows(row);
  else
    emitRow(row);
}

Lane GpuEmitter::makeLane(Value base, Value exists, IndexRange range,
                          int64_t width, int64_t size) {
  Lane made;
  made.atom = table.createVariable(range, getLevel(), /*isVector=*/true);
  variables[made.atom] = base;
  made.width = width;
  made.base = base;
  made.isAligned = true;
  made.size = size;
  made.exists = exists;
  return made;
}

/// The scope of a thread's fragment of the row that `parent` is the scope of,
/// which is on top of the stack.
Scope &GpuEmitter::getFragment(Scope &parent, int64_t size, int64_t fragment) {
  std::vector<std::unique_ptr<Scope>> &known = parent.fragments[size];
  int64_t width = getWidth(size), step = lanesPerRow * width;
  while (static_cast<int64_t>(known.size()) <= fragment) {
    int64_t low = known.size() * step, high = std::min(low + step, size);
    Type integer = builder.getI64Type();
    Value base =
        lanes.make<arith::MulIOp>(toWide(lane), lanes.integer(integer, width));
    if (low)
      base = lanes.make<arith::AddIOp>(base, lanes.integer(integer, low));
    Value exists;
    if (high - low < step) {
      exists = lanes.compare(arith::CmpIPredicate::ult, base,
                             lanes.integer(integer, high));
      base = lanes.select(exists, base, lanes.integer(integer, low));
    }
    auto inner = std::make_unique<Scope>(parent.block);
    scopes.push_back(inner.get());
    inner->lane = makeLane(base, exists, {low, high - 1}, width, size);
    scopes.pop_back();
    known.push_back(std::move(inner));
  }
  Scope &found = *known[fragment];
  found.anchor = parent.anchor;
  return found;
}

/// Fragment f goes to accumulator f mod their number. Cuts do not matter: a
/// fragment that lies in one operand of a concatenation knows it.
SmallVector<Value> GpuEmitter::emitLanes(ArrayRef<int64_t> cuts,
                                         ValueRange inits, bool,
                                         LaneBody body) {
  int64_t size = cuts.back(), width = getWidth(size);
  int64_t step = lanesPerRow * width;
  int64_t fragments = llvm::divideCeil(size, step);
  SmallVector<Value> parts;
  size_t count =
      std::min<size_t>(inits.size(), llvm::bit_floor<uint64_t>(fragments));
  for (Value init : inits.take_front(count))
    parts.push_back(lanes.widen(init, VectorType::get(width, init.getType())));
  auto emitStep = [&](Value &part) {
    const Lane current = *scope().lane;
    Value next = body(IndexTable::get(current.atom), part);
    if (next)
      part = current.exists ? lanes.select(current.exists, next, part) : next;
  };
  Value none;
  if (fragments <= mostFragments) {
    Scope &parent = scope();
    bool isOuter = !std::exchange(defersStores, true);
    for (int64_t fragment = 0; fragment < fragments; ++fragment) {
      scopes.push_back(&getFragment(parent, size, fragment));
      setInsertionPoint();
      emitStep(parts.empty() ? none : parts[fragment % parts.size()]);
      scopes.pop_back();
      setInsertionPoint();
    }
    if (isOuter) {
      defersStores = false;
      flushStores();
    }
    return parts;
  }

  parts.resize(std::min<size_t>(parts.size(), 1));
  Type integer = builder.getI64Type();
  Value own =
      lanes.make<arith::MulIOp>(toWide(lane), lanes.integer(integer, width));
  return emitLoop(
      lanes.integer(integer, 0), lanes.integer(integer, fragments * step), step,
      parts, [&](Value low, ValueRange carried) {
        Value base = lanes.make<arith::AddIOp>(low, own), exists;
        if (size % step) {
          exists = lanes.compare(arith::CmpIPredicate::ult, base,
                                 lanes.integer(integer, size));
          base = lanes.select(exists, base, lanes.integer(integer, 0));
        }
        scope().lane = makeLane(base, exists, {0, size - 1}, width, size);
        SmallVector<Value> next(carried);
        emitStep(next.empty() ? none : next[0]);
        return next;
      });
}

/// Fragments keep what they hold by themselves.
Value GpuEmitter::keepElement(Value value, const Index &index, unsigned part) {
  return computeElement(value, index, part);
}
