//===- CpuCodegen.cpp - Kernels as x86-64 object code ---------------------===//
#include "compiler/codegen/cpu/CpuCodegen.h"

#include "compiler/codegen/KernelEmitter.h"
#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace mlir;
using namespace dit::codegen;

LogicalResult dit::codegen::emitKernels(ModuleOp module,
                                        ArrayRef<KernelSource> kernels,
                                        VectorTarget target) {
  for (const KernelSource &kernel : kernels)
    if (failed(KernelEmitter(module, kernel, target).emit()))
      return failure();
  return success();
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const CpuTarget &target) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *x86 = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!x86)
    return llvm::createStringError(error);
  std::string features;
  for (const std::string &feature : target.features)
    features += "+" + feature + ",";
  for (const std::string &feature : target.hidden)
    features += "-" + feature + ",";
  // Vectors are as wide as they were made, whatever the CPU's model prefers.
  features += "-prefer-256-bit";
  llvm::TargetOptions options;
  // A product and a sum may be one instruction; nothing else is reordered.
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast;
  std::unique_ptr<llvm::TargetMachine> machine(x86->createTargetMachine(
      triple, target.cpu, features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
  if (!machine)
    return llvm::createStringError("LLVM has no code generator for %s",
                                   target.cpu.c_str());
  return machine;
}

void dit::codegen::runPasses(llvm::Module &module, llvm::TargetMachine &machine,
                             llvm::FunctionPassManager passes) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      passes.run(function, functions);
}

/// Few passes, each with a visible effect on what the emitter makes: most of
/// the time goes to instruction selection as it is.
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(
      llvm::LICMPass(llvm::LICMOptions()), /*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::EarlyCSEPass());
  runPasses(module, machine, std::move(passes));
}

llvm::Error dit::codegen::collectErrors(MLIRContext &context,
                                        llvm::function_ref<bool()> work) {
  std::string message;
  bool isDone;
  {
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
        return failure();
      if (message.empty())
        message = diagnostic.str();
      return success();
    });
    isDone = work();
  }
  if (isDone)
    return llvm::Error::success();
  return llvm::createStringError("generating code: " + message);
}

static llvm::Expected<std::unique_ptr<llvm::Module>>
emitModule(llvm::LLVMContext &llvmContext, MLIRContext &context,
           ArrayRef<KernelSource> kernels, const CpuTarget &target,
           llvm::TargetMachine &machine) {
  context
      .loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                   math::MathDialect, scf::SCFDialect, vector::VectorDialect>();
  std::unique_ptr<llvm::Module> code;
  llvm::Error error = collectErrors(context, [&] {
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    if (failed(emitKernels(*module, kernels, target.getVectorTarget())))
      return false;
    code = translateToLlvm(*module, llvmContext);
    return code != nullptr;
  });
  if (error)
    return error;
  code->setTargetTriple(machine.getTargetTriple());
  code->setDataLayout(machine.createDataLayout());
  optimize(*code, machine);
  return code;
}

llvm::Expected<std::unique_ptr<llvm::Module>>
dit::codegen::emitLlvm(llvm::LLVMContext &llvmContext, MLIRContext &context,
                       ArrayRef<KernelSource> kernels,
                       const CpuTarget &target) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  return emitModule(llvmContext, context, kernels, target, **machine);
}

static llvm::Expected<llvm::SmallVector<char, 0>>
emitFile(MLIRContext &context, ArrayRef<KernelSource> kernels,
         const CpuTarget &target, llvm::CodeGenFileType type) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext llvmContext;
  auto code = emitModule(llvmContext, context, kernels, target, **machine);
  if (!code)
    return code.takeError();
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr, type))
    return llvm::createStringError("LLVM cannot write objects for %s",
                                   target.cpu.c_str());
  passes.run(**code);
  return bytes;
}

llvm::Expected<llvm::SmallVector<char, 0>>
dit::codegen::emitObject(MLIRContext &context, ArrayRef<KernelSource> kernels,
                         const CpuTarget &target) {
  return emitFile(context, kernels, target, llvm::CodeGenFileType::ObjectFile);
}

llvm::Expected<std::string>
dit::codegen::emitAssembly(MLIRContext &context, ArrayRef<KernelSource> kernels,
                           const CpuTarget &target) {
  auto text =
      emitFile(context, kernels, target, llvm::CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  return std::string(text->begin(), text->end());
}

llvm::Expected<std::string>
dit::codegen::emitLlvmText(MLIRContext &context, ArrayRef<KernelSource> kernels,
                           const CpuTarget &target) {
  llvm::LLVMContext llvmContext;
  auto code = emitLlvm(llvmContext, context, kernels, target);
  if (!code)
    return code.takeError();
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*code)->print(stream, nullptr);
  return text;
}
