//===- GraphBuilder.h - Writing a model in C++ ------------------*- C++ -*-===//
//
// A function of dit IR, made call by call:
//
//     GraphBuilder graph(module, "forward", {{"x", graphType}});
//     Tensor x = graph.input(0);
//     Tensor w = graph.parameter("fc.weight", {768, 192}, init);
//     graph.finish({{"y", graph.gelu(graph.linear(x, w, bias), tanh)}});
//
// A misuse (shapes that do not fit) is an error diagnostic at the graph's
// location; the call gives a null Tensor, calls on null tensors give null and
// say nothing, and finish() fails. So a model is written without checks.
//
//===----------------------------------------------------------------------===//
#ifndef FRONTENDS_BUILDER_GRAPHBUILDER_H
#define FRONTENDS_BUILDER_GRAPHBUILDER_H

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace dit {

/// A value of the graph: a tensor with static shape; null after an error.
class Tensor {
public:
  Tensor() = default;
  /*implicit*/ Tensor(mlir::Value value) : value(value) {}

  explicit operator bool() const { return static_cast<bool>(value); }
  mlir::Value getValue() const { return value; }
  mlir::RankedTensorType getType() const {
    return llvm::cast<mlir::RankedTensorType>(value.getType());
  }
  llvm::ArrayRef<int64_t> getShape() const { return getType().getShape(); }
  int64_t getRank() const { return getType().getRank(); }

private:
  mlir::Value value;
};

/// A name and a type: an argument of the model.
struct NamedType {
  std::string name;
  mlir::RankedTensorType type;
};

/// A name and a value: a result of the model.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// A parameter as the model's file knows it, and how it lies in the program.
struct Parameter {
  std::string name;           ///< in the original state_dict
  std::vector<int64_t> shape; ///< there
  InitAttr init;              ///< its first values
  bool trainable = true;
  /// The file's shape split into `view` and permuted is stored with shape
  /// `stored`; empty: stored as it is in the file.
  std::vector<int64_t> view = {}, permutation = {}, stored = {};
};

class GraphBuilder {
public:
  /// Starts `func.func @name` at the end of `module`; its ops get `loc`. Loads
  /// the dialects it uses.
  GraphBuilder(mlir::ModuleOp module, mlir::Location loc, llvm::StringRef name,
               llvm::ArrayRef<NamedType> inputs);

  /// Sets the location of the ops that follow to `name` inside the model.
  void setScope(llvm::StringRef name);

  Tensor input(unsigned index);
  /// Reads a parameter, fp32; a global of this name is made where the module
  /// has none, so that functions of one model share their parameters.
  Tensor parameter(const Parameter &parameter);
  /// A constant global of these values, row-major, made where there is none.
  Tensor constant(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                  llvm::ArrayRef<float> values);
  /// A constant like `like`, all `value`.
  Tensor splat(Tensor like, double value);

  // Elementwise, on equal types.
  Tensor add(Tensor a, Tensor b);
  Tensor mul(Tensor a, Tensor b);
  Tensor cos(Tensor a);
  Tensor sin(Tensor a);
  Tensor silu(Tensor a);
  Tensor gelu(Tensor a, Approximate approximate);
  /// Integers as fp32.
  Tensor toFloat(Tensor a);

  // Shape.
  Tensor reshape(Tensor a, llvm::ArrayRef<int64_t> shape);
  Tensor transpose(Tensor a, llvm::ArrayRef<int64_t> permutation);
  /// `a` repeated to `shape`; its dimension i is the result's dims[i].
  Tensor broadcast(Tensor a, llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<int64_t> dims);
  /// [offset, offset + size) of dimension `dim`.
  Tensor slice(Tensor a, int64_t dim, int64_t offset, int64_t size);
  Tensor concat(llvm::ArrayRef<Tensor> tensors, int64_t dim);

  /// [..., K] times weight [N, K] transposed plus bias [N]: [..., N].
  Tensor linear(Tensor a, Tensor weight, Tensor bias);
  /// The last dimension normalised, without scale and shift.
  Tensor layerNorm(Tensor a, double eps);
  /// Rows of table [rows, D] at integer indices [N]: [N, D].
  Tensor gather(Tensor table, Tensor indices);
  /// q, k, v [B, T, H, d] → [B, T, H, d].
  Tensor attention(Tensor q, Tensor k, Tensor v, double scale);

  /// Returns `outputs` from the function; the function, or failure if anything
  /// went wrong (then it is gone from the module).
  mlir::FailureOr<mlir::func::FuncOp>
  finish(llvm::ArrayRef<NamedTensor> outputs);

private:
  Tensor fail(const llvm::Twine &why);
  Tensor readGlobal(llvm::StringRef name, Role role,
                    mlir::RankedTensorType type, PieceAttr piece,
                    bool trainable);
  bool areEqual(llvm::StringRef what, Tensor a, Tensor b);

  mlir::ModuleOp module;
  mlir::Location start, loc;
  mlir::OpBuilder builder;
  mlir::func::FuncOp function;
  bool failed = false;
};

} // namespace dit

#endif // FRONTENDS_BUILDER_GRAPHBUILDER_H
