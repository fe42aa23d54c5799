//===- Compiler.h - From an imported model to a plan ------------*- C++ -*-===//
//
// The one entry point: takes a module that a frontend filled, runs the phases
// of Pipeline.cpp, and writes plan.bin.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_COMPILER_H
#define COMPILER_COMPILER_H

#include "compiler/Pipeline.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace dit {

/// Everything that compiling depends on; the tools fill it from flags.
struct CompileOptions {
  PipelineOptions pipeline;
  /// native, x86-64-v3, x86-64-v4 or a processor that LLVM knows.
  std::string cpu = "native";
  /// sm_80, sm_89, sm_90 or sm_100, several for several GPUs, with
  /// pipeline.isForGpu; empty: for the CPU.
  std::vector<std::string> gpus;
  /// Goes into the plan: the command line without paths, and the XXH3-128 of
  /// the model file (hex), or the builder's configuration.
  std::vector<std::string> flags;
  std::string inputHash;
  /// Refuse a plan whose peak is larger, in bytes; 0: no limit.
  uint64_t memoryLimit = 0;
};

/// What a pass said about the model: recognised, fused, refused and why.
struct Remark {
  Phase phase;
  std::string node; // of the model, '' where there is none
  std::string text;
};

/// Who watches the compiler at work; either may be null.
struct Observers {
  std::vector<Remark> *report = nullptr;
  mlir::TimingScope *timing = nullptr;
};

/// A context that knows every dialect that the phases use.
void registerDialects(mlir::DialectRegistry &registry);

/// Runs the phases up to options.pipeline.lastPhase on `module`. A phase that
/// fails is our bug (Exit::Internal, with a reproducer), but for program: a
/// model that has no program of the wanted kind is Exit::Unsupported.
llvm::Error runPhases(mlir::ModuleOp module, const CompileOptions &options,
                      Observers observers);

/// Generates code for a module that is through all phases and writes the plan
/// to `path` (temporary file, then rename).
llvm::Error writePlan(mlir::ModuleOp module, const CompileOptions &options,
                      llvm::StringRef path);

/// The generated kernels as text: "llvm" for LLVM IR, "asm" for assembly, which
/// is PTX on GPUs.
llvm::Expected<std::string> printKernels(mlir::ModuleOp module,
                                         const CompileOptions &options,
                                         llvm::StringRef form);

/// What `ditc --dry-run` prints: the memory table, FLOPs and launches of each
/// function.
llvm::Expected<std::string> describeCost(mlir::ModuleOp module,
                                         const CompileOptions &options);

} // namespace dit

#endif // COMPILER_COMPILER_H
