//===- EmitAccess.cpp - Indices as numbers, loads and stores --------------===//
//
// A load at `lane + something the lane is not in` is one vector load; where the
// lane does not occur it is a scalar load, in the scope that its index belongs
// to; one whose lanes have the same distances in every vector and lie close
// (pairs swapped, every second element) is one or two vector loads and a
// shuffle; the rest is a gather. Addresses are made of a part that the lane is
// not in, computed once a row, and the lane.
//
//===----------------------------------------------------------------------===//
#include "compiler/codegen/KernelEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// Parts of names of loads among the elements: no value's part is as great.
static constexpr unsigned loadPart = ~0u;

static int64_t byteSize(Type element) {
  return std::max(1u, element.getIntOrFloatBitWidth() / 8);
}

/// `expr` without the atoms that differ from lane to lane, and those alone.
static std::pair<IndexExpr, IndexExpr> splitLanes(const IndexTable &table,
                                                  const IndexExpr &expr) {
  IndexExpr scalar(expr.constant), vector;
  for (auto term : expr.terms)
    (table[term.first].isVector ? vector : scalar).terms.push_back(term);
  return {scalar, vector};
}

namespace {
/// Where the lanes of any vector lie: vector v's lane i is at
/// `first + v · step + offsets[i]`.
struct LanePattern {
  int64_t first = 0, step = 0;
  SmallVector<int64_t, 16> offsets;
  int64_t low = 0, high = 0;
};
} // namespace

/// The value of `expr`, which has the atom `lane` alone, at one lane.
static int64_t evaluate(const IndexTable &table, const IndexExpr &expr,
                        AtomId lane, int64_t index) {
  int64_t sum = expr.constant;
  for (auto [atom, coefficient] : expr.terms)
    sum += coefficient *
           (atom == lane ? index
                         : llvm::divideFloorSigned(
                               evaluate(table, table[atom].inner, lane, index),
                               table[atom].divisor));
  return sum;
}

/// By how much `expr` grows when the lane grows by `width`, where that is the
/// same from every multiple of the width on.
static std::optional<int64_t> getStep(const IndexTable &table,
                                      const IndexExpr &expr, AtomId lane,
                                      int64_t width) {
  int64_t step = 0;
  for (auto [id, coefficient] : expr.terms) {
    const Atom &atom = table[id];
    if (id == lane) {
      step += coefficient * width;
      continue;
    }
    if (atom.kind != Atom::Quotient)
      return std::nullopt;
    std::optional<int64_t> inner = getStep(table, atom.inner, lane, width);
    if (!inner || *inner % atom.divisor)
      return std::nullopt;
    step += coefficient * (*inner / atom.divisor);
  }
  return step;
}

static std::optional<LanePattern>
getPattern(const IndexTable &table, const IndexExpr &expr, const Lane &lane) {
  std::optional<int64_t> step = getStep(table, expr, lane.atom, lane.width);
  if (!step || !lane.isAligned)
    return std::nullopt;
  LanePattern pattern;
  pattern.first = evaluate(table, expr, lane.atom, 0);
  pattern.step = *step;
  for (int64_t i = 0; i < lane.width; ++i)
    pattern.offsets.push_back(evaluate(table, expr, lane.atom, i) -
                              pattern.first);
  pattern.low = *llvm::min_element(pattern.offsets);
  pattern.high = *llvm::max_element(pattern.offsets);
  return pattern;
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

/// The number that an atom stands for.
Value KernelEmitter::emitAtom(AtomId id) {
  const Atom atom = table[id];
  if (atom.kind == Atom::Variable) {
    Value value = variables[id];
    if (!atom.isVector || isa<VectorType>(value.getType()))
      return value;
    // The lane: its first index and one more for each lane.
    const Lane &lane = *scope().lane;
    bool isShort = atom.range.high + lane.width < INT32_MAX;
    Type element = isShort ? builder.getI32Type() : builder.getI64Type();
    SmallVector<Attribute> numbers;
    for (int64_t i = 0; i < lane.width; ++i)
      numbers.push_back(builder.getIntegerAttr(element, i));
    auto type = VectorType::get(lane.width, element);
    Value iota = arith::ConstantOp::create(
        builder, lanes.loc, DenseElementsAttr::get(type, numbers));
    return lanes.make<arith::AddIOp>(lanes.resizeInteger(value, element), iota);
  }
  Value inner = atom.isVector ? emitVector(atom.inner) : emitScalar(atom.inner);
  auto number = [&](int64_t value) {
    return lanes.integer(inner.getType(), value);
  };
  if (atom.kind == Atom::Clamp)
    return lanes.make<arith::MinSIOp>(
        lanes.make<arith::MaxSIOp>(inner, number(atom.range.low)),
        number(atom.range.high));
  if (atom.range.low >= 0)
    return lanes.make<arith::DivUIOp>(inner, number(atom.divisor));
  // Lifted to where quotients are rounded down by themselves.
  int64_t lift = -atom.range.low;
  Value lifted = lanes.make<arith::AddIOp>(inner, number(lift * atom.divisor));
  return lanes.make<arith::SubIOp>(
      lanes.make<arith::DivUIOp>(lifted, number(atom.divisor)), number(lift));
}

/// An index that is the same in all lanes, as an i64.
Value KernelEmitter::emitScalar(const IndexExpr &expr) {
  unsigned depth = table.getDepth(expr);
  if (depth < getLevel())
    return inScope(depth, [&] { return emitScalar(expr); });
  if (auto known = scope().indices.find(expr); known != scope().indices.end())
    return known->second;
  Type type = builder.getI64Type();
  Value sum;
  for (auto [atom, coefficient] : expr.terms) {
    Value term = lanes.resizeInteger(emitAtom(atom), type);
    if (coefficient != 1)
      term = lanes.make<arith::MulIOp>(term, lanes.integer(type, coefficient));
    sum = sum ? lanes.make<arith::AddIOp>(sum, term) : term;
  }
  if (!sum || expr.constant) {
    Value constant = lanes.integer(type, expr.constant);
    sum = sum ? lanes.make<arith::AddIOp>(sum, constant) : constant;
  }
  scope().indices[expr] = sum;
  return sum;
}

/// An index that differs from lane to lane: a vector of i32 where all numbers
/// on the way fit, else of i64.
Value KernelEmitter::emitVector(const IndexExpr &expr) {
  if (auto known = scope().indices.find(expr); known != scope().indices.end())
    return known->second;
  auto [scalarPart, vectorPart] = splitLanes(table, expr);
  int64_t reach = std::abs(expr.constant);
  for (auto [atom, coefficient] : expr.terms) {
    IndexRange range = table[atom].range;
    reach += std::abs(coefficient) *
             (std::max(std::abs(range.low), std::abs(range.high)) +
              scope().lane->width);
  }
  Type type = reach < INT32_MAX ? builder.getI32Type() : builder.getI64Type();
  Value sum;
  std::optional<LanePattern> pattern =
      getPattern(table, vectorPart, *scope().lane);
  if (pattern && pattern->step == 0) {
    // The same in every vector.
    SmallVector<Attribute> numbers;
    for (int64_t offset : pattern->offsets)
      numbers.push_back(builder.getIntegerAttr(type, pattern->first + offset));
    auto vector = VectorType::get(scope().lane->width, type);
    sum = arith::ConstantOp::create(builder, lanes.loc,
                                    DenseElementsAttr::get(vector, numbers));
    vectorPart.terms.clear();
  }
  for (auto [atom, coefficient] : vectorPart.terms) {
    Value term = lanes.resizeInteger(emitAtom(atom), type);
    if (coefficient != 1)
      term = lanes.make<arith::MulIOp>(
          term, lanes.integer(term.getType(), coefficient));
    sum = sum ? lanes.make<arith::AddIOp>(sum, term) : term;
  }
  if (!(scalarPart == IndexExpr()))
    sum = lanes.make<arith::AddIOp>(
        sum, lanes.resizeInteger(emitScalar(scalarPart), type));
  scope().indices[expr] = sum;
  return sum;
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

/// The address of the element at `position`, where the lane stands for its
/// first index.
Value KernelEmitter::emitAddress(const Buffer &buffer,
                                 const IndexExpr &position) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type element = LaneBuilder::getStorageType(buffer.type.getElementType());
  auto [scalarPart, vectorPart] = splitLanes(table, position);
  Value address =
      LLVM::GEPOp::create(builder, lanes.loc, pointer, element, buffer.pointer,
                          ArrayRef<LLVM::GEPArg>{emitScalar(scalarPart)});
  for (auto [atom, coefficient] : vectorPart.terms) {
    assert(atom == scope().lane->atom && "only the lane has a first index");
    Value base = scope().lane->base;
    if (coefficient != 1)
      base = lanes.make<arith::MulIOp>(
          base, lanes.integer(base.getType(), coefficient));
    address = LLVM::GEPOp::create(builder, lanes.loc, pointer, element, address,
                                  ArrayRef<LLVM::GEPArg>{base});
  }
  return address;
}

Value KernelEmitter::load(const Buffer &buffer, const IndexExpr &position) {
  unsigned depth = table.getDepth(position);
  if (depth < getLevel())
    return inScope(depth, [&] { return load(buffer, position); });
  ElementKey key(buffer.pointer.getAsOpaquePointer(), loadPart, {position});
  if (auto known = scope().values.find(key); known != scope().values.end())
    return known->second;
  Type element = buffer.type.getElementType();
  Type storage = LaneBuilder::getStorageType(element);
  Value stored;
  if (table.isVector(position))
    stored = loadVector(buffer, position);
  else
    stored = LLVM::LoadOp::create(builder, lanes.loc, storage,
                                  emitAddress(buffer, position),
                                  getAlignment(buffer, position));
  Value value = lanes.fromStorage(stored, element);
  scope().values[key] = value;
  return value;
}

/// Loads the whole stretch that a vector's lanes lie in and picks them. Null
/// where it is too long, or where nothing says that it is inside of the buffer.
Value KernelEmitter::loadStretch(const Buffer &buffer,
                                 const IndexExpr &position) {
  const Lane lane = *scope().lane;
  auto [scalarPart, vectorPart] = splitLanes(table, position);
  std::optional<LanePattern> pattern = getPattern(table, vectorPart, lane);
  if (!pattern || lane.mask)
    return {};
  int64_t low = pattern->low, length = pattern->high - low + 1;
  if (length > 2 * lane.width)
    return {};
  // Short stretches are loaded as a power of two, longer ones as two vectors
  // that may overlap.
  int64_t size = std::min<int64_t>(llvm::PowerOf2Ceil(length), lane.width);
  int64_t excess = std::max<int64_t>(size - length, 0);
  IndexRange range = table.getRange(position);
  if (range.high + excess >= buffer.type.getNumElements()) {
    low -= excess;
    if (range.low < excess)
      return {};
  }

  Type storage = LaneBuilder::getStorageType(buffer.type.getElementType());
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type integer = builder.getI64Type();
  // Vector number times step; most often the step is a multiple of the width.
  Value start = lane.base;
  int64_t factor = pattern->step;
  if (factor % lane.width == 0)
    factor /= lane.width;
  else
    start = lanes.make<arith::ShRUIOp>(
        start, lanes.integer(integer, llvm::Log2_64(lane.width)));
  if (factor != 1)
    start = lanes.make<arith::MulIOp>(start, lanes.integer(integer, factor));
  IndexExpr where = scalarPart + IndexExpr(pattern->first + low);
  Value base = emitAddress(buffer, where);
  auto loadAt = [&](int64_t offset) -> Value {
    Value place =
        lanes.make<arith::AddIOp>(start, lanes.integer(integer, offset));
    Value address = LLVM::GEPOp::create(builder, lanes.loc, pointer, storage,
                                        base, ArrayRef<LLVM::GEPArg>{place});
    Type type = size == 1 ? storage : VectorType::get(size, storage);
    int64_t multiple = getAlignment(buffer, where + IndexExpr(offset));
    if (pattern->step)
      multiple = std::min<int64_t>(multiple,
                                   powerIn(pattern->step) * byteSize(storage));
    return LLVM::LoadOp::create(builder, lanes.loc, type, address, multiple);
  };
  Value first = loadAt(0);
  if (size == 1)
    return lanes.widen(first, VectorType::get(lane.width, storage));
  int64_t shift = length > size ? length - size : 0;
  Value second = shift ? loadAt(shift) : first;
  SmallVector<int64_t> picks;
  for (int64_t offset : pattern->offsets) {
    int64_t place = offset - low;
    picks.push_back(place < size ? place : size + place - shift);
  }
  return vector::ShuffleOp::create(builder, lanes.loc, first, second, picks);
}

Value KernelEmitter::loadVector(const Buffer &buffer,
                                const IndexExpr &position) {
  const Lane lane = *scope().lane;
  Type storage = LaneBuilder::getStorageType(buffer.type.getElementType());
  auto type = VectorType::get(lane.width, storage);
  auto [scalarPart, vectorPart] = splitLanes(table, position);
  if (vectorPart == IndexTable::get(lane.atom)) {
    unsigned alignment = getAlignment(buffer, position);
    Value address = emitAddress(buffer, position);
    if (!lane.mask)
      return loadContiguous(buffer, type, address, alignment);
    Value zero = lanes.widen(storage.isInteger() ? lanes.integer(storage, 0)
                                                 : lanes.constant(storage, 0),
                             type);
    return LLVM::MaskedLoadOp::create(builder, lanes.loc, type, address,
                                      lane.mask, zero, alignment);
  }

  if (Value stretch = loadStretch(buffer, position))
    return stretch;
  Value base = emitAddress(buffer, scalarPart);
  Type pointers = VectorType::get(
      lane.width, LLVM::LLVMPointerType::get(builder.getContext()));
  Value addresses =
      LLVM::GEPOp::create(builder, lanes.loc, pointers, storage, base,
                          ArrayRef<LLVM::GEPArg>{emitVector(vectorPart)});
  Value mask = lane.mask;
  if (!mask)
    mask = lanes.integer(VectorType::get(lane.width, builder.getI1Type()), 1);
  Value zero =
      storage.isInteger() ? lanes.integer(type, 0) : lanes.constant(type, 0);
  return LLVM::masked_gather::create(builder, lanes.loc, type, addresses, mask,
                                     ValueRange{zero}, byteSize(storage));
}

Value KernelEmitter::loadContiguous(const Buffer &, VectorType type,
                                    Value address, unsigned alignment) {
  return LLVM::LoadOp::create(builder, lanes.loc, type, address, alignment);
}

unsigned KernelEmitter::getAlignment(const Buffer &buffer, const IndexExpr &) {
  return byteSize(LaneBuilder::getStorageType(buffer.type.getElementType()));
}

/// Writes at `position`, which is lane + something the lane is not in.
void KernelEmitter::store(const Buffer &buffer, const IndexExpr &position,
                          Value value) {
  Type element = buffer.type.getElementType();
  Value address = emitAddress(buffer, position);
  if (table.isVector(position))
    value = lanes.widen(value,
                        VectorType::get(scope().lane->width, value.getType()));
  Value stored = lanes.toStorage(value, element);
  unsigned alignment = getAlignment(buffer, position);
  if (table.isVector(position) && scope().lane->mask)
    LLVM::MaskedStoreOp::create(builder, lanes.loc, stored, address,
                                scope().lane->mask, alignment);
  else
    LLVM::StoreOp::create(builder, lanes.loc, stored, address, alignment);
}

/// A buffer of `size` elements and a vector's excess on the stack.
Value KernelEmitter::allocateRow(int64_t size, Type element) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(scopes.front()->block);
  Value count = lanes.integer(builder.getI64Type(), size + lanes.target.lanes);
  return LLVM::AllocaOp::create(
      builder, lanes.loc, LLVM::LLVMPointerType::get(builder.getContext()),
      element, count, /*alignment=*/64);
}

/// A tensor constant that is not one number: data beside the code.
Buffer KernelEmitter::getConstantBuffer(arith::ConstantOp op) {
  Buffer &buffer = buffers[op.getResult()];
  if (buffer.pointer)
    return buffer;
  buffer.type = cast<RankedTensorType>(op.getType());
  Type storage = LaneBuilder::getStorageType(buffer.type.getElementType());
  auto flat = RankedTensorType::get({buffer.type.getNumElements()}, storage);
  DenseElementsAttr data;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(op.getValue())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    data = DenseElementsAttr::getFromRawBuffer(flat, blob ? blob->getData()
                                                          : ArrayRef<char>());
  } else if (buffer.type.getElementType().isInteger(1)) {
    SmallVector<int8_t> bytes;
    for (bool bit : cast<DenseElementsAttr>(op.getValue()).getValues<bool>())
      bytes.push_back(bit);
    data = DenseElementsAttr::get(flat, ArrayRef(bytes));
  } else {
    data = DenseElementsAttr::getFromRawBuffer(
        flat, cast<DenseElementsAttr>(op.getValue()).getRawData());
  }

  OpBuilder::InsertionGuard guard(builder);
  std::string name = (source.symbol + "_data" + Twine(buffers.size())).str();
  builder.setInsertionPointToStart(module.getBody());
  LLVM::GlobalOp::create(
      builder, lanes.loc,
      LLVM::LLVMArrayType::get(storage, flat.getNumElements()),
      /*isConstant=*/true, LLVM::Linkage::Internal, name, data,
      /*alignment=*/64);
  builder.setInsertionPointToStart(scopes.front()->block);
  buffer.pointer = LLVM::AddressOfOp::create(
      builder, lanes.loc, LLVM::LLVMPointerType::get(builder.getContext()),
      name);
  return buffer;
}
