//===- ReduceThreads.cpp - One number of all threads of a row -------------===//
//
// Partners at distance 16, 8, 4, 2, 1 exchange and combine what they have; both
// compute the same sum of two numbers, so all threads end with the same bits.
// Rows as wide as a block: then a number of each warp goes through shared
// memory, and every thread combines them in order.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/gpu/GpuEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// What the thread whose number differs by `distance` (a power of two) has.
Value GpuEmitter::shuffle(Value value, int64_t distance) {
  Type type = value.getType(), word = builder.getI32Type();
  unsigned bits = type.getIntOrFloatBitWidth();
  auto shuffleWord = [&](Value number) {
    Value arguments[] = {lanes.integer(word, -1), number,
                         lanes.integer(word, distance),
                         lanes.integer(word, warpSize - 1)};
    return LLVM::CallIntrinsicOp::create(
               builder, lanes.loc, word,
               builder.getStringAttr("llvm.nvvm.shfl.sync.bfly.i32"),
               ValueRange(arguments))
        .getResult(0);
  };
  if (bits == 64) {
    auto pair = VectorType::get(2, word);
    Value words = LLVM::BitcastOp::create(builder, lanes.loc, pair, value);
    Value moved = words;
    for (int64_t half : {0, 1}) {
      Value number = vector::ExtractOp::create(builder, lanes.loc, words, half);
      moved = vector::InsertOp::create(builder, lanes.loc, shuffleWord(number),
                                       moved, half);
    }
    return LLVM::BitcastOp::create(builder, lanes.loc, type, moved);
  }
  if (isa<FloatType>(type))
    return lanes.cast<arith::BitcastOp>(
        shuffleWord(lanes.cast<arith::BitcastOp>(value, word)), type);
  return lanes.resizeInteger(shuffleWord(lanes.resizeInteger(value, word)),
                             type);
}

Value GpuEmitter::reduceVector(ReduceKind kind, Value vector) {
  Value value = KernelEmitter::reduceVector(kind, vector);
  for (int64_t distance = std::min(lanesPerRow, warpSize) / 2; distance > 0;
       distance /= 2)
    value = combine(kind, value, shuffle(value, distance));
  return lanesPerRow > warpSize ? reduceBlock(kind, value) : value;
}

void GpuEmitter::waitForBlock() {
  callIntrinsic("barrier.cta.sync.aligned.all",
                {lanes.integer(builder.getI32Type(), 0)});
}

Value GpuEmitter::allocateShared(StringRef name, Type element, int64_t count) {
  OpBuilder::InsertionGuard guard(builder);
  constexpr unsigned sharedSpace = 3;
  builder.setInsertionPointToStart(module.getBody());
  LLVM::GlobalOp::create(builder, lanes.loc,
                         LLVM::LLVMArrayType::get(element, count),
                         /*isConstant=*/false, LLVM::Linkage::Internal, name,
                         Attribute(), /*alignment=*/16, sharedSpace);
  builder.setInsertionPointToStart(scopes.front()->block);
  return LLVM::AddressOfOp::create(
      builder, lanes.loc,
      LLVM::LLVMPointerType::get(builder.getContext(), sharedSpace), name);
}

/// Reductions take turns with two places, so that one barrier is enough: who
/// writes a place has passed the barrier of the reduction between, and so has
/// everyone who read the place before. Inside of a loop the turns may meet.
Value GpuEmitter::reduceBlock(ReduceKind kind, Value value) {
  int64_t warps = lanesPerRow / warpSize;
  Type word = builder.getI32Type();
  if (!shared)
    shared = allocateShared(source.symbol + "_shared", builder.getI64Type(),
                            2 * warps);
  auto addressOf = [&](Value place) -> Value {
    return LLVM::GEPOp::create(builder, lanes.loc, shared.getType(),
                               builder.getI64Type(), shared,
                               ArrayRef<LLVM::GEPArg>{place});
  };
  Type type = value.getType();
  Operation *around = builder.getInsertionBlock()->getParentOp();
  if (isa<scf::ForOp>(around) || around->getParentOfType<scf::ForOp>())
    waitForBlock();
  int64_t first = blockReductions++ % 2 * warps;
  Value size = lanes.integer(word, warpSize);
  Value place = addressOf(lanes.make<arith::AddIOp>(
      lanes.make<arith::DivUIOp>(lane, size), lanes.integer(word, first)));
  Value isFirst = lanes.compare(arith::CmpIPredicate::eq,
                                lanes.make<arith::RemUIOp>(lane, size),
                                lanes.integer(word, 0));
  auto branch = scf::IfOp::create(builder, lanes.loc, isFirst,
                                  /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    LLVM::StoreOp::create(builder, lanes.loc, value, place);
  }
  waitForBlock();
  Value sum;
  for (int64_t i = 0; i < warps; ++i) {
    Value part = LLVM::LoadOp::create(
        builder, lanes.loc, type, addressOf(lanes.integer(word, first + i)));
    sum = sum ? combine(kind, sum, part) : part;
  }
  return sum;
}
