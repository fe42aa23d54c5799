//===- dit-opt.cpp - Run dit passes on textual IR -------------------------===//
#include "compiler/codegen/Passes.h"
#include "dialects/dit/DitDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/fusion/Passes.h"
#include "passes/lowering/Passes.h"
#include "passes/memory/Passes.h"
#include "passes/precision/Passes.h"
#include "passes/program/Passes.h"
#include "passes/recompute/Passes.h"
#include "passes/simplify/Passes.h"

int main(int argc, char **argv) {
  mlir::registerTransformsPasses();
  dit::registerSimplifyPasses();
  dit::registerPrecisionPasses();
  dit::registerProgramPasses();
  dit::registerRecomputePasses();
  dit::registerFusionPasses();
  dit::registerLoweringPasses();
  dit::registerMemoryPasses();
  dit::registerCodegenPasses();

  mlir::DialectRegistry registry;
  registry.insert<dit::DitDialect, dit::plan::PlanDialect,
                  mlir::arith::ArithDialect, mlir::func::FuncDialect,
                  mlir::math::MathDialect, mlir::tensor::TensorDialect>();
  dit::registerDifferentiableModels(registry);

  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "dit pass driver\n", registry));
}
