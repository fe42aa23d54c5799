//===- NodeBuilder.cpp - What the import of one node works with -----------===//

#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringExtras.h"
#include <charconv>
#include <numeric>

using namespace mlir;

namespace dit::onnx {

Type convertType(MLIRContext *context, ElementType type) {
  switch (type) {
  case ElementType::Float:
    return Float32Type::get(context);
  case ElementType::Double:
    return Float64Type::get(context);
  case ElementType::Float16:
    return Float16Type::get(context);
  case ElementType::BFloat16:
    return BFloat16Type::get(context);
  case ElementType::Bool:
    return IntegerType::get(context, 1);
  case ElementType::Int8:
    return IntegerType::get(context, 8);
  case ElementType::Int16:
    return IntegerType::get(context, 16);
  case ElementType::Int32:
    return IntegerType::get(context, 32);
  case ElementType::Int64:
    return IntegerType::get(context, 64);
  default:
    return {};
  }
}

DenseElementsAttr getElements(MLIRContext *context, const Tensor &tensor) {
  Type element = convertType(context, tensor.type);
  if (!element)
    return {};
  auto type = RankedTensorType::get(tensor.dims, element);
  if (tensor.type != ElementType::Bool)
    return DenseElementsAttr::getFromRawBuffer(
        type, ArrayRef<char>(tensor.data.data(), tensor.data.size()));
  SmallVector<bool> values;
  for (char byte : tensor.data)
    values.push_back(byte != 0);
  return DenseElementsAttr::get(type, values);
}

DenseElementsAttr getConstant(Value value) {
  auto constant = value ? value.getDefiningOp<arith::ConstantOp>() : nullptr;
  return constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                  : DenseElementsAttr();
}

std::optional<double> getSplat(Value value) {
  DenseElementsAttr constant = getConstant(value);
  if (!constant || !constant.isSplat())
    return std::nullopt;
  if (isa<FloatType>(constant.getElementType())) {
    llvm::APFloat number = constant.getSplatValue<llvm::APFloat>();
    bool inexact;
    number.convert(llvm::APFloat::IEEEdouble(),
                   llvm::APFloat::rmNearestTiesToEven, &inexact);
    return number.convertToDouble();
  }
  llvm::APInt number = constant.getSplatValue<llvm::APInt>();
  int64_t integer = number.getBitWidth() == 1 ? int64_t(number.getZExtValue())
                                              : number.getSExtValue();
  return integer;
}

std::string describeShape(ArrayRef<int64_t> shape) {
  return shape.empty()
             ? "scalar"
             : llvm::join(llvm::map_range(shape,
                                          [](int64_t size) {
                                            return std::to_string(size);
                                          }),
                          "x");
}

//===----------------------------------------------------------------------===//
// Inputs, attributes and failures
//===----------------------------------------------------------------------===//

void NodeBuilder::fail(const llvm::Twine &why, ErrorKind kind) {
  if (failureKind)
    return;
  failureKind = kind;
  failure = why.str();
}

llvm::Error NodeBuilder::takeFailure() {
  if (!failureKind)
    return llvm::Error::success();
  return makeError(*failureKind, failure);
}

std::optional<Shape> NodeBuilder::constantIntegers(unsigned index,
                                                   llvm::StringRef what) {
  DenseElementsAttr constant = getConstant(input(index));
  if (!constant) {
    fail(
        "its " + what +
            " depend on the model's inputs, they must be known at compile time",
        ErrorKind::Unsupported);
    return std::nullopt;
  }
  if (!isa<IntegerType>(constant.getElementType()) ||
      constant.getNumElements() > mostFolded) {
    fail("its " + what + " are not a list of integers");
    return std::nullopt;
  }
  Shape values;
  for (const llvm::APInt &value : constant.getValues<llvm::APInt>())
    values.push_back(value.getBitWidth() == 1 ? value.getZExtValue()
                                              : value.getSExtValue());
  return values;
}

std::optional<double> NodeBuilder::constantNumber(unsigned index,
                                                  llvm::StringRef what) {
  std::optional<double> value = getSplat(input(index));
  if (!value)
    fail("its " + what + " is not one number known at compile time",
         ErrorKind::Unsupported);
  return value;
}

const NodeAttribute *NodeBuilder::attribute(llvm::StringRef name,
                                            AttributeType type) {
  const NodeAttribute *found = node.find(name);
  if (!found || found->type == type)
    return found;
  fail("its attribute " + quote(name) + " has the wrong type");
  return nullptr;
}

int64_t NodeBuilder::integer(llvm::StringRef name, int64_t otherwise) {
  const NodeAttribute *found = attribute(name, AttributeType::Int);
  return found ? found->integer : otherwise;
}

double NodeBuilder::number(llvm::StringRef name, double otherwise) {
  const NodeAttribute *found = attribute(name, AttributeType::Float);
  if (!found)
    return otherwise;
  // 1e-6 was 1e-6 before it became 9.99999997e-07 in the file: the shortest
  // decimal of the float, as a double, rounds to the same float.
  char digits[32];
  char *end = std::to_chars(digits, std::end(digits), found->number).ptr;
  double number = found->number;
  llvm::to_float(llvm::StringRef(digits, end - digits), number);
  return number;
}

llvm::StringRef NodeBuilder::text(llvm::StringRef name,
                                  llvm::StringRef otherwise) {
  const NodeAttribute *found = attribute(name, AttributeType::String);
  return found ? found->text : otherwise;
}

Shape NodeBuilder::integers(llvm::StringRef name, Shape otherwise) {
  const NodeAttribute *found = attribute(name, AttributeType::Ints);
  return found ? Shape(found->integers.begin(), found->integers.end())
               : otherwise;
}

llvm::Error NodeBuilder::wantFloat(Value value) const {
  if (isa<FloatType>(getTensorType(value).getElementType()))
    return llvm::Error::success();
  return malformed("it is defined on floating-point tensors only");
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

int64_t NodeBuilder::axis(int64_t axis, int64_t rank) {
  if (axis >= -rank && axis < rank)
    return axis < 0 ? axis + rank : axis;
  fail("axis " + llvm::Twine(axis) + " is outside of a tensor of rank " +
       llvm::Twine(rank));
  return 0;
}

Shape NodeBuilder::axes(ArrayRef<int64_t> axes, int64_t rank) {
  Shape result;
  for (int64_t entry : axes)
    result.push_back(axis(entry, rank));
  llvm::sort(result);
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) {
    fail("an axis is named twice");
    result.erase(llvm::unique(result), result.end());
  }
  return result;
}

llvm::Error checkShape(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    if (size < 0)
      return makeError(ErrorKind::Malformed,
                       "a dimension of its result would be " +
                           llvm::Twine(size));
    if (size > mostElements / count)
      return makeError(ErrorKind::Unsupported,
                       "its result " + describeShape(shape) +
                           " has more than 2^40 elements");
    count *= std::max<int64_t>(size, 1);
  }
  return llvm::Error::success();
}

llvm::Expected<Shape> NodeBuilder::commonShape(ArrayRef<Value> values) const {
  size_t rank = 0;
  for (Value value : values)
    rank = std::max<size_t>(rank, getTensorType(value).getRank());
  Shape common(rank, 1);
  for (Value value : values) {
    ArrayRef<int64_t> shape = getTensorType(value).getShape();
    for (auto [size, target] :
         llvm::zip(llvm::reverse(shape), llvm::reverse(common))) {
      if (target == 1)
        target = size;
      else if (size != 1 && size != target)
        return malformed(
            "the shapes of its inputs contradict: " +
            llvm::join(llvm::map_range(values,
                                       [](Value v) {
                                         return describeShape(
                                             getTensorType(v).getShape());
                                       }),
                       " and "));
    }
  }
  if (llvm::Error error = checkShape(common))
    return error;
  return common;
}

llvm::Expected<Value> NodeBuilder::broadcast(Value value,
                                             ArrayRef<int64_t> shape) {
  if (llvm::Error error = checkShape(shape))
    return error;
  RankedTensorType type = getTensorType(value);
  int64_t missing = static_cast<int64_t>(shape.size()) - type.getRank();
  bool fits = missing >= 0;
  for (int64_t dim = 0; fits && dim < type.getRank(); ++dim)
    fits = type.getDimSize(dim) == 1 ||
           type.getDimSize(dim) == shape[dim + missing];
  if (!fits)
    return malformed("shape " + describeShape(type.getShape()) +
                     " does not broadcast to " + describeShape(shape));
  if (DenseElementsAttr constant = getConstant(value);
      constant && constant.isSplat())
    return make<arith::ConstantOp>(constant.resizeSplat(type.clone(shape)));
  return createNumpyBroadcast(builder, loc, value, shape);
}

llvm::Error NodeBuilder::broadcast(MutableArrayRef<Value> values) {
  llvm::Expected<Shape> shape = commonShape(values);
  if (!shape)
    return shape.takeError();
  for (Value &value : values) {
    llvm::Expected<Value> wide = broadcast(value, *shape);
    if (!wide)
      return wide.takeError();
    value = *wide;
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// IR
//===----------------------------------------------------------------------===//

Value NodeBuilder::integerConstant(ArrayRef<int64_t> values, bool scalar) {
  Shape shape;
  if (!scalar)
    shape.push_back(values.size());
  return make<arith::ConstantOp>(
      DenseElementsAttr::get(tensor(shape, builder.getI64Type()), values));
}

Value NodeBuilder::empty(RankedTensorType type) {
  return make<arith::ConstantOp>(
      DenseElementsAttr::get(type, ArrayRef<Attribute>()));
}

Value NodeBuilder::reshape(Value value, ArrayRef<int64_t> shape) {
  RankedTensorType type = getTensorType(value).clone(shape);
  if (type.getNumElements())
    return createReshape(builder, loc, value, shape);
  return empty(type);
}

Value NodeBuilder::transpose(Value value, ArrayRef<int64_t> permutation) {
  return llvm::is_sorted(permutation) ? value
                                      : make<TransposeOp>(value, permutation);
}

Value NodeBuilder::moveDimension(Value value, int64_t from, int64_t to) {
  Shape permutation(getTensorType(value).getRank());
  std::iota(permutation.begin(), permutation.end(), 0);
  permutation.erase(permutation.begin() + from);
  permutation.insert(permutation.begin() + to, from);
  return transpose(value, permutation);
}

Value NodeBuilder::concat(ArrayRef<Value> values, int64_t dim) {
  SmallVector<Value> parts;
  for (Value value : values)
    if (getTensorType(value).getNumElements())
      parts.push_back(value);
  if (parts.empty())
    return values.front();
  return parts.size() == 1 ? parts.front() : make<tensor::ConcatOp>(dim, parts);
}

Value NodeBuilder::reduce(ReduceKind kind, Value value,
                          ArrayRef<int64_t> dims) {
  return dims.empty() ? value : make<ReduceOp>(kind, value, dims);
}

} // namespace dit::onnx
