//===- EmitElement.cpp - One element of a value, from its operands' -------===//
#include "compiler/codegen/IndexMap.h"
#include "compiler/codegen/KernelEmitter.h"
#include "compiler/codegen/LaneMath.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

/// A row on the stack is at most this long: threads have small stacks.
static constexpr int64_t mostKeptBytes = 64 * 1024;

static RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Reports `op` once; the value given back only lets emission go on.
Value KernelEmitter::fail(Operation *op, const Twine &why) {
  if (!hasFailed)
    op->emitOpError("no code can be generated: ") << why;
  hasFailed = true;
  Type element = tensorType(op->getResult(0)).getElementType();
  Type type = LaneBuilder::getComputeType(element);
  return isa<FloatType>(type) ? lanes.constant(type, 0)
                              : lanes.integer(type, 0);
}

/// The element of `value` at `index`: in the scope that the index belongs to,
/// and only once there.
Value KernelEmitter::emitElement(Value value, const Index &index,
                                 unsigned part) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  bool isSplat = constant && isa<SplatElementsAttr>(constant.getValue());
  unsigned depth = isSplat ? 0 : table.getDepth(index);
  if (depth < getLevel())
    return inScope(depth, [&] { return emitElement(value, index, part); });
  ElementKey key(value.getAsOpaquePointer(), part, isSplat ? Index() : index);
  if (auto known = scope().values.find(key); known != scope().values.end())
    return known->second;
  Value element = multiUse.isKept(value, part)
                      ? keepElement(value, index, part)
                      : computeElement(value, index, part);
  scope().values[key] = element;
  return element;
}

/// Computes the element and writes it to the row that later loops read, or
/// reads it there.
Value KernelEmitter::keepElement(Value value, const Index &index,
                                 unsigned part) {
  const std::optional<Lane> lane = scope().lane;
  RankedTensorType type = tensorType(value);
  Type element = LaneBuilder::getComputeType(type.getElementType());
  auto isRow = [&] {
    if (!lane || lane->size == 0 || lane->width == 1 || index.empty() ||
        type.getShape().back() != lane->size ||
        !(index.back() == IndexTable::get(lane->atom)) ||
        table[lane->atom].depth != getLevel() || element.isInteger(1))
      return false;
    int64_t bytes = lane->size * element.getIntOrFloatBitWidth() / 8;
    return bytes <= mostKeptBytes &&
           llvm::all_of(ArrayRef(index).drop_back(),
                        [&](const IndexExpr &expr) {
                          return table.getDepth(expr) < getLevel();
                        });
  };
  if (!isRow())
    return computeElement(value, index, part);

  Scope &parent = *scopes[getLevel() - 1];
  Index row(ArrayRef(index).drop_back());
  ElementKey key(value.getAsOpaquePointer(), part, row);
  auto vector = VectorType::get(lane->width, element);
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  auto address = [&](Value base) {
    return LLVM::GEPOp::create(builder, lanes.loc, pointer, element, base,
                               ArrayRef<LLVM::GEPArg>{lane->base});
  };
  unsigned alignment = element.getIntOrFloatBitWidth() / 8;
  if (auto kept = parent.kept.find(key); kept != parent.kept.end())
    return LLVM::LoadOp::create(builder, lanes.loc, vector,
                                address(kept->second), alignment);

  Value computed = lanes.widen(computeElement(value, index, part), vector);
  Value &buffer = parent.beingKept[key];
  if (!buffer)
    buffer = allocateRow(lane->size, element);
  LLVM::StoreOp::create(builder, lanes.loc, computed, address(buffer),
                        alignment);
  return computed;
}

Value KernelEmitter::computeElement(Value value, const Index &index,
                                    unsigned part) {
  Operation *op = value.getDefiningOp();
  if (!op) {
    const Buffer &buffer = buffers[value];
    return load(buffer, table.linearize(index, buffer.type.getShape()));
  }
  if (isView(op))
    return emitElement(op->getOperand(0), mapView(table, op, index));
  unsigned result = cast<OpResult>(value).getResultNumber();
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](arith::ConstantOp op) { return emitConstant(op, index); })
      .Case([&](tensor::ConcatOp op) { return emitConcat(op, index); })
      .Case([&](GatherOp op) { return emitLookup(op, index); })
      .Case([&](RandomOp op) { return emitRandom(op, index); })
      .Case([&](ReduceOp op) { return reduceDims(op, index); })
      .Case([&](LayerNormOp op) { return emitLayerNorm(op, result, index); })
      .Case([&](RmsNormOp op) { return emitRmsNorm(op, result, index); })
      .Case([&](SoftmaxOp op) { return emitSoftmax(op, part, index); })
      .Default([&](Operation *op) -> Value {
        if (isElementwise(op))
          return emitElementwise(op, index);
        return fail(op, "the op is not known inside of a kernel");
      });
}

Value KernelEmitter::emitConstant(arith::ConstantOp op, const Index &index) {
  RankedTensorType type = tensorType(op);
  Type element = LaneBuilder::getComputeType(type.getElementType());
  if (auto splat = dyn_cast<SplatElementsAttr>(op.getValue())) {
    if (isa<FloatType>(element))
      return lanes.constant(element,
                            splat.getSplatValue<APFloat>().convertToDouble());
    APInt number = splat.getSplatValue<APInt>();
    return lanes.bits(element, number.getZExtValue());
  }
  return load(getConstantBuffer(op), table.linearize(index, type.getShape()));
}

/// The operand that the index falls into. Where that is not one for all points,
/// every operand that may be meant is read, and the right one selected.
Value KernelEmitter::emitConcat(tensor::ConcatOp op, const Index &index) {
  const IndexExpr &along = index[op.getDim()];
  Value chosen;
  for (ConcatPiece &piece : mapConcat(table, op, index)) {
    Value element = emitElement(piece.input, piece.index);
    if (!chosen) {
      chosen = element;
      continue;
    }
    Value position =
        table.isVector(along) ? emitVector(along) : emitScalar(along);
    Value isHere =
        lanes.compare(arith::CmpIPredicate::sge, position,
                      lanes.integer(position.getType(), piece.start));
    chosen = lanes.select(isHere, element, chosen);
  }
  return chosen;
}

/// table[indices[i…], j…]: negative indices count from the end, all are
/// clamped.
Value KernelEmitter::emitLookup(GatherOp op, const Index &index) {
  int64_t rank = tensorType(op.getIndices()).getRank();
  int64_t rows = tensorType(op.getTable()).getDimSize(0);
  Index where(ArrayRef(index).take_front(rank));
  Index source(ArrayRef(index).drop_front(rank));
  ElementKey key(op.getResult().getAsOpaquePointer(), 0, where);
  auto known = lookups.find(key);
  if (known == lookups.end()) {
    unsigned depth = table.getDepth(where);
    auto look = [&] {
      Value number = emitElement(op.getIndices(), where);
      Type element = getElementTypeOrSelf(number);
      bool isVector = isa<VectorType>(number.getType());
      // Enough bits for the number of rows; scalars are addresses.
      if (element.getIntOrFloatBitWidth() < 32 || !isVector)
        number = lanes.resizeInteger(number, isVector ? builder.getI32Type()
                                                      : builder.getI64Type());
      Type type = number.getType();
      Value size = lanes.integer(type, rows), zero = lanes.integer(type, 0);
      Value isNegative = lanes.compare(arith::CmpIPredicate::slt, number, zero);
      number = lanes.select(isNegative, lanes.make<arith::AddIOp>(number, size),
                            number);
      number =
          lanes.make<arith::MinSIOp>(lanes.make<arith::MaxSIOp>(number, zero),
                                     lanes.integer(type, rows - 1));
      AtomId atom = table.createVariable({0, rows - 1}, depth, isVector);
      variables[atom] = number;
      lookups[key] = atom;
      return number;
    };
    if (depth < getLevel())
      inScope(depth, look);
    else
      look();
    known = lookups.find(key);
  }
  source.insert(source.begin(), IndexTable::get(known->second));
  return emitElement(op.getTable(), source);
}

Value KernelEmitter::emitElementwise(Operation *op, const Index &index) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(emitElement(operand, index));
  lanes.unify(operands);
  Type element = tensorType(op->getResult(0)).getElementType();
  Type like = operands.back().getType();

  // Narrow floats are held as fp32: to and from them is rounding alone.
  if (isa<arith::ExtFOp>(op) && operands[0].getType() == like &&
      getElementTypeOrSelf(like) == element)
    return operands[0];
  if (isa<arith::TruncFOp>(op)) {
    if (getElementTypeOrSelf(like).isF64())
      operands[0] =
          lanes.cast<arith::TruncFOp>(operands[0], builder.getF32Type());
    return lanes.round(operands[0], element);
  }
  if (isa<arith::BitcastOp>(op) &&
      (LaneBuilder::getComputeType(element) != element ||
       getElementTypeOrSelf(like) !=
           tensorType(op->getOperand(0)).getElementType()))
    return fail(op, "bit patterns of bf16 and f16 are not at hand");

  if (auto gelu = dyn_cast<GeluOp>(op)) {
    bool isTanh = gelu.getApproximate() == Approximate::Tanh;
    if (!isTanh && element.isF64())
      return fail(op, "erf has no fp64 form");
    return lanes.round(isTanh ? emitGeluTanh(lanes, operands[0])
                              : emitGeluErf(lanes, operands[0]),
                       element);
  }
  if (auto gradient = dyn_cast<GeluGradOp>(op)) {
    bool isTanh = gradient.getApproximate() == Approximate::Tanh;
    if (!isTanh && element.isF64())
      return fail(op, "erf has no fp64 form");
    Value slope = isTanh ? emitGeluTanhSlope(lanes, operands[0])
                         : emitGeluErfSlope(lanes, operands[0]);
    return lanes.round(lanes.mul(operands[1], slope), element);
  }
  if (isa<SigmoidOp>(op))
    return lanes.round(emitSigmoid(lanes, operands[0]), element);
  if (Value value = emitMath(op, operands))
    return lanes.round(value, element);

  // Lanes that do not exist must not divide by zero.
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
          arith::FloorDivSIOp, arith::CeilDivSIOp, arith::CeilDivUIOp>(op) &&
      scope().lane && scope().lane->mask && isa<VectorType>(like))
    operands[1] =
        lanes.select(scope().lane->mask, operands[1], lanes.integer(like, 1));

  IRMapping mapping;
  mapping.map(op->getOperands(), operands);
  Operation *copy = builder.clone(*op, mapping);
  copy->setLoc(lanes.loc);
  Type type = LaneBuilder::getComputeType(element);
  copy->getResult(0).setType(LaneBuilder::getTypeLike(type, like));
  return lanes.round(copy->getResult(0), element);
}

/// Functions of the math dialect that are not one machine instruction. Null
/// for what is; an error for what there is no code for.
Value KernelEmitter::emitMath(Operation *op, ArrayRef<Value> operands) {
  if (op->getName().getDialectNamespace() != "math" ||
      isa<math::SqrtOp, math::AbsFOp, math::FloorOp, math::CeilOp,
          math::TruncOp, math::RoundEvenOp, math::CopySignOp, math::FmaOp,
          math::AbsIOp>(op))
    return {};
  Value x = operands.front();
  Type type = x.getType();
  bool isDouble = getElementTypeOrSelf(type).isF64();
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return emitExp(lanes, x); })
      .Case([&](math::Exp2Op) {
        return emitExp(lanes, lanes.mul(x, 0.69314718055994530942));
      })
      .Case([&](math::LogOp) { return emitLog(lanes, x); })
      .Case([&](math::Log2Op) {
        return lanes.mul(emitLog(lanes, x), 1.4426950408889634);
      })
      .Case([&](math::Log10Op) {
        return lanes.mul(emitLog(lanes, x), 0.43429448190325182765);
      })
      .Case([&](math::TanhOp) { return emitTanh(lanes, x); })
      .Case([&](math::SinOp) { return emitSin(lanes, x); })
      .Case([&](math::CosOp) { return emitCos(lanes, x); })
      .Case([&](math::TanOp) {
        return lanes.div(emitSin(lanes, x), emitCos(lanes, x));
      })
      .Case([&](math::RsqrtOp) { return emitRsqrt(lanes, x); })
      .Case([&](math::RoundOp) {
        // Half away from zero: the largest number below ½ keeps 0.49… at 0.
        Value half = lanes.make<math::CopySignOp>(
            lanes.constant(type,
                           isDouble ? 0x1.fffffffffffffp-2 : 0x1.fffffep-2),
            x);
        return lanes.make<math::TruncOp>(lanes.add(x, half));
      })
      .Case([&](math::PowFOp op) {
        SplatElementsAttr exponent;
        if (matchPattern(op.getRhs(), m_Constant(&exponent)))
          return emitPower(lanes, x,
                           exponent.getSplatValue<APFloat>().convertToDouble());
        return emitPower(lanes, x, operands[1]);
      })
      .Case([&](math::ErfOp op) {
        return isDouble ? fail(op, "erf has no fp64 form") : emitErf(lanes, x);
      })
      .Default([&](Operation *op) {
        return fail(op, "the function has no vector form");
      });
}
