//===- EmitPtx.cpp - The PTX of the kernels in a file ---------------------===//
//
// usage: emit-ptx FILE.mlir [ARCH]
//
// Writes one PTX module of all dit.kernels of the file, named kernel0, kernel1,
// … in order, and of all plan.kernels, after a line on the launch of each
// (printLaunch).
//
//===----------------------------------------------------------------------===//
#include "dialects/dit/DitDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Parser/Parser.h"
#include "test/compiler/codegen/gpu/GpuCase.h"
#include "llvm/Support/raw_ostream.h"

using namespace dit;
using namespace dit::codegen;

int main(int count, char **arguments) {
  llvm::ExitOnError check("emit-ptx: error: ");
  GpuTarget target =
      check(GpuTarget::resolve(count > 2 ? arguments[2] : "sm_90"));
  mlir::MLIRContext context;
  context.loadDialect<DitDialect, plan::PlanDialect, mlir::arith::ArithDialect,
                      mlir::func::FuncDialect, mlir::math::MathDialect,
                      mlir::tensor::TensorDialect>();
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(
      count > 1 ? arguments[1] : "-", &context);
  if (!module)
    return 1;
  llvm::SmallVector<KernelSource> kernels;
  module->walk([&](KernelOp op) {
    std::string symbol = ("kernel" + llvm::Twine(kernels.size())).str();
    kernels.push_back({&op.getBody(), op.getSpace(), 1, symbol});
  });
  module->walk([&](plan::KernelOp op) {
    kernels.push_back({&op.getBody(), op.getSpace(), 1, op.getSymName().str()});
  });
  GpuCode code = check(emitPtx(context, kernels, target));
  for (auto [launch, source] : llvm::zip_equal(code.kernels, kernels))
    llvm::outs() << printLaunch(launch, source);
  llvm::outs() << code.ptx;
  return 0;
}
