//===- EmitCpuKernels.cpp - The loops of every kernel, to look at ---------===//
#include "compiler/codegen/Passes.h"
#include "compiler/codegen/cpu/CpuCodegen.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace dit {
#define GEN_PASS_DEF_EMITCPUKERNELS
#include "compiler/codegen/Passes.h.inc"
} // namespace dit

namespace {
struct EmitCpuKernels : dit::impl::EmitCpuKernelsBase<EmitCpuKernels> {
  using EmitCpuKernelsBase::EmitCpuKernelsBase;

  void runOnOperation() override {
    auto target = dit::codegen::CpuTarget::resolve(cpu);
    if (!target) {
      getOperation().emitError(llvm::toString(target.takeError()));
      return signalPassFailure();
    }
    llvm::SmallVector<dit::codegen::KernelSource> kernels;
    getOperation().walk([&](dit::KernelOp op) {
      std::string symbol = ("kernel" + llvm::Twine(kernels.size())).str();
      kernels.push_back({&op.getBody(), op.getSpace(), rowsPerBlock, symbol});
    });
    if (failed(dit::codegen::emitKernels(getOperation(), kernels,
                                         target->getVectorTarget())))
      signalPassFailure();
  }
};
} // namespace
