//===- GpuEmitter.h - Kernels whose rows threads share ----------*- C++ -*-===//
//
// Each thread runs the same straight code on vectors of at most 16 bytes.
//
//   - Flat kernels: a vector a thread.
//   - Row kernels: `lanes` threads a row, a power of two: fewer than a warp for
//     short rows, a warp for most, a whole block where a thread's part of the
//     row would not fit its registers. Vector f · lanes + t of the row is
//     thread t's fragment f:
//
//         D 1152, bf16:   |t0 t1 … t31|t0 t1 … t31| … |t0 … t15|
//                           fragment 0  fragment 1  …  fragment 4, half there
//
//     A fragment's scope lives as long as the row's, so that what one loop over
//     the row computed later loops find in registers.
//   - There are no branches but around stores: a thread without a row, or
//     without a vector in the last fragment, computes another's again and
//     stores nothing. So every warp takes part in every shuffle whole.
//   - A reduction adds fragments, lanes of the vector, then threads by a
//     butterfly: all get the same bits. Blocks go through shared memory.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_GPU_GPUEMITTER_H
#define COMPILER_CODEGEN_GPU_GPUEMITTER_H

#include "compiler/codegen/KernelEmitter.h"
#include "compiler/codegen/gpu/GpuCodegen.h"

namespace dit::codegen {

class GpuEmitter : public KernelEmitter {
public:
  GpuEmitter(mlir::ModuleOp module, const KernelSource &source);

  /// How the function that `emit` made is launched.
  const GpuKernel &getLaunch() const { return launch; }

protected:
  llvm::SmallVector<mlir::Type> getArguments() override;
  void emitFunction(mlir::Block *entry) override;
  void emitCutRows(const Index &row) override;
  int64_t getWidth(int64_t size) const override;
  llvm::SmallVector<mlir::Value> emitLanes(llvm::ArrayRef<int64_t> cuts,
                                           mlir::ValueRange inits, bool isCheap,
                                           LaneBody body) override;
  mlir::Value keepElement(mlir::Value value, const Index &index,
                          unsigned part) override;
  mlir::Value reduceVector(ReduceKind kind, mlir::Value vector) override;
  void store(const Buffer &buffer, const IndexExpr &position,
             mlir::Value value) override;
  unsigned getAlignment(const Buffer &buffer,
                        const IndexExpr &position) override;

private:
  void emitFlatThreads();
  void emitRowThreads();
  Scope &getFragment(Scope &parent, int64_t size, int64_t fragment);
  Lane makeLane(mlir::Value base, mlir::Value exists, IndexRange range,
                int64_t width, int64_t size);
  mlir::Value shuffle(mlir::Value value, int64_t distance);
  mlir::Value reduceBlock(ReduceKind kind, mlir::Value value);
  mlir::Value getRegister(llvm::StringRef name);
  mlir::Value toWide(mlir::Value number);

  GpuKernel launch;
  /// Elements in a thread's vector, at most.
  int64_t vectorWidth;
  /// Threads that share a row.
  int64_t lanesPerRow = 1;
  /// i32: the thread's and the block's number, and the thread's in its row.
  mlir::Value thread, block, lane;
  /// Whether the thread's row exists; null: every one does.
  mlir::Value rowExists;
  /// Address of the shared memory of reductions over a block.
  mlir::Value shared;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_GPU_GPUEMITTER_H
