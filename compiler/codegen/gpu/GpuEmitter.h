//===- GpuEmitter.h - Kernels whose rows threads share ----------*- C++ -*-===//
//
// Each thread runs the same straight code on vectors of at most 16 bytes.
//
//   - Flat kernels: a vector a thread.
//   - Row kernels: `lanes` threads a row: a power of two less than a warp for
//     short rows, a warp for most, a whole block where a thread's part of the
//     row would not fit its registers, or where rows are so few that a thread
//     with one vector is done sooner. Vector f · lanes + t of the row is thread
//     t's fragment f:
//
//         D 1152, bf16:   |t0 t1 … t31|t0 t1 … t31| … |t0 … t15|
//                           fragment 0  fragment 1  …  fragment 4, half there
//
//     A fragment's scope lives as long as the row's, so that what one loop over
//     the row computed later loops find in registers.
//   - The code has no branches: a thread without a row, or without a vector in
//     the last fragment, computes another's again and its stores are
//     predicated off. So every warp takes part in every shuffle whole, and the
//     assembler may load a fragment before the stores of the one before it.
//   - A thread asks for its vectors of what belongs to its row alone first of
//     all: threads run in order, and wait where a number is first used.
//   - Stores come last, after all fragments are computed: a load cannot pass a
//     store that may be to the same place.
//   - Column sums: the threads of several rows share a run of rows, each the
//     rows of its turn, and add up what each has at the end (RunThreads.cpp).
//   - A reduction adds fragments, lanes of the vector, then threads by a
//     butterfly: all get the same bits. Blocks go through shared memory.
//   - Where rows read more of operands that other rows read too than of their
//     own, and all of it is more than the GPU's cache holds, their own go past
//     the L1 cache, so that the others' stay there (`streamsPast`).
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_GPUEMITTER_H
#define COMPILER_CODEGEN_GPU_GPUEMITTER_H

#include "compiler/codegen/KernelEmitter.h"
#include "compiler/codegen/gpu/GpuCodegen.h"

namespace dit::codegen {

inline constexpr int64_t warpSize = 32;

/// Bytes of a number, or of a vector of them.
int64_t getBytes(mlir::Type type);

class GpuEmitter : public KernelEmitter {
public:
  /// `canOverlap`: the architecture has griddepcontrol; see
  /// GpuKernel::waitsItself.
  GpuEmitter(mlir::ModuleOp module, const KernelSource &source,
             bool canOverlap);

  /// How the function that `emit` made is launched.
  const GpuKernel &getLaunch() const { return launch; }

protected:
  llvm::SmallVector<mlir::Type> getArguments() override;
  void emitFunction(mlir::Block *entry) override;
  void emitCutRows(const Index &row) override;
  void emitRow(const Index &row) override;
  int64_t getWidth(int64_t size) const override;
  llvm::SmallVector<mlir::Value> emitLanes(llvm::ArrayRef<int64_t> cuts,
                                           mlir::ValueRange inits, bool isCheap,
                                           LaneBody body) override;
  mlir::Value keepElement(mlir::Value value, const Index &index,
                          unsigned part) override;
  mlir::Value reduceVector(ReduceKind kind, mlir::Value vector) override;
  mlir::Value loadContiguous(const Buffer &buffer, mlir::VectorType type,
                             mlir::Value address, unsigned alignment) override;
  void addToSum(ReduceOp columnSum, const Buffer &buffer, const IndexExpr &lane,
                mlir::Value element) override;
  void store(const Buffer &buffer, const IndexExpr &position,
             mlir::Value value) override;
  unsigned getAlignment(const Buffer &buffer,
                        const IndexExpr &position) override;

private:
  /// Fragments that are straight code; longer rows are loops.
  static constexpr int64_t mostFragments = 16;
  /// Threads of a block that holds several rows, or runs of rows, at least.
  static constexpr int64_t fewestThreads = 128;

  /// A store whose place in the code comes later.
  struct PendingStore {
    mlir::Value address, value;
    /// Null: always.
    mlir::Value condition;
    unsigned alignment;
    bool isStream;
  };

  void emitFlatThreads();
  void emitRowThreads();
  void emitRunThreads();
  /// Which of `count` rows, or runs of rows, the thread is at, and its lane
  /// there. A block may reach past the last: then rowExists says so, and the
  /// threads beyond are at the last one.
  mlir::Value takePlace(int64_t count);
  void chooseThreads();
  // RunThreads.cpp.
  /// Whether threads that share a row exchange numbers while they make it.
  bool reducesRows();
  int64_t chooseRowsAtOnce();
  int64_t getThreadsOfRun() const { return lanesPerRow * rowsAtOnce; }
  /// Numbers of a row as far as its threads reach.
  int64_t getReach();
  /// The results that are column sums, and where they go.
  llvm::SmallVector<std::pair<ReduceOp, Buffer>> getColumnSums();
  void addGroups(llvm::ArrayRef<std::pair<ReduceOp, Buffer>> columnSums,
                 llvm::ArrayRef<mlir::Value> parts);
  // LoadOrder.cpp.
  void loadAhead(const Index &row);
  Scope &getFragment(Scope &parent, int64_t size, int64_t fragment);
  Lane makeLane(mlir::Value base, mlir::Value exists, IndexRange range,
                int64_t width, int64_t size);
  mlir::Value shuffle(mlir::Value value, int64_t distance);
  mlir::Value reduceBlock(ReduceKind kind, mlir::Value value);
  void waitForBlock();
  /// The address of `count` elements that the threads of a block share.
  mlir::Value allocateShared(llvm::StringRef name, mlir::Type element,
                             int64_t count);
  void callIntrinsic(llvm::StringRef name, mlir::ValueRange operands = {});
  // ThreadAccess.cpp.
  bool isStream(const Buffer &buffer) const;
  void flushStores();
  void write(const PendingStore &store);
  mlir::Value getRegister(llvm::StringRef name);
  mlir::Value toWide(mlir::Value number);

  GpuKernel launch;
  /// Elements in a thread's vector, at most.
  int64_t vectorWidth;
  /// Threads that share a row.
  int64_t lanesPerRow = 1;
  /// Rows of a run that as many groups of threads make at once; 1 without runs.
  int64_t rowsAtOnce = 1;
  /// Of a run's column sums, result by result for each fragment: what the rows
  /// before gave, and how many of them this row has added to.
  llvm::SmallVector<mlir::Value> sums;
  size_t addedSums = 0;
  /// Whether the row of the thread's turn is one of the run; null: it is.
  mlir::Value isInRun;
  /// i32: the thread's and the block's number, and the thread's in its row.
  mlir::Value thread, block, lane;
  /// Whether the thread's row exists; null: every one does.
  mlir::Value rowExists;
  /// Address of the shared memory of reductions over a block, and how many
  /// reductions used it.
  mlir::Value shared;
  int64_t blockReductions = 0;
  bool canOverlap;
  /// Operands with a number for each point go past the L1 cache.
  bool streamsPast;
  std::vector<PendingStore> pending;
  /// Whether stores wait for flushStores.
  bool defersStores = false;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_GPUEMITTER_H
