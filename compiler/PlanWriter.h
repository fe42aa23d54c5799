//===- PlanWriter.h - From plan IR to plan.bin ------------------*- C++ -*-===//
//
// A walk: every op of the plan dialect is a message of plan.proto. The module
// says the rest in attributes:
//
//   dit.mode       "forward", "sample", "train"
//   dit.precision  "fp32", "bf16", "fp16"
//   dit.model      a name for people; may be absent
//   dit.inputs     [{name = "x", global = "x"}], as are dit.outputs; may be
//                  absent
//   dit.sampling   a dictionary of Sampling's fields by name; in sample plans
//   dit.training   of Training's; in train plans
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_PLANWRITER_H
#define COMPILER_PLANWRITER_H

#include "compiler/codegen/gpu/GpuCodegen.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/plan/plan.pb.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace dit {

/// Code for one GPU architecture.
struct CodeImage {
  proto::Image::Kind kind;
  std::string arch; // sm_90
  std::string code; // PTX, or a cubin
  std::string part; // '' for the plan.kernels, else Image.part
};

/// What a plan tells about itself that the IR does not.
struct PlanProvenance {
  std::string version;            // ditc's
  std::vector<std::string> flags; // without paths
  std::string inputHash;
  std::string cpu;                   // x86-64-v4, sapphirerapids; sm_90
  std::vector<std::string> features; // what the code uses
  /// Of a plan for GPUs: its images, and the launches of the plan.kernels in
  /// their order. No image: a CPU's plan.
  std::vector<CodeImage> images;
  std::vector<codegen::GpuKernel> launches;
};

/// The metadata of a module that is through the memory phase: what plan.bin
/// says, and what --dry-run prints. Exit::Internal names an op that has no
/// place in a plan, or a module attribute that is missing or of another kind.
llvm::Expected<proto::Plan> encodePlan(mlir::ModuleOp module,
                                       const PlanProvenance &provenance);

/// The code section of a plan with these images: one after the other, each at a
/// multiple of 16 bytes.
std::string joinImages(llvm::ArrayRef<CodeImage> images);

/// Writes plan.bin: the metadata, `code` (an object file with the symbols of
/// the plan.kernels, or the images) and the mapped globals' values, one global
/// at a time. Equal arguments give equal bytes.
llvm::Error writePlanFile(llvm::StringRef path, mlir::ModuleOp module,
                          const proto::Plan &encoded,
                          llvm::ArrayRef<uint8_t> code);

} // namespace dit

#endif // COMPILER_PLANWRITER_H
