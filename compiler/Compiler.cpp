//===- Compiler.cpp - From an imported model to a plan --------------------===//
#include "compiler/Compiler.h"

#include "compiler/PlanWriter.h"
#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/codegen/gpu/FlashAttention.h"
#include "compiler/codegen/gpu/GpuCodegen.h"
#include "compiler/codegen/gpu/KernelReport.h"
#include "dialects/plan/PlanDialect.h"
#include "passes/recompute/Passes.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Memory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>

using namespace mlir;
using dit::plan::Exit;
using dit::plan::failure;

void dit::registerDialects(DialectRegistry &registry) {
  registry
      .insert<DitDialect, plan::PlanDialect, arith::ArithDialect,
              func::FuncDialect, math::MathDialect, tensor::TensorDialect>();
  registerDifferentiableModels(registry);
}

/// The model's node that `location` stands for, or "".
static std::string getNode(Location location) {
  auto name = location->findInstanceOf<NameLoc>();
  return name ? dit::plan::escaped(name.getName().getValue()) : "";
}

namespace {
/// Collects errors and remarks while it lives; warnings go to the next handler.
struct Collector {
  Collector(MLIRContext *context, dit::Phase phase,
            std::vector<dit::Remark> *report)
      : handler(context, [=, this](Diagnostic &diagnostic) {
          std::string node = getNode(diagnostic.getLocation());
          if (diagnostic.getSeverity() == DiagnosticSeverity::Remark) {
            if (report)
              report->push_back({phase, node, diagnostic.str()});
            return success();
          }
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return mlir::failure();
          llvm::raw_string_ostream stream(errors);
          stream << (errors.empty() ? "" : "\n");
          if (!node.empty())
            stream << "at " << node << ": ";
          stream << diagnostic;
          for (Diagnostic &note : diagnostic.getNotes())
            stream << "\n  " << note;
          return success();
        }) {}
  std::string errors;
  ScopedDiagnosticHandler handler;
};
} // namespace

/// Writes the program that a phase failed on, without the weights' bytes, to a
/// temporary file and says where it is.
static std::string writeReproducer(ModuleOp before, dit::Phase phase) {
  llvm::SmallString<128> path;
  int descriptor;
  if (llvm::sys::fs::createTemporaryFile("ditc-" + dit::nameOf(phase), "mlir",
                                         descriptor, path))
    return "no reproducer could be written";
  llvm::raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(16).elideLargeResourceString(16);
  before.print(stream, flags.enableDebugInfo());
  return "this is a bug in ditc; please report it with " + path.str().str();
}

/// Runs the passes of one phase.
static llvm::Error runPhase(ModuleOp module, dit::Phase phase,
                            const dit::CompileOptions &options,
                            dit::Observers observers) {
  const dit::PipelineOptions &pipeline = options.pipeline;
  OwningOpRef<ModuleOp> before = module.clone();
  Collector collector(module.getContext(), phase, observers.report);
  PassManager manager(module.getContext());
  dit::addPhase(manager, phase, pipeline);
  auto wanted = [&](Pass *pass, Operation *) {
    return llvm::is_contained(pipeline.printAfter, pass->getArgument());
  };
  if (!pipeline.printAfter.empty())
    manager.enableIRPrinting([](Pass *, Operation *) { return false; }, wanted);
  TimingScope timing;
  if (observers.timing) {
    timing = observers.timing->nest(dit::nameOf(phase));
    manager.enableTiming(timing);
  }
  if (succeeded(manager.run(module)))
    return llvm::Error::success();
  // The program phase refuses models that it cannot make a program of,
  // recompute those whose blocks it does not find; the others must succeed on
  // whatever the phase before let through.
  if (phase == dit::Phase::Program || phase == dit::Phase::Recompute)
    return failure(Exit::Unsupported, collector.errors);
  return failure(Exit::Internal, llvm::Twine(dit::nameOf(phase)) +
                                     " phase: " + collector.errors + "\n" +
                                     writeReproducer(*before, phase));
}

/// The memory that a module which is through the program phase needs where
/// `recomputeBytes` of activations are to be dropped, and how many of them
/// were: fewer where there are no more to drop.
static llvm::Expected<std::pair<uint64_t, int64_t>>
planMemory(ModuleOp module, dit::CompileOptions options,
           int64_t recomputeBytes) {
  options.pipeline.training.recomputeBytes = recomputeBytes;
  options.pipeline.report = false;
  options.pipeline.printAfter.clear();
  OwningOpRef<ModuleOp> trial = module.clone();
  for (dit::Phase phase : dit::phasesUpTo(dit::Phase::Memory))
    if (phase >= dit::Phase::Recompute)
      if (llvm::Error error = runPhase(*trial, phase, options, {}))
        return std::move(error);
  llvm::Expected<dit::proto::Plan> plan = dit::encodePlan(*trial, {});
  if (!plan)
    return plan.takeError();
  auto saved =
      (*trial)->getAttrOfType<IntegerAttr>(dit::recomputedBytesAttrName);
  return std::pair(dit::plan::memoryUse(*plan).total(), saved.getInt());
}

/// How many bytes of activations --recompute auto must not keep, so that the
/// plan fits into the memory: as many as are missing, again and again, because
/// what is computed again needs memory for a while too; in steps that are not
/// too small. All where even that is not enough.
static llvm::Expected<int64_t>
chooseRecomputeBytes(ModuleOp module, const dit::CompileOptions &options) {
  constexpr int64_t mostSteps = 16;
  int64_t wanted = 0, step = 0;
  for (;;) {
    auto planned = planMemory(module, options, wanted);
    if (!planned)
      return planned.takeError();
    auto [total, saved] = *planned;
    if (total <= options.memoryLimit || saved < wanted)
      return wanted;
    auto missing = static_cast<int64_t>(total - options.memoryLimit);
    if (step == 0)
      step = missing / mostSteps;
    wanted = saved + std::max(missing, step);
  }
}

llvm::Error dit::runPhases(ModuleOp module, const CompileOptions &options,
                           Observers observers) {
  CompileOptions chosen = options;
  TrainingOptions &training = chosen.pipeline.training;
  for (Phase phase : phasesUpTo(options.pipeline.lastPhase)) {
    if (phase == Phase::Recompute && options.memoryLimit &&
        options.pipeline.mode == Mode::Train && training.recompute == "auto") {
      TimingScope timing;
      if (observers.timing)
        timing = observers.timing->nest("choose what to recompute");
      llvm::Expected<int64_t> bytes = chooseRecomputeBytes(module, options);
      if (!bytes)
        return bytes.takeError();
      training.recomputeBytes = *bytes;
    }
    if (llvm::Error error = runPhase(module, phase, chosen, observers))
      return error;
  }
  return llvm::Error::success();
}

/// The kernels of a module that is through the lowering phase.
static std::vector<dit::codegen::KernelSource> collectKernels(ModuleOp module) {
  std::vector<dit::codegen::KernelSource> kernels;
  for (auto kernel : module.getOps<dit::plan::KernelOp>())
    kernels.push_back({&kernel.getBody(), kernel.getSpace(),
                       static_cast<int64_t>(kernel.getRowsPerBlock()),
                       kernel.getSymName().str()});
  return kernels;
}

/// PTX of a module's kernels for the GPU `arch`.
static llvm::Expected<dit::codegen::GpuCode> generatePtx(ModuleOp module,
                                                         StringRef arch) {
  auto target = dit::codegen::GpuTarget::resolve(arch);
  if (!target)
    return target.takeError();
  return dit::codegen::emitPtx(*module.getContext(), collectKernels(module),
                               *target);
}

/// A module's kernels as PTX for the GPU `arch`: each one's launch, with
/// `report` what it uses, then the code.
static llvm::Expected<std::string> printPtx(ModuleOp module, StringRef arch,
                                            bool report) {
  auto code = generatePtx(module, arch);
  if (!code)
    return code.takeError();
  std::vector<dit::codegen::KernelSource> sources = collectKernels(module);
  std::string text;
  for (auto [launch, source] : llvm::zip_equal(code->kernels, sources))
    text += dit::codegen::printLaunch(launch, source);
  if (report) {
    llvm::Expected<dit::codegen::Cubin> cubin =
        dit::codegen::assemble(code->ptx, arch);
    text += "// " + arch.str() + ", " +
            (cubin ? cubin->assembler
                   : "registers are not known: " +
                         llvm::toString(cubin.takeError())) +
            "\n";
    std::string lines = dit::codegen::describeKernels(
        *code, sources, {arch.str()}, cubin ? &*cubin : nullptr);
    for (StringRef line : llvm::split(StringRef(lines).rtrim(), '\n'))
      text += "//   " + line.str() + "\n";
  }
  return text + code->ptx;
}

namespace {
/// What the plan says of its code. A GPU's code is made for that already: the
/// launches follow from it.
struct Provenance {
  dit::codegen::CpuTarget cpu;
  dit::PlanProvenance plan;

  /// `assembles`: machine code beside PTX, where CUDA's assembler is.
  llvm::Error resolve(ModuleOp module, const dit::CompileOptions &options,
                      bool assembles) {
    plan.version = DIT_VERSION;
    plan.flags = options.flags;
    plan.inputHash = options.inputHash;
    if (!options.gpus.empty())
      return generateImages(module, options.gpus, assembles);
    auto target = dit::codegen::CpuTarget::resolve(options.cpu);
    if (!target)
      return target.takeError();
    cpu = *target;
    plan.cpu = cpu.cpu;
    plan.features = cpu.features;
    return llvm::Error::success();
  }

private:
  llvm::Error generateImages(ModuleOp module, llvm::ArrayRef<std::string> gpus,
                             bool assembles) {
    plan.cpu = llvm::join(gpus, ",");
    for (const std::string &gpu : gpus) {
      auto code = generatePtx(module, gpu);
      if (!code)
        return code.takeError();
      // Launches follow from the kernels' shapes, not from the architecture.
      plan.launches = std::move(code->kernels);
      addImages(std::move(code->ptx), gpu, assembles);
    }
    addAttentionKernels(module, assembles);
    return llvm::Error::success();
  }

  /// PTX, after machine code where that is asked for and CUDA's assembler is;
  /// without it the driver compiles the PTX.
  void addImages(std::string ptx, const std::string &gpu, bool assembles,
                 const std::string &part = "") {
    if (assembles) {
      llvm::Expected<dit::codegen::Cubin> cubin =
          dit::codegen::assemble(ptx, gpu);
      if (cubin)
        plan.images.push_back(
            {dit::proto::Image::CUBIN, gpu, std::move(cubin->code), part});
      else
        llvm::consumeError(cubin.takeError());
    }
    plan.images.push_back({dit::proto::Image::PTX, gpu, std::move(ptx), part});
  }

  /// The code of each attention kernel of ours that the plan has.
  void addAttentionKernels(ModuleOp module, bool assembles) {
    std::map<std::string, llvm::StringRef> parts;
    auto add = [&](const dit::codegen::FlashKernel &kernel) {
      parts.emplace(kernel.part, kernel.ptx);
    };
    module.walk([&](dit::plan::AttentionOp op) {
      if (op.getOurs())
        add(dit::codegen::getFlashAttention(op.getSizes()[4]));
    });
    module.walk([&](dit::plan::AttentionGradOp op) {
      if (op.getOurs())
        add(dit::codegen::getFlashAttentionGrad(op.getSizes()[4],
                                                op.getSizes()[2]));
    });
    for (const auto &[part, ptx] : parts)
      addImages(ptx.str(), "sm_90a", assembles, part);
  }
};
} // namespace

/// Refuses a plan that needs more memory than the user allows.
static llvm::Error checkMemory(const dit::proto::Plan &plan,
                               const dit::CompileOptions &options) {
  uint64_t limit = options.memoryLimit;
  uint64_t total = dit::plan::memoryUse(plan).total();
  if (!limit || total <= limit)
    return llvm::Error::success();
  return failure(
      Exit::Contradiction,
      "the plan needs " + dit::plan::printBytes(total) +
          ", but --memory allows " + dit::plan::printBytes(limit) +
          ". A smaller --batch makes the arena smaller, --precision "
          "bf16 the weights" +
          (plan.has_training() && options.pipeline.training.recompute == "none"
               ? ", --recompute auto keeps fewer activations:\n"
               : ":\n") +
          dit::plan::printMemoryTable(plan));
}

/// The plan's metadata, with what `provenance` then knows of its code. A plan
/// that needs more memory than the user allows is refused.
static llvm::Expected<dit::proto::Plan>
encodeAllowed(ModuleOp module, const dit::CompileOptions &options,
              Provenance &provenance, bool assembles) {
  if (llvm::Error error = provenance.resolve(module, options, assembles))
    return std::move(error);
  llvm::Expected<dit::proto::Plan> plan =
      dit::encodePlan(module, provenance.plan);
  if (!plan)
    return plan.takeError();
  if (llvm::Error error = checkMemory(*plan, options))
    return std::move(error);
  return plan;
}

llvm::Error dit::writePlan(ModuleOp module, const CompileOptions &options,
                           llvm::StringRef path) {
  Provenance provenance;
  llvm::Expected<proto::Plan> plan =
      encodeAllowed(module, options, provenance, /*assembles=*/true);
  if (!plan)
    return plan.takeError();
  auto write = [&](const auto &code) {
    return writePlanFile(
        path, module, *plan,
        llvm::ArrayRef(reinterpret_cast<const uint8_t *>(code.data()),
                       code.size()));
  };
  if (!options.gpus.empty())
    return write(joinImages(provenance.plan.images));
  llvm::Expected<llvm::SmallVector<char, 0>> code = codegen::emitObject(
      *module.getContext(), collectKernels(module), provenance.cpu);
  if (!code)
    return code.takeError();
  return write(*code);
}

llvm::Expected<std::string> dit::printKernels(ModuleOp module,
                                              const CompileOptions &options,
                                              llvm::StringRef form) {
  if (!options.gpus.empty()) {
    std::string text;
    for (const std::string &gpu : options.gpus) {
      auto ptx = printPtx(module, gpu, options.pipeline.report);
      if (!ptx)
        return ptx.takeError();
      text += *ptx;
    }
    return text;
  }
  llvm::Expected<codegen::CpuTarget> target =
      codegen::CpuTarget::resolve(options.cpu);
  if (!target)
    return target.takeError();
  MLIRContext &context = *module.getContext();
  if (form == "llvm")
    return codegen::emitLlvmText(context, collectKernels(module), *target);
  return codegen::emitAssembly(context, collectKernels(module), *target);
}

llvm::Expected<std::string> dit::describeCost(ModuleOp module,
                                              const CompileOptions &options) {
  Provenance provenance;
  llvm::Expected<proto::Plan> plan =
      encodeAllowed(module, options, provenance, /*assembles=*/false);
  if (!plan)
    return plan.takeError();
  std::string text = plan::printMemoryTable(*plan);
  llvm::raw_string_ostream stream(text);
  stream
      << "\nfunction                 launches   GEMMs  attentions     GFLOP   "
         "arena\n";
  for (const proto::Function &function : plan->functions()) {
    int launches = 0, gemms = 0, attentions = 0;
    for (const proto::Instruction &instruction : function.instructions()) {
      launches += instruction.has_launch();
      gemms += instruction.has_gemm();
      attentions += instruction.has_attention();
    }
    stream << llvm::formatv("{0,-24} {1,8}  {2,6}  {3,10}  {4,8:f3}   {5}\n",
                            function.name(), launches, gemms, attentions,
                            function.flops() * 1e-9,
                            plan::printBytes(function.arena_bytes()));
  }
  stream << "communication: none (one rank)\n";
  return text;
}
