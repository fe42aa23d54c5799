//===- Compiler.cpp - From an imported model to a plan --------------------===//
#include "compiler/Compiler.h"

#include "dialects/dit/DitDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "runtime/plan/Failure.h"

#include "llvm/Support/Timer.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using dit::plan::Exit;
using dit::plan::failure;

void dit::registerDialects(DialectRegistry &registry) {
  registry.insert<DitDialect, plan::PlanDialect, plan::PlanDialect, arith::ArithDialect, func::FuncDialect,
                  math::MathDialect, tensor::TensorDialect>();
}

namespace {
/// Collects errors while it lives; everything else goes to the next handler.
struct ErrorCollector {
  explicit ErrorCollector(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          llvm::raw_string_ostream stream(text);
          if (!text.empty())
            stream << "\n";
          if (auto name = diagnostic.getLocation()->findInstanceOf<NameLoc>())
            stream << "at " << name.getName().getValue() << ": ";
          stream << diagnostic;
          for (Diagnostic &note : diagnostic.getNotes())
            stream << "\n  " << note;
          return success();
        }) {}
  static LogicalResult failure() { return mlir::failure(); }
  std::string text;
  ScopedDiagnosticHandler handler;
};
} // namespace

llvm::Error dit::runPhases(ModuleOp module, const CompileOptions &options) {
  for (Phase phase : phasesUpTo(options.pipeline.lastPhase)) {
    ErrorCollector errors(module.getContext());
    PassManager manager(module.getContext());
    addPhase(manager, phase, options.pipeline);
    auto wanted = [&](Pass *pass, Operation *) {
      return llvm::is_contained(options.pipeline.printAfter, pass->getArgument());
    };
    if (!options.pipeline.printAfter.empty())
      manager.enableIRPrinting([](Pass *, Operation *) { return false; }, wanted);
    if (options.pipeline.timing)
      manager.enableTiming();
    if (succeeded(manager.run(module)))
      continue;
    // The program phase refuses models that it cannot make a program of; the
    // others must succeed on whatever the phase before let through.
    Exit code = phase == Phase::Program ? Exit::Unsupported : Exit::Internal;
    return failure(code, llvm::Twine(nameOf(phase)) + " phase: " + errors.text);
  }
  return llvm::Error::success();
}

llvm::Error dit::writePlan(ModuleOp, const CompileOptions &, llvm::StringRef) {
  return failure(Exit::Unsupported, "growing");
}
llvm::Expected<std::string> dit::printKernels(ModuleOp, const CompileOptions &,
                                              llvm::StringRef) {
  return failure(Exit::Unsupported, "growing");
}
std::string dit::describeCost(ModuleOp) { return ""; }
