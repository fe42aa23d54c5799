//===- ditc.cpp - The compiler's command line tool ------------------------===//
//
// Flags → frontend → phases → plan file, or the IR after a phase. Every error
// becomes one message and the documented exit code.
//
//===----------------------------------------------------------------------===//
#include "compiler/tools/ditc/Flags.h"
#include "compiler/tools/ditc/LoadModel.h"

#include "frontends/onnx/ImportError.h"
#include "runtime/plan/Failure.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace dit;
using dit::plan::Exit;

/// Prints `module` without the weights' bytes.
static void printModule(mlir::ModuleOp module) {
  mlir::OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16).elideLargeResourceString(16);
  module.print(outs(), flags);
}

/// Prints one pass a line, phase by phase.
static void printPipeline(mlir::MLIRContext &context,
                          const PipelineOptions &options) {
  for (Phase phase : phasesUpTo(options.lastPhase)) {
    outs() << nameOf(phase) << ":\n";
    mlir::PassManager manager(&context);
    addPhase(manager, phase, options);
    for (mlir::Pass &pass : manager) {
      outs() << "  ";
      pass.printAsTextualPipeline(outs());
      outs() << "\n";
    }
  }
}

/// Prints what the passes said, a line or a JSON object each.
static void printReport(ArrayRef<Remark> report, bool asJson) {
  json::Array objects;
  for (const Remark &remark : report) {
    if (asJson) {
      objects.push_back(json::Object{{"phase", nameOf(remark.phase)},
                                     {"node", remark.node},
                                     {"text", json::fixUTF8(remark.text)}});
      continue;
    }
    outs() << nameOf(remark.phase) << ": ";
    if (!remark.node.empty())
      outs() << remark.node << ": ";
    outs() << remark.text << "\n";
  }
  if (asJson)
    outs() << formatv("{0:2}", json::Value(std::move(objects))) << "\n";
}

/// Prints what was decided about the program, which people may want otherwise.
static void printDecisions(ArrayRef<Remark> report) {
  for (const Remark &remark : report)
    if (remark.phase == Phase::Program || remark.phase == Phase::Recompute)
      errs() << remark.text << "\n";
}

/// What is asked for after the phases: the IR, the kernels, the cost or a plan.
static Error produce(const Flags &flags, mlir::ModuleOp module) {
  if (flags.emit == "dit" || flags.emit == "plan") {
    printModule(module);
    return Error::success();
  }
  if (!flags.emit.empty() || flags.dryRun) {
    Expected<std::string> text =
        flags.dryRun ? describeCost(module, flags.compile)
                     : printKernels(module, flags.compile, flags.emit);
    if (!text)
      return text.takeError();
    outs() << *text;
    return Error::success();
  }
  if (Error error = writePlan(module, flags.compile, flags.output))
    return error;
  if (!flags.quiet)
    errs() << "wrote " << flags.output << "\n";
  return Error::success();
}

static Error compile(Flags &flags) {
  mlir::DefaultTimingManager timing;
  timing.setEnabled(flags.timing);
  mlir::TimingScope root = timing.getRootScope();
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false);
  if (flags.printPipeline) {
    printPipeline(context, flags.compile.pipeline);
    return Error::success();
  }
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));

  mlir::TimingScope import = root.nest("import");
  if (Error error = loadModel(flags, *module))
    return error;
  import.stop();

  std::vector<Remark> report;
  Error error = runPhases(*module, flags.compile, {&report, &root});
  if (flags.compile.pipeline.report)
    printReport(report, flags.optReportJson);
  if (error)
    return error;
  if (!flags.quiet && !flags.compile.pipeline.report)
    printDecisions(report);
  mlir::TimingScope output = root.nest("code and output");
  return produce(flags, *module);
}

/// The message and exit code of an error of any of our classes.
static std::pair<int, std::string> describeError(Error error) {
  std::pair<int, std::string> result = {0, ""};
  error = handleErrors(std::move(error), [&](const onnx::ImportError &failure) {
    result = {failure.exitCode(), failure.getMessage().str()};
  });
  if (!error)
    return result;
  auto [code, text] = plan::describe(std::move(error));
  return {static_cast<int>(code), text};
}

int main(int argc, char **argv) {
  bool helpShown = false;
  Expected<Flags> flags =
      parseFlags(ArrayRef<const char *>(argv + 1, argc - 1), helpShown);
  if (helpShown)
    return 0;
  Error error = flags ? compile(*flags) : flags.takeError();
  if (!error)
    return 0;
  auto [code, text] = describeError(std::move(error));
  errs() << "ditc: error: " << text << "\n";
  return code;
}
