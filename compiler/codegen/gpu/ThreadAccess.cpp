//===- ThreadAccess.cpp - What threads of a GPU read and write ------------===//
//
// Predicated stores, and reads and writes with a hint for the caches, are PTX:
// LLVM has no form for them. All others are LLVM's.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/gpu/GpuEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <numeric>

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// The widest that one instruction reads or writes, in bytes.
static constexpr int64_t mostBytes = 16;

int64_t dit::codegen::getBytes(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  int64_t count = vector ? vector.getNumElements() : 1;
  return count * getElementTypeOrSelf(type).getIntOrFloatBitWidth() / 8;
}

/// Bytes of an instruction of PTX that moves a part of a `type`; 0 where none
/// of ours does.
static int64_t getPiece(Type type, unsigned alignment) {
  int64_t bytes = getBytes(type);
  int64_t piece = std::min<int64_t>({mostBytes, powerIn(bytes), alignment});
  return piece >= 4 ? piece : 0;
}

/// ".v4.b32", and "{$first, $first + 1, …}".
static std::string vectorSuffix(int64_t words) {
  return words == 1 ? ".b32" : ".v" + std::to_string(words) + ".b32";
}
static std::string listOperands(int64_t first, int64_t words) {
  std::string list;
  for (int64_t i = 0; i < words; ++i)
    list += (i ? ", $" : "$") + std::to_string(first + i);
  return words == 1 ? list : "{" + list + "}";
}

/// Whether `buffer` has a number for each point and goes past the L1 cache.
bool GpuEmitter::isStream(const Buffer &buffer) const {
  return streamsPast &&
         buffer.type.getNumElements() >= source.getRows() * source.space.back();
}

/// The address of byte `offset` from `address` on, in global memory.
static Value getGlobalAddress(OpBuilder &builder, Location loc, Value address,
                              int64_t offset) {
  constexpr unsigned globalSpace = 1;
  if (offset)
    address = LLVM::GEPOp::create(
        builder, loc, address.getType(), builder.getI8Type(), address,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
  return LLVM::AddrSpaceCastOp::create(
      builder, loc,
      LLVM::LLVMPointerType::get(builder.getContext(), globalSpace), address);
}

Value GpuEmitter::loadContiguous(const Buffer &buffer, VectorType type,
                                 Value address, unsigned alignment) {
  int64_t piece = getPiece(type, alignment);
  if (!piece || !isStream(buffer))
    return KernelEmitter::loadContiguous(buffer, type, address, alignment);
  int64_t words = piece / 4, count = getBytes(type) / 4;
  Type word = builder.getI32Type();
  Type result = word;
  if (words > 1)
    result = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                              SmallVector<Type>(words, word));
  std::string code = "ld.global.cs" + vectorSuffix(words) + " " +
                     listOperands(0, words) + ", [$" + std::to_string(words) +
                     "];";
  std::string constraints;
  for (int64_t i = 0; i < words; ++i)
    constraints += "=r,";
  // The memory is named so that LLVM keeps its place among stores.
  constraints += "l,~{memory}";
  auto wordsType = VectorType::get(count, word);
  Value all = LLVM::PoisonOp::create(builder, lanes.loc, wordsType);
  for (int64_t first = 0; first < count; first += words) {
    auto read = LLVM::InlineAsmOp::create(
        builder, lanes.loc, result,
        getGlobalAddress(builder, lanes.loc, address, first * 4), code,
        constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
        LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
    for (int64_t i = 0; i < words; ++i) {
      Value part = read.getRes();
      if (words > 1)
        part = LLVM::ExtractValueOp::create(builder, lanes.loc, part, i);
      all = vector::InsertOp::create(builder, lanes.loc, part, all, first + i);
    }
  }
  return LLVM::BitcastOp::create(builder, lanes.loc, type, all);
}

/// Predicated, in one thread of the row where it is one number of the row.
void GpuEmitter::store(const Buffer &buffer, const IndexExpr &position,
                       Value value) {
  Value condition = rowExists;
  auto require = [&](Value other) {
    condition = condition ? lanes.make<arith::AndIOp>(condition, other) : other;
  };
  bool isVector = table.isVector(position);
  if (isVector && scope().lane->exists)
    require(scope().lane->exists);
  if (!isVector && lanesPerRow > 1)
    require(lanes.compare(arith::CmpIPredicate::eq, lane,
                          lanes.integer(lane.getType(), 0)));
  if (isVector)
    value = lanes.widen(value,
                        VectorType::get(scope().lane->width, value.getType()));
  pending.push_back({emitAddress(buffer, position),
                     lanes.toStorage(value, buffer.type.getElementType()),
                     condition, getAlignment(buffer, position),
                     isVector && isStream(buffer)});
  if (!defersStores)
    flushStores();
}

/// Puts the pending stores here.
void GpuEmitter::flushStores() {
  for (const PendingStore &store : pending)
    write(store);
  pending.clear();
}

void GpuEmitter::write(const PendingStore &store) {
  Type type = store.value.getType();
  if (!store.condition && !store.isStream) {
    LLVM::StoreOp::create(builder, lanes.loc, store.value, store.address,
                          store.alignment);
    return;
  }
  int64_t piece = getPiece(type, store.alignment);
  if (!piece) {
    // Numbers of one and two bytes.
    OpBuilder::InsertionGuard guard(builder);
    if (store.condition) {
      auto branch = scf::IfOp::create(builder, lanes.loc, store.condition,
                                      /*withElseRegion=*/false);
      builder.setInsertionPointToStart(branch.thenBlock());
    }
    LLVM::StoreOp::create(builder, lanes.loc, store.value, store.address,
                          store.alignment);
    return;
  }

  int64_t words = piece / 4, count = getBytes(type) / 4;
  auto wordsType = VectorType::get(count, builder.getI32Type());
  Value all =
      LLVM::BitcastOp::create(builder, lanes.loc, wordsType, store.value);
  std::string code =
      store.condition ? "@$" + std::to_string(words + 1) + " " : "";
  code += "st.global" + std::string(store.isStream ? ".cs" : "") +
          vectorSuffix(words) + " [$0], " + listOperands(1, words) + ";";
  std::string constraints = "l";
  for (int64_t i = 0; i < words; ++i)
    constraints += ",r";
  constraints += store.condition ? ",b,~{memory}" : ",~{memory}";
  for (int64_t first = 0; first < count; first += words) {
    SmallVector<Value> operands = {
        getGlobalAddress(builder, lanes.loc, store.address, first * 4)};
    for (int64_t i = 0; i < words; ++i)
      operands.push_back(
          vector::ExtractOp::create(builder, lanes.loc, all, first + i));
    if (store.condition)
      operands.push_back(store.condition);
    LLVM::InlineAsmOp::create(
        builder, lanes.loc, TypeRange(), operands, code, constraints,
        /*has_side_effects=*/true, /*is_align_stack=*/false,
        LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  }
}

/// Operands begin at multiples of 16 bytes, a vector's first index is a
/// multiple of its width.
unsigned GpuEmitter::getAlignment(const Buffer &buffer,
                                  const IndexExpr &position) {
  int64_t elements = std::abs(position.constant);
  for (auto [atom, coefficient] : position.terms) {
    bool isLane = scope().lane && atom == scope().lane->atom;
    elements =
        std::gcd(elements, coefficient * (isLane ? scope().lane->width : 1));
  }
  constexpr int64_t most = 16;
  int64_t bytes = KernelEmitter::getAlignment(buffer, position);
  return elements ? std::min(most, powerIn(elements) * bytes) : most;
}
