//===- VerifyProgram.cpp - What holds after the program phase -------------===//
#include "passes/program/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYPROGRAM
#include "passes/program/Passes.h.inc"
} // namespace dit

using namespace dit;

/// A step function reads and writes globals; each at most once, and only what
/// the program owns.
static LogicalResult verifyStep(func::FuncOp function,
                                const SymbolTable &symbols) {
  if (!function->getAttrOfType<StringAttr>("dit.step"))
    return function.emitOpError("is no step function: it has no 'dit.step'");
  if (function.getNumArguments() || function.getNumResults())
    return function.emitOpError(
        "is a step function, which has neither arguments nor results");
  llvm::DenseSet<StringAttr> written;
  for (auto write : function.getOps<WriteOp>()) {
    auto global = symbols.lookup<GlobalOp>(write.getGlobal());
    if (global.getRole() != Role::State && global.getRole() != Role::Output)
      return write.emitOpError("writes @")
             << write.getGlobal() << ", which is neither state nor output";
    if (!written.insert(write.getGlobalAttr().getAttr()).second)
      return write.emitOpError("writes @") << write.getGlobal() << " again";
  }
  return success();
}

static LogicalResult verifyInterface(ModuleOp module, StringRef attribute,
                                     Role role, const SymbolTable &symbols) {
  auto entries = module->getAttrOfType<ArrayAttr>(attribute);
  if (!entries)
    return module.emitOpError("runs a model, but has no '") << attribute << "'";
  for (Attribute entry : entries) {
    auto fields = dyn_cast<DictionaryAttr>(entry);
    auto name = fields ? fields.getAs<StringAttr>("global") : StringAttr();
    auto global = name ? symbols.lookup<GlobalOp>(name.getValue()) : GlobalOp();
    if (!global || global.getRole() != role)
      return module.emitOpError("'")
             << attribute << "' names no " << stringifyRole(role)
             << " global: " << entry;
  }
  return success();
}

static LogicalResult complainOfSampler(GlobalOp global, StringRef name,
                                       Role role, ArrayRef<int64_t> shape) {
  InFlightDiagnostic diagnostic = global.emitOpError("is the sampler's ")
                                  << name << " and must be "
                                  << stringifyRole(role) << " of shape [";
  llvm::interleaveComma(shape, diagnostic);
  return diagnostic << "]";
}

/// The globals of plan.proto's `Sampling`, with their roles and types.
static LogicalResult verifySampling(ModuleOp module,
                                    const SymbolTable &symbols) {
  auto sampling = module->getAttrOfType<DictionaryAttr>("dit.sampling");
  if (!sampling)
    return module.emitOpError("samples, but has no 'dit.sampling'");
  auto number = [&](StringRef name) {
    auto value = sampling.getAs<IntegerAttr>(name);
    return value ? value.getInt() : -1;
  };
  MLIRContext *context = module.getContext();
  Type f32 = Float32Type::get(context), i64 = IntegerType::get(context, 64);
  int64_t batch = number("batch"), channels = number("channels"),
          rows = number("max_steps");
  SmallVector<int64_t> picture{batch, channels, number("height"),
                               number("width")};
  struct Field {
    StringRef name;
    Role role;
    SmallVector<int64_t> shape;
    Type element; ///< null: any
  };
  const Field fields[] = {{"latent", Role::State, picture, f32},
                          {"labels", Role::Input, {batch}, i64},
                          {"pictures", Role::Input, {batch}, i64},
                          {"seed", Role::Input, {1}, i64},
                          {"step", Role::State, {1}, i64},
                          {"timesteps", Role::Table, {rows}, Type()},
                          {"coefficients", Role::Table, {rows, 8}, f32},
                          {"guidance", Role::Input, {channels}, f32},
                          {"noise", Role::Input, picture, f32},
                          {"use_noise", Role::Input, {1}, i64}};
  for (const Field &field : fields) {
    auto name = sampling.getAs<StringAttr>(field.name);
    auto global = name ? symbols.lookup<GlobalOp>(name.getValue()) : GlobalOp();
    if (!global)
      return module.emitOpError("'dit.sampling' names no global as ")
             << field.name;
    RankedTensorType type = global.getTensorType();
    if (global.getRole() != field.role ||
        type.getShape() != ArrayRef(field.shape) ||
        (field.element && type.getElementType() != field.element))
      return complainOfSampler(global, field.name, field.role, field.shape);
  }
  return success();
}

namespace {
struct VerifyProgram : dit::impl::VerifyProgramBase<VerifyProgram> {
  void runOnOperation() override {
    if (failed(verify(getOperation())))
      signalPassFailure();
    markAllAnalysesPreserved();
  }

  static LogicalResult verify(ModuleOp module) {
    SymbolTable symbols(module);
    auto mode = module->getAttrOfType<StringAttr>("dit.mode");
    if (!mode)
      return module.emitOpError("has no 'dit.mode'");
    for (auto function : module.getOps<func::FuncOp>())
      if (failed(verifyStep(function, symbols)))
        return failure();
    if (mode == "sample")
      return verifySampling(module, symbols);
    if (failed(verifyInterface(module, "dit.inputs", Role::Input, symbols)))
      return failure();
    return verifyInterface(module, "dit.outputs", Role::Output, symbols);
  }
};
} // namespace
