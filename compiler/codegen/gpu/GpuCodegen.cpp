//===- GpuCodegen.cpp - Kernels as PTX ------------------------------------===//
#include "compiler/codegen/gpu/GpuCodegen.h"

#include "compiler/codegen/cpu/CpuCodegen.h"
#include "compiler/codegen/gpu/GpuEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Operator.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace mlir;
using namespace dit::codegen;

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const GpuTarget &target) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *nvptx = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!nvptx)
    return llvm::createStringError(error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(nvptx->createTargetMachine(
      triple, target.arch, /*Features=*/"", options, std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return llvm::createStringError("LLVM has no code generator for " +
                                   target.arch);
  return machine;
}

/// The code is straight already: equal numbers once, 64-bit quotients narrowed.
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  runPasses(module, machine, std::move(passes));

  // A product and a sum may be one instruction, but not where each is rounded
  // to f16, which instcombine makes an operation on f16.
  for (llvm::Function &function : module)
    for (llvm::Instruction &op : llvm::instructions(function))
      if (isa<llvm::FPMathOperator>(op) &&
          !op.getType()->getScalarType()->isHalfTy())
        op.setHasAllowContract(true);
}

static int64_t byteSize(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() *
         std::max(1u, tensor.getElementTypeBitWidth() / 8);
}

/// Makes a function the entry of a launch. A result may take the place of an
/// input of its size, so only inputs of other sizes are known to stay as they
/// are while the kernel runs.
static void markEntry(llvm::Function &function, const KernelSource &source,
                      const GpuKernel &launch) {
  function.setCallingConv(llvm::CallingConv::PTX_Kernel);
  function.addFnAttr("nvvm.reqntid", std::to_string(launch.threads));
  Block &body = source.body->front();
  SmallVector<int64_t> inputs, results;
  for (Type type : body.getArgumentTypes())
    inputs.push_back(byteSize(type));
  for (Type type : body.getTerminator()->getOperandTypes())
    results.push_back(byteSize(type));
  for (llvm::Argument &argument : function.args()) {
    size_t position = argument.getArgNo();
    argument.addAttr(llvm::Attribute::getWithAlignment(function.getContext(),
                                                       llvm::Align(16)));
    bool isInput = position < inputs.size();
    bool isShared =
        isInput ? llvm::is_contained(results, inputs[position])
                : llvm::is_contained(inputs, results[position - inputs.size()]);
    if (isShared)
      continue;
    argument.addAttr(llvm::Attribute::NoAlias);
    if (isInput)
      argument.addAttr(llvm::Attribute::ReadOnly);
  }
}

static std::unique_ptr<llvm::Module>
emitModule(llvm::LLVMContext &llvmContext, MLIRContext &context,
           ArrayRef<KernelSource> kernels, const GpuTarget &target,
           std::vector<GpuKernel> &launches) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  for (const KernelSource &kernel : kernels) {
    GpuEmitter emitter(*module, kernel, target.canOverlap());
    if (failed(emitter.emit()))
      return nullptr;
    launches.push_back(emitter.getLaunch());
  }
  std::unique_ptr<llvm::Module> code = translateToLlvm(*module, llvmContext);
  if (code)
    for (auto [kernel, launch] : llvm::zip_equal(kernels, launches))
      markEntry(*code->getFunction(kernel.symbol), kernel, launch);
  return code;
}

llvm::Expected<GpuCode> dit::codegen::emitPtx(MLIRContext &context,
                                              ArrayRef<KernelSource> kernels,
                                              const GpuTarget &target) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  context
      .loadDialect<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                   math::MathDialect, scf::SCFDialect, vector::VectorDialect>();
  llvm::LLVMContext llvmContext;
  GpuCode code;
  std::unique_ptr<llvm::Module> module;
  if (llvm::Error error = collectErrors(context, [&] {
        module =
            emitModule(llvmContext, context, kernels, target, code.kernels);
        return module != nullptr;
      }))
    return error;
  module->setTargetTriple((*machine)->getTargetTriple());
  module->setDataLayout((*machine)->createDataLayout());
  optimize(*module, **machine);

  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr,
                                      llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM cannot write PTX for " + target.arch);
  passes.run(*module);
  code.ptx.assign(bytes.begin(), bytes.end());
  return code;
}

std::string dit::codegen::printLaunch(const GpuKernel &launch,
                                      const KernelSource &source) {
  std::string line;
  llvm::raw_string_ostream out(line);
  out << "// " << launch.symbol << ": " << launch.blocks << " blocks of "
      << launch.threads << " threads, " << launch.sharedBytes << " bytes:";
  Block &body = source.body->front();
  for (Type type : body.getArgumentTypes())
    out << " " << byteSize(type);
  out << " ->";
  for (Type type : body.getTerminator()->getOperandTypes())
    out << " " << byteSize(type);
  out << "\n";
  return line;
}
