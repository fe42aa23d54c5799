//===- NodeBuilder.h - What the import of one node works with ---*- C++ -*-===//
//
// Private to the importer. A row of the op table gets a NodeBuilder: its
// node's attributes and input values, and the means to build IR at the node's
// location. Values are ranked tensors of static shape.
//
// Errors are sticky: the attribute and constant getters record the first
// failure and return a default; the importer looks at it when the row is done.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_NODEBUILDER_H
#define DIT_FRONTENDS_ONNX_NODEBUILDER_H

#include "dialects/dit/Builders.h"
#include "frontends/onnx/ImportError.h"
#include "frontends/onnx/Model.h"

namespace dit::onnx {

/// A node's outputs, in order; null where one cannot be had.
using Values = llvm::SmallVector<mlir::Value, 1>;
/// What a row of the table returns.
using Outputs = llvm::Expected<Values>;
using Shape = llvm::SmallVector<int64_t>;

/// Values with more elements are refused; far above any real tensor.
inline constexpr int64_t mostElements = int64_t(1) << 40;
/// Constants with more elements are neither looked into nor evaluated.
inline constexpr int64_t mostFolded = 1 << 16;

/// The element type in IR; null for types that have none.
mlir::Type convertType(mlir::MLIRContext *context, ElementType type);

/// The tensor's elements as an attribute with a copy of them; null for types
/// that have no counterpart in IR.
mlir::DenseElementsAttr getElements(mlir::MLIRContext *context,
                                    const Tensor &tensor);
/// The value's elements if it is an arith.constant, else null.
mlir::DenseElementsAttr getConstant(mlir::Value value);
/// The one number that all elements of a constant are, or nothing.
std::optional<double> getSplat(mlir::Value value);

/// An error where a result of this shape has a negative dimension, or more than
/// mostElements elements.
llvm::Error checkShape(llvm::ArrayRef<int64_t> shape);

/// See the head of this file.
class NodeBuilder {
public:
  NodeBuilder(const Node &node, int64_t opset, mlir::OpBuilder &builder,
              mlir::Location loc, llvm::ArrayRef<mlir::Value> inputs)
      : node(node), opset(opset), builder(builder), loc(loc), inputs(inputs) {}

  const Node &node;
  /// Version of the default operator set.
  const int64_t opset;
  mlir::OpBuilder &builder;
  const mlir::Location loc;

  // Inputs.
  unsigned numInputs() const { return inputs.size(); }
  /// Input `index`; null where it is left out.
  mlir::Value input(unsigned index) const {
    return index < inputs.size() ? inputs[index] : mlir::Value();
  }
  /// The integers of a constant input; nothing (and a failure) if the input is
  /// there but not known. `what` names it.
  std::optional<Shape> constantIntegers(unsigned index, llvm::StringRef what);
  /// The single number of a constant input.
  std::optional<double> constantNumber(unsigned index, llvm::StringRef what);

  // Attributes.
  bool has(llvm::StringRef name) const { return node.find(name); }
  int64_t integer(llvm::StringRef name, int64_t otherwise);
  double number(llvm::StringRef name, double otherwise);
  llvm::StringRef text(llvm::StringRef name, llvm::StringRef otherwise);
  Shape integers(llvm::StringRef name, Shape otherwise = {});

  // Failures.
  llvm::Error unsupported(const llvm::Twine &why) const {
    return makeError(ErrorKind::Unsupported, why);
  }
  llvm::Error malformed(const llvm::Twine &why) const {
    return makeError(ErrorKind::Malformed, why);
  }
  /// The first sticky failure, or success.
  llvm::Error takeFailure();

  /// An error where a tensor is not of floating-point elements.
  llvm::Error wantFloat(mlir::Value value) const;

  // Shapes.
  /// `axis` counted from 0; a failure (and 0) if it is not in [−rank, rank).
  int64_t axis(int64_t axis, int64_t rank);
  /// The same for a list; sorted, without repetition (a failure).
  Shape axes(llvm::ArrayRef<int64_t> axes, int64_t rank);

  // IR.
  mlir::RankedTensorType tensor(llvm::ArrayRef<int64_t> shape,
                                mlir::Type element) const {
    return mlir::RankedTensorType::get(shape, element);
  }
  /// A constant like `like`, all `value`.
  mlir::Value splat(mlir::Value like, double value) {
    return createSplat(builder, loc, getTensorType(like), value);
  }
  /// A constant of a type without elements.
  mlir::Value empty(mlir::RankedTensorType type);
  /// A rank-1 int64 constant, or a scalar.
  mlir::Value integerConstant(llvm::ArrayRef<int64_t> values,
                              bool scalar = false);
  /// `value` in another shape of as many elements, also none.
  mlir::Value reshape(mlir::Value value, llvm::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value value, llvm::ArrayRef<int64_t> permutation);
  /// `value` with dimension `from` moved to `to`.
  mlir::Value moveDimension(mlir::Value value, int64_t from, int64_t to);
  mlir::Value cast(mlir::Value value, mlir::Type element) {
    return createCast(builder, loc, value, element);
  }
  mlir::Value slice(mlir::Value value, int64_t dim, int64_t offset,
                    int64_t size) {
    return createSlice(builder, loc, value, dim, offset, size);
  }
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t dim);
  mlir::Value reduce(ReduceKind kind, mlir::Value value,
                     llvm::ArrayRef<int64_t> dims);
  /// The common shape of `values` by numpy's rule.
  llvm::Expected<Shape> commonShape(llvm::ArrayRef<mlir::Value> values) const;
  /// `values` repeated to their common shape.
  llvm::Error broadcast(llvm::MutableArrayRef<mlir::Value> values);
  /// `value` repeated to `shape`.
  llvm::Expected<mlir::Value> broadcast(mlir::Value value,
                                        llvm::ArrayRef<int64_t> shape);

  template <typename Op, typename... Args>
  mlir::Value make(Args &&...args) {
    return Op::create(builder, loc, std::forward<Args>(args)...)->getResult(0);
  }

private:
  void fail(const llvm::Twine &why, ErrorKind kind = ErrorKind::Malformed);
  const NodeAttribute *attribute(llvm::StringRef name, AttributeType type);

  llvm::ArrayRef<mlir::Value> inputs;
  std::optional<ErrorKind> failureKind;
  std::string failure;
};

/// The elements' sizes, as text: "2x64x64".
std::string describeShape(llvm::ArrayRef<int64_t> shape);

/// How one op is imported: a row of the op table.
struct OpRow {
  llvm::StringRef name;
  /// How many inputs there must and may be.
  unsigned fewestInputs, mostInputs;
  /// Builds IR. Inputs up to `fewestInputs` are there.
  Outputs (*build)(NodeBuilder &);
  /// '' is ONNX's own.
  llvm::StringRef domain = "";
};

inline constexpr unsigned anyNumber = ~0u;

/// The table, in groups by subject.
llvm::ArrayRef<OpRow> unaryOps();
llvm::ArrayRef<OpRow> pointwiseOps();
llvm::ArrayRef<OpRow> shapeOps();
llvm::ArrayRef<OpRow> partOps();
llvm::ArrayRef<OpRow> reductionOps();
llvm::ArrayRef<OpRow> linearAlgebraOps();
llvm::ArrayRef<OpRow> attentionOps();
llvm::ArrayRef<OpRow> normalisationOps();
llvm::ArrayRef<OpRow> indexingOps();

/// The row for this op, or null.
const OpRow *findOp(llvm::StringRef domain, llvm::StringRef name);

} // namespace dit::onnx

#endif
