//===- FunctionLowering.cpp - One step function to instructions -----------===//
//
// 1. Every op has a position, every global its reads and its write.
// 2. Kernels, matmuls and attentions become instructions in their order.
//    A result is made (a) in the memory of the global that it is written to, if
//    every reader of the old value runs before; (b) in the buffer of an operand
//    that nobody needs afterwards, if each of its points is read only where it
//    is overwritten; (c) else in a buffer of its own. Gradients of attention
//    lie in the buffer of the concat that joins them.
// 3. Writes that were not (a) are copies at the end. A copy whose source
//    another of these copies overwrites goes through a buffer first.
//
//===----------------------------------------------------------------------===//
#include "passes/lowering/FunctionLowering.h"

#include "passes/lowering/InPlace.h"
#include "passes/lowering/MatrixView.h"

using namespace mlir;
using namespace dit;

FunctionLowering::FunctionLowering(func::FuncOp function,
                                   plan::FunctionOp target,
                                   KernelTable &kernels,
                                   ConstantTable &constants, bool report)
    : function(function), kernels(kernels), constants(constants),
      report(report),
      builder(OpBuilder::atBlockEnd(&target.getBody().front())) {
  for (Operation &op : function.getBody().front()) {
    positions[&op] = positions.size();
    if (auto read = dyn_cast<ReadOp>(op))
      reads[read.getGlobalAttr().getAttr()].push_back(read);
    if (auto write = dyn_cast<WriteOp>(op))
      writes[write.getGlobalAttr().getAttr()] = write;
  }
}

LogicalResult FunctionLowering::run() {
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front()))
    if (failed(lower(&op)))
      return failure();
  lowerWrites();
  return success();
}

SmallVector<Operation *> FunctionLowering::getUsers(Value tensor) {
  SmallVector<Operation *> users;
  for (Operation *user : tensor.getUsers()) {
    if (isViewOp(user))
      llvm::append_range(users, getUsers(user->getResult(0)));
    else
      users.push_back(user);
  }
  return users;
}

//===----------------------------------------------------------------------===//
// Memory of tensors
//===----------------------------------------------------------------------===//

Value FunctionLowering::getGlobalMemory(Location loc, StringAttr name) {
  Value &known = globalMemory[name];
  if (!known) {
    auto global = SymbolTable::lookupNearestSymbolFrom<dit::GlobalOp>(
        function, FlatSymbolRefAttr::get(name));
    known = plan::GlobalMemoryOp::create(builder, loc, name.getValue(),
                                         plan::getStoredBytes(global));
  }
  return known;
}

Value FunctionLowering::getMemory(Value base) {
  if (Value known = memory.lookup(base))
    return known;
  if (auto read = base.getDefiningOp<ReadOp>())
    return getGlobalMemory(read.getLoc(), read.getGlobalAttr().getAttr());
  auto constant = base.getDefiningOp<arith::ConstantOp>();
  return getGlobalMemory(constant.getLoc(), constants.getGlobal(constant));
}

Value FunctionLowering::slice(Location loc, Value memory, int64_t offset,
                              int64_t bytes) {
  if (offset == 0 && bytes == plan::getPlace(memory).bytes)
    return memory;
  return plan::SliceOp::create(builder, loc, memory, offset, bytes);
}

/// From the view's first to its last element.
Value FunctionLowering::getMemory(const StridedView &view, Type element) {
  int64_t last = 0;
  for (auto [size, stride] : llvm::zip(view.sizes, view.strides))
    last += (size - 1) * stride;
  int64_t size = plan::getElementBytes(element);
  return slice(view.base.getLoc(), getMemory(view.base), view.offset * size,
               (last + 1) * size);
}

bool FunctionLowering::isOldValueDone(StringAttr global, OpResult result) {
  Operation *producer = result.getOwner();
  for (ReadOp read : reads.lookup(global))
    for (Operation *user : getUsers(read)) {
      if (user == producer
              ? !readsInPlace(result, read)
              : isa<WriteOp>(user) || positions[user] > positions[producer])
        return false;
    }
  return true;
}

WriteOp FunctionLowering::findDirectWrite(OpResult result) {
  for (Operation *user : getUsers(result)) {
    auto write = dyn_cast<WriteOp>(user);
    if (!write)
      continue;
    std::optional<StridedView> view = getStridedView(write.getValue());
    if (view && view->isWhole() &&
        isOldValueDone(write.getGlobalAttr().getAttr(), result))
      return write;
  }
  return {};
}

/// The buffer of an operand that ends here and may be overwritten.
Value FunctionLowering::takeOverOperand(OpResult result) {
  Operation *producer = result.getOwner();
  for (Value operand : producer->getOperands()) {
    std::optional<StridedView> view = getStridedView(operand);
    if (!view || !view->isWhole())
      continue;
    Value buffer = memory.lookup(view->base);
    if (!buffer || !buffer.getDefiningOp<plan::BufferOp>() ||
        plan::getPlace(buffer).bytes != plan::getTensorBytes(result.getType()))
      continue;
    // Another result of the same op may have it already.
    if (llvm::any_of(producer->getResults(), [&](Value other) {
          return memory.lookup(other) == buffer;
        }))
      continue;
    bool ends = llvm::all_of(getUsers(view->base), [&](Operation *user) {
      if (isa<WriteOp>(user))
        return directWrites.contains(user);
      return positions[user] <= positions[producer];
    });
    if (ends && readsInPlace(result, view->base))
      return buffer;
  }
  return {};
}

Value FunctionLowering::placeResult(OpResult result) {
  Value &place = memory[result];
  if (WriteOp write = findDirectWrite(result)) {
    directWrites.insert(write);
    place = getGlobalMemory(write.getLoc(), write.getGlobalAttr().getAttr());
  } else if (Value operand = takeOverOperand(result)) {
    place = operand;
  } else {
    place = plan::BufferOp::create(builder, result.getLoc(),
                                   plan::getTensorBytes(result.getType()));
  }
  return place;
}

/// The place of a result that a concat joins with others: in the buffer of the
/// concat. Else one of its own.
StridedView FunctionLowering::placeInConcat(OpResult result) {
  std::optional<StridedView> place = getPlaceInConcat(result);
  if (!place || !isPlacedConcat(place->base.getDefiningOp())) {
    placeResult(result);
    return *getStridedView(result);
  }
  Value &buffer = memory[place->base];
  if (!buffer)
    buffer = plan::BufferOp::create(
        builder, result.getLoc(), plan::getTensorBytes(place->base.getType()));
  return *place;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

/// Every tensor has elements, of types that plans have.
LogicalResult FunctionLowering::verifyElements(Operation *op) {
  SmallVector<Type> types(op->getOperandTypes());
  llvm::append_range(types, op->getResultTypes());
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    if (tensor.getNumElements() == 0 ||
        plan::getElementBytes(tensor.getElementType()) == 0)
      return op->emitOpError("has a tensor of type ")
             << type << ", which no plan can hold";
  }
  return success();
}

LogicalResult FunctionLowering::lower(Operation *op) {
  if (isa<ReadOp, arith::ConstantOp, WriteOp, func::ReturnOp>(op) ||
      isViewOp(op) || isPlacedConcat(op))
    return success();
  if (!isa<KernelOp, MatmulOp, dit::AttentionOp, dit::AttentionGradOp>(op))
    return op->emitOpError("is no kernel, matmul, attention or view: fusion "
                           "must put it into a kernel");
  if (failed(verifyElements(op)))
    return failure();
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<KernelOp, MatmulOp, dit::AttentionOp, dit::AttentionGradOp>(
          [&](auto instruction) { return lower(instruction); });
}

LogicalResult FunctionLowering::lower(KernelOp op) {
  SmallVector<Value> inputs, results;
  for (Value input : op.getInputs()) {
    std::optional<StridedView> view = getStridedView(input);
    if (!view || !view->isContiguous())
      return op.emitOpError("has an input that is not contiguous");
    inputs.push_back(getMemory(
        *view, cast<RankedTensorType>(input.getType()).getElementType()));
  }
  for (OpResult result : op.getResults())
    results.push_back(placeResult(result));
  plan::KernelOp kernel = kernels.outline(op);
  plan::LaunchOp::create(builder, op.getLoc(), kernel.getSymName(), inputs,
                         results, kernel.getBlocks());
  return success();
}

static Type elementType(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

LogicalResult FunctionLowering::lower(MatmulOp op) {
  OpOperand *culprit = nullptr;
  std::optional<MatmulViews> views = getMatmulViews(op, culprit);
  if (!views)
    return op.emitOpError("has a view that no GEMM can walk as operand ")
           << culprit->getOperandNumber();
  for (Value operand : {op.getLhs(), op.getResult()})
    if (!elementType(operand).isF32() && !elementType(operand).isF16() &&
        !elementType(operand).isBF16())
      return op.emitOpError("multiplies ")
             << elementType(op.getLhs()) << " to "
             << elementType(op.getResult()) << ", which is not supported";

  Type element = elementType(op.getLhs());
  auto memoryOf = [&](Value operand) -> Value {
    return operand ? getMemory(*getStridedView(operand), elementType(operand))
                   : Value();
  };
  auto typeOf = [](Value operand) {
    return operand ? TypeAttr::get(elementType(operand)) : TypeAttr();
  };

  PackedAttr packed;
  if (auto read = op.getRhs().getDefiningOp<ReadOp>())
    packed = SymbolTable::lookupNearestSymbolFrom<dit::GlobalOp>(
                 function, read.getGlobalAttr())
                 .getPackedAttr();
  Value a = getMemory(views->lhs.view, element);
  Value b =
      packed ? getMemory(op.getRhs()) : getMemory(views->rhs.view, element);
  Value bias = memoryOf(op.getBias()), gate = memoryOf(op.getGate()),
        residual = memoryOf(op.getResidual()), aux = memoryOf(op.getAux());
  Value c = placeResult(op->getResult(0));
  int64_t auxStride = aux ? views->aux->leading : 0;
  if (op.getSaved()) {
    aux = placeResult(cast<OpResult>(op.getSaved()));
    auxStride = views->n;
  }

  int64_t rowsPerGate = 0, gateStride = 0;
  if (gate) {
    StridedView view = *getStridedView(op.getGate());
    rowsPerGate = views->m / view.sizes[0];
    gateStride = view.sizes[0] == 1 ? view.sizes[1] : view.strides[0];
  }
  int64_t strideC = views->batch == 1 ? 0 : views->m * views->n;
  bool transposeB = !packed && op.getTransposeRhs() != views->rhs.transposed;
  plan::GemmOp::create(
      builder, op.getLoc(), a, b, c, bias, typeOf(op.getBias()), gate,
      typeOf(op.getGate()), residual, aux, /*workspace=*/Value(),
      ArrayRef<int64_t>{views->m, views->n, views->k, views->batch},
      ArrayRef<int64_t>{views->lhs.leading, packed ? 0 : views->rhs.leading,
                        views->n},
      ArrayRef<int64_t>{views->lhs.stride, views->rhs.stride, strideC},
      builder.getTypeArrayAttr(
          {element, elementType(op.getRhs()), elementType(op.getResult())}),
      op.getTransposeLhs() != views->lhs.transposed, transposeB, packed,
      op.getActivation(), rowsPerGate, gateStride,
      residual ? views->residual->leading : 0, auxStride);
  return success();
}

/// Operands are strided views, of a type that attends.
template <typename Op>
static LogicalResult verifyAttention(Op op) {
  for (Value operand : op->getOperands())
    if (!getStridedView(operand))
      return op.emitOpError("has an operand that is no strided view");
  Type element = elementType(op.getQuery());
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return op.emitOpError("attends in ")
           << element << ", which is not supported";
  return success();
}

/// Of batch, token and head.
static SmallVector<int64_t> attentionStrides(const StridedView &view) {
  return SmallVector<int64_t>(ArrayRef(view.strides).take_front(3));
}

/// Of batch, head, query and key; 0 where the mask is repeated.
static DenseI64ArrayAttr maskStrides(Value mask) {
  if (!mask)
    return {};
  StridedView view = *getStridedView(mask);
  for (auto [size, stride] : llvm::zip(view.sizes, view.strides))
    if (size == 1)
      stride = 0;
  return DenseI64ArrayAttr::get(mask.getContext(), view.strides);
}

/// Batch, heads, query tokens, key tokens, head dim, value dim.
template <typename Op>
static SmallVector<int64_t> attentionSizes(Op op) {
  ArrayRef<int64_t> query = op.getQuery().getType().getShape(),
                    value = op.getValue().getType().getShape();
  return {query[0], query[2], query[1], value[1], query[3], value[3]};
}

LogicalResult FunctionLowering::lower(dit::AttentionOp op) {
  if (failed(verifyAttention(op)))
    return failure();
  Type element = elementType(op.getQuery());
  StridedView q = *getStridedView(op.getQuery()),
              k = *getStridedView(op.getKey()),
              v = *getStridedView(op.getValue());
  Value mask;
  if (op.getMask())
    mask = getMemory(*getStridedView(op.getMask()), elementType(op.getMask()));
  Value memoryQ = getMemory(q, element), memoryK = getMemory(k, element),
        memoryV = getMemory(v, element);
  Value output = placeResult(op->getResult(0)), logSumExp;
  if (!op.getLogSumExp().use_empty())
    logSumExp = placeResult(op->getResult(1));
  plan::AttentionOp::create(
      builder, op.getLoc(), memoryQ, memoryK, memoryV, output, mask, logSumExp,
      /*workspace=*/Value(), attentionSizes(op), op.getScale(),
      attentionStrides(q), attentionStrides(k), attentionStrides(v),
      attentionStrides(*getStridedView(op.getResult())),
      maskStrides(op.getMask()), q.sizes[2] / k.sizes[2], element,
      /*ours=*/false);
  return success();
}

LogicalResult FunctionLowering::lower(dit::AttentionGradOp op) {
  if (failed(verifyAttention(op)))
    return failure();
  Type element = elementType(op.getQuery());
  SmallVector<Value> places;
  SmallVector<int64_t> strides;
  auto add = [&](const StridedView &view) {
    places.push_back(getMemory(view, element));
    llvm::append_range(strides, attentionStrides(view));
  };
  for (Value operand : {op.getQuery(), op.getKey(), op.getValue(),
                        op.getOutput(), op.getCotangent()})
    add(*getStridedView(operand));
  Value logSumExp = getMemory(*getStridedView(op.getLogSumExp()),
                              elementType(op.getLogSumExp()));
  Value mask;
  if (op.getMask())
    mask = getMemory(*getStridedView(op.getMask()), elementType(op.getMask()));
  for (OpResult result : op->getResults())
    add(placeInConcat(result));
  int64_t group = op.getQuery().getType().getDimSize(2) /
                  op.getKey().getType().getDimSize(2);
  plan::AttentionGradOp::create(
      builder, op.getLoc(), places[0], places[1], places[2], places[3],
      logSumExp, places[4], places[5], places[6], places[7], mask,
      /*workspace=*/Value(), attentionSizes(op), op.getScale(), strides,
      maskStrides(op.getMask()), group, element, /*ours=*/false);
  return success();
}

/// The byte that all bytes of a splat constant are.
static std::optional<int64_t> getUniformByte(Value value) {
  SplatElementsAttr splat;
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (!constant || !(splat = dyn_cast<SplatElementsAttr>(constant.getValue())))
    return std::nullopt;
  if (splat.getElementType().isInteger(1))
    return splat.getSplatValue<bool>() ? 1 : 0;
  ArrayRef<char> bytes = splat.getRawData();
  if (!llvm::all_equal(bytes))
    return std::nullopt;
  return static_cast<uint8_t>(bytes.front());
}

void FunctionLowering::lowerWrites() {
  struct Copy {
    WriteOp write;
    Value from, to;
  };
  SmallVector<Copy> copies;
  llvm::DenseSet<Value> overwritten;
  for (auto write : function.getBody().front().getOps<WriteOp>()) {
    if (directWrites.contains(write))
      continue;
    StridedView view = *getStridedView(write.getValue());
    Value to = getGlobalMemory(write.getLoc(), write.getGlobalAttr().getAttr());
    if (std::optional<int64_t> byte = getUniformByte(view.base)) {
      // After the copies, which may read the old value.
      copies.push_back({write, Value(), to});
      overwritten.insert(to);
      continue;
    }
    Value from = getMemory(view, elementType(write.getValue()));
    if (from == to)
      continue;
    if (report)
      write.emitRemark("copies ")
          << plan::getPlace(to).bytes << " bytes at the end of the step";
    copies.push_back({write, from, to});
    overwritten.insert(to);
  }
  for (Copy &copy : copies) {
    if (!copy.from)
      continue;
    auto source =
        dyn_cast<plan::GlobalMemoryOp>(plan::getPlace(copy.from).root);
    if (!source || !overwritten.contains(source))
      continue;
    Value buffer = plan::BufferOp::create(builder, copy.write.getLoc(),
                                          plan::getPlace(copy.from).bytes);
    plan::CopyOp::create(builder, copy.write.getLoc(), copy.from, buffer);
    copy.from = buffer;
  }
  for (Copy &copy : copies) {
    if (copy.from)
      plan::CopyOp::create(builder, copy.write.getLoc(), copy.from, copy.to);
    else
      plan::FillOp::create(
          builder, copy.write.getLoc(), copy.to,
          *getUniformByte(getStridedView(copy.write.getValue())->base));
  }
}
