//===- KernelEmitter.h - From a tensor program to loops ---------*- C++ -*-===//
//
// The emitter pulls: for a point of the space it asks for the results' elements
// there, and goes back through the body, mapping indices, down to loads.
//
//   - An element's index is an expression over loop variables (IndexExpr). The
//     deepest of them says in which loop's scope the element is computed, so
//     what depends on the row alone is computed once a row, before the loops
//     over the lane; equal elements of a scope are computed once.
//   - The innermost loop runs over the lane in vectors. An element whose index
//     does not contain the lane is a scalar, another a vector.
//   - A reduction is a loop in the scope of its row: vectors of partial
//   results,
//     added in a fixed order. One whose row differs from lane to lane is a
//     scalar loop inside, over vectors.
//   - Column sums (dialects/dit/ColumnSums.h) lie in their results' memory from
//     the first row of a run on; each row's elements are added as they are
//     computed.
//   - Values that several loops of one row need and that are dear to compute
//     (MultiUse) are kept in a buffer of one row on the stack.
//
// Results are stored when all of a vector's are computed, so that a result may
// take the place of an input that is read at the same element.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_KERNELEMITTER_H
#define COMPILER_CODEGEN_KERNELEMITTER_H

#include "compiler/codegen/IndexExpr.h"
#include "compiler/codegen/LaneBuilder.h"
#include "compiler/codegen/MultiUse.h"
#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include <memory>
#include <optional>

namespace dit::codegen {

/// The greatest power of two that divides `number`, which is not 0.
inline int64_t powerIn(int64_t number) { return number & -number; }

/// A row-major tensor in memory.
struct Buffer {
  mlir::Value pointer;
  mlir::RankedTensorType type;
};

/// The vector that the innermost loop works on.
struct Lane {
  AtomId atom;
  int64_t width;
  /// Index of the first lane, i64.
  mlir::Value base;
  /// Which lanes exist; null: all.
  mlir::Value mask;
  /// Whether `base` is known to be a multiple of the width.
  bool isAligned;
  /// The loop visits all of [0, size); 0: it may not.
  int64_t size;
  /// GPU: whether this thread's vector exists; null: it does. Where not,
  /// `base` is that of another vector, and nothing is stored.
  mlir::Value exists = {};
};

/// Names an element: a value, a part of it, and where.
using ElementKey = std::tuple<void *, unsigned, Index>;

/// The body of a function or a loop while it is filled.
struct Scope {
  explicit Scope(mlir::Block *block, mlir::Operation *anchor = nullptr)
      : block(block), anchor(anchor) {}

  mlir::Block *block;
  /// Ops are put before it; null: at the end.
  mlir::Operation *anchor;
  std::optional<Lane> lane;
  /// What was computed here.
  std::map<ElementKey, mlir::Value> values;
  std::map<IndexExpr, mlir::Value> indices;
  /// Rows on the stack: written by an earlier loop of this scope, and by the
  /// one that is being made.
  std::map<ElementKey, mlir::Value> kept, beingKept;
  /// GPU: the vectors of a row that a thread holds, by the row's size.
  std::map<int64_t, std::vector<std::unique_ptr<Scope>>> fragments;
};

/// While it lives, the scopes of the current block insert before `op`, which
/// was just put there and is being filled. Steps outside of loops are scopes
/// that share a block.
class AnchorGuard {
public:
  AnchorGuard(llvm::ArrayRef<Scope *> scopes, mlir::Operation *op);
  ~AnchorGuard();

private:
  llvm::SmallVector<std::pair<Scope *, mlir::Operation *>, 2> before;
};

/// Emits one kernel as a function of a module: here for the CPU; GpuEmitter
/// says what differs where threads share a row.
class KernelEmitter {
public:
  KernelEmitter(mlir::ModuleOp module, const KernelSource &source,
                VectorTarget target);
  virtual ~KernelEmitter() = default;

  /// Adds the function; failure after an error at the op that cannot be
  /// emitted.
  mlir::LogicalResult emit();

protected:
  friend class PrepareLanes;

  /// Fills a loop's body: its variable, its accumulators; gives the next.
  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value, mlir::ValueRange)>;
  /// One vector of a lane loop: the lane's index, its accumulator; gives the
  /// next.
  using LaneBody =
      llvm::function_ref<mlir::Value(const IndexExpr &, mlir::Value)>;
  /// The element of a row at an index whose last dimension is the lane.
  using RowElement = llvm::function_ref<mlir::Value(const Index &)>;

  // The kernel's loops: EmitLoops.cpp.
  bool isFlat(mlir::Value value, const Index &index, AtomId lane);
  bool isFlat();
  /// The function's arguments, and its body from them.
  virtual llvm::SmallVector<mlir::Type> getArguments();
  virtual void emitFunction(mlir::Block *entry);
  void emitRows(mlir::Value begin, mlir::Value end);
  void emitRuns(mlir::Value low, mlir::Value high);
  /// What is computed at each point for a result, null for a number a row: the
  /// result, or the operand of a column sum.
  mlir::Value getPointValue(mlir::Value result);
  /// Adds the element that a vector of `columnSum` has in this row.
  virtual void addToSum(ReduceOp columnSum, const Buffer &buffer,
                        const IndexExpr &lane, mlir::Value element);
  Index splitRow(mlir::Value number);
  void emitFlat(mlir::Value begin, mlir::Value end);
  virtual void emitCutRows(const Index &row);
  virtual void emitRow(const Index &row);
  void storeResults(const Index &point);
  virtual int64_t getWidth(int64_t size) const;
  Scope &scope() { return *scopes.back(); }
  unsigned getLevel() const { return scopes.size() - 1; }
  void setInsertionPoint();
  mlir::Value inScope(unsigned depth, llvm::function_ref<mlir::Value()> emit);
  llvm::SmallVector<mlir::Value> emitLoop(mlir::Value low, mlir::Value high,
                                          int64_t step, mlir::ValueRange inits,
                                          LoopBody body);
  mlir::Value emitVectorStep(mlir::Value base, IndexRange range, int64_t width,
                             int64_t valid, int64_t size, mlir::Value init,
                             LaneBody body);
  virtual llvm::SmallVector<mlir::Value> emitLanes(llvm::ArrayRef<int64_t> cuts,
                                                   mlir::ValueRange inits,
                                                   bool isCheap, LaneBody body);
  llvm::SmallVector<int64_t> prepareLanes(llvm::ArrayRef<mlir::Value> values,
                                          llvm::ArrayRef<Index> indices,
                                          AtomId lane, int64_t size);
  // Elements: EmitElement.cpp.
  mlir::Value emitElement(mlir::Value value, const Index &index,
                          unsigned part = 0);
  mlir::Value computeElement(mlir::Value value, const Index &index,
                             unsigned part);
  virtual mlir::Value keepElement(mlir::Value value, const Index &index,
                                  unsigned part);
  mlir::Value emitConstant(mlir::arith::ConstantOp op, const Index &index);
  mlir::Value emitConcat(mlir::tensor::ConcatOp op, const Index &index);
  mlir::Value emitLookup(GatherOp op, const Index &index);
  mlir::Value emitElementwise(mlir::Operation *op, const Index &index);
  mlir::Value emitMath(mlir::Operation *op,
                       llvm::ArrayRef<mlir::Value> operands);
  mlir::Value emitRandom(RandomOp op, const Index &index);
  mlir::Value fail(mlir::Operation *op, const llvm::Twine &why);

  // Reductions: EmitReduction.cpp.
  mlir::Value combineAll(ReduceKind kind, llvm::SmallVector<mlir::Value> parts);
  mlir::Value reduceOver(ReduceKind kind, mlir::Value operand, int64_t size,
                         bool isVector,
                         llvm::function_ref<Index(const IndexExpr &)> at,
                         RowElement element);
  mlir::Value reduceRow(ReduceKind kind, mlir::Value operand, const Index &row,
                        RowElement element);
  mlir::Value reduceDims(ReduceOp op, const Index &index);
  mlir::Value combine(ReduceKind kind, mlir::Value lhs, mlir::Value rhs);
  /// What combines with x to x, with the type of `like`.
  mlir::Value makeNeutral(ReduceKind kind, mlir::Type like);
  virtual mlir::Value reduceVector(ReduceKind kind, mlir::Value vector);
  mlir::Value emitLayerNorm(LayerNormOp op, unsigned result,
                            const Index &index);
  mlir::Value emitRmsNorm(RmsNormOp op, unsigned result, const Index &index);
  mlir::Value emitSoftmax(SoftmaxOp op, unsigned part, const Index &index);

  // Memory: EmitAccess.cpp.
  mlir::Value load(const Buffer &buffer, const IndexExpr &position);
  mlir::Value loadVector(const Buffer &buffer, const IndexExpr &position);
  /// The vector of `type` that lies at `address`, whole.
  virtual mlir::Value loadContiguous(const Buffer &buffer,
                                     mlir::VectorType type, mlir::Value address,
                                     unsigned alignment);
  mlir::Value loadStretch(const Buffer &buffer, const IndexExpr &position);
  virtual void store(const Buffer &buffer, const IndexExpr &position,
                     mlir::Value value);
  /// What the address of the element, or of the vector, at `position` is known
  /// to be a multiple of, in bytes.
  virtual unsigned getAlignment(const Buffer &buffer,
                                const IndexExpr &position);
  mlir::Value emitAddress(const Buffer &buffer, const IndexExpr &position);
  mlir::Value emitScalar(const IndexExpr &expr);
  mlir::Value emitVector(const IndexExpr &expr);
  mlir::Value emitAtom(AtomId id);
  mlir::Value allocateRow(int64_t size, mlir::Type element);
  Buffer getConstantBuffer(mlir::arith::ConstantOp op);

  mlir::ModuleOp module;
  const KernelSource &source;
  mlir::OpBuilder builder;
  LaneBuilder lanes;
  IndexTable table;
  MultiUse multiUse;
  llvm::SmallVector<Scope *, 6> scopes;
  /// Values of variables: i64 scalars or vectors of integers.
  llvm::DenseMap<AtomId, mlir::Value> variables;
  /// The rows that gathers found.
  std::map<ElementKey, AtomId> lookups;
  llvm::DenseMap<mlir::Value, Buffer> buffers;
  llvm::SmallVector<Buffer> results;
  /// Rows of a run of column sums, 1 without; and the number of this one.
  int64_t run = 1;
  IndexExpr runNumber;
  bool hasFailed = false;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_KERNELEMITTER_H
