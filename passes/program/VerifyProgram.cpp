//===- VerifyProgram.cpp - What holds after the program phase -------------===//
#include "passes/program/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/program/Loss.h"
#include "passes/program/UpdateStep.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_VERIFYPROGRAM
#include "passes/program/Passes.h.inc"
} // namespace dit

using namespace dit;

/// What a function uses of one flat global does not overlap: the whole, or
/// members.
static LogicalResult verifyFlats(func::FuncOp function,
                                 const SymbolTable &symbols) {
  struct Use {
    GlobalOp global;
    Operation *op; // the first one
    int64_t begin;
    bool isMember;
  };
  llvm::StringMap<SmallVector<Use>> uses; // by name of the flat
  llvm::StringSet<> seen;
  for (Operation &op : function.getBody().front()) {
    auto name = op.getAttrOfType<FlatSymbolRefAttr>("global");
    if (!isa<ReadOp, WriteOp>(op) || !name ||
        !seen.insert(name.getValue()).second)
      continue;
    auto global = symbols.lookup<GlobalOp>(name.getValue());
    StringRef flat = global.getFlat().value_or(name.getValue());
    uses[flat].push_back({global, &op,
                          static_cast<int64_t>(global.getAt().value_or(0)),
                          global.getFlat().has_value()});
  }
  for (auto &[flat, inside] : uses) {
    llvm::sort(inside, [](const Use &a, const Use &b) {
      return std::pair(a.begin, a.isMember) < std::pair(b.begin, b.isMember);
    });
    for (auto [before, after] : llvm::zip(inside, llvm::drop_begin(inside))) {
      GlobalOp first = before.global, second = after.global;
      if (before.begin + first.getTensorType().getNumElements() <= after.begin)
        continue;
      InFlightDiagnostic diagnostic =
          after.op->emitOpError("uses @")
          << second.getSymName() << ", which overlaps @" << first.getSymName()
          << " within @" << flat;
      diagnostic.attachNote(before.op->getLoc())
          << "which the same function uses here: " << *before.op;
      return diagnostic;
    }
  }
  return success();
}

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
  return verifyFlats(function, symbols);
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

namespace {
/// A global that a contract of plan.proto names.
struct Field {
  StringRef name;
  Role role;
  SmallVector<int64_t> shape;
  Type element; ///< null: any
};

/// The globals that a message of plan.proto names, a dictionary of the module.
class Contract {
public:
  Contract(ModuleOp module, StringRef attribute, StringRef whose)
      : module(module), attribute(attribute), whose(whose),
        fields(module->getAttrOfType<DictionaryAttr>(attribute)) {}

  bool isThere() const { return fields != nullptr; }
  int64_t number(StringRef name) const {
    auto value = fields.getAs<IntegerAttr>(name);
    return value ? value.getInt() : -1;
  }
  bool names(StringRef name) const {
    auto value = fields.getAs<StringAttr>(name);
    return value && !value.empty();
  }
  /// Elements of the global that a field names; -1 where there is none.
  int64_t elements(StringRef name, const SymbolTable &symbols) const {
    auto value = fields.getAs<StringAttr>(name);
    auto global = value ? symbols.lookup<GlobalOp>(value) : GlobalOp();
    return global ? global.getTensorType().getNumElements() : -1;
  }
  LogicalResult verify(const Field &field, const SymbolTable &symbols) const;

private:
  ModuleOp module;
  StringRef attribute, whose;
  DictionaryAttr fields;
};
} // namespace

LogicalResult Contract::verify(const Field &field,
                               const SymbolTable &symbols) const {
  auto name = fields.getAs<StringAttr>(field.name);
  auto global = name ? symbols.lookup<GlobalOp>(name.getValue()) : GlobalOp();
  if (!global)
    return ModuleOp(module).emitOpError("'")
           << attribute << "' names no global as " << field.name;
  RankedTensorType type = global.getTensorType();
  if (global.getRole() == field.role &&
      type.getShape() == ArrayRef(field.shape) &&
      (!field.element || type.getElementType() == field.element))
    return success();
  InFlightDiagnostic diagnostic = global.emitOpError("is the ")
                                  << whose << "'s " << field.name
                                  << " and must be "
                                  << stringifyRole(field.role) << " of shape [";
  llvm::interleaveComma(field.shape, diagnostic);
  diagnostic << "]";
  return diagnostic;
}

/// The globals of plan.proto's `Sampling`, with their roles and types.
static LogicalResult verifySampling(ModuleOp module,
                                    const SymbolTable &symbols) {
  Contract contract(module, "dit.sampling", "sampler");
  if (!contract.isThere())
    return module.emitOpError("samples, but has no 'dit.sampling'");
  MLIRContext *context = module.getContext();
  Type f32 = Float32Type::get(context), i64 = IntegerType::get(context, 64);
  int64_t batch = contract.number("batch"),
          channels = contract.number("channels"),
          rows = contract.number("max_steps");
  SmallVector<int64_t> picture{batch, channels, contract.number("height"),
                               contract.number("width")};
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
  for (const Field &field : fields)
    if (failed(contract.verify(field, symbols)))
      return failure();
  return success();
}

/// The globals of plan.proto's `Training`, with their roles and types.
static LogicalResult verifyTraining(ModuleOp module,
                                    const SymbolTable &symbols) {
  Contract contract(module, "dit.training", "trainer");
  if (!contract.isThere())
    return module.emitOpError("trains, but has no 'dit.training'");
  MLIRContext *context = module.getContext();
  Type f32 = Float32Type::get(context), i64 = IntegerType::get(context, 64);
  int64_t batch = contract.number("batch");
  SmallVector<int64_t> picture{batch, contract.number("channels"),
                               contract.number("height"),
                               contract.number("width")};
  // A flow has continuous times and no table.
  bool hasTable = contract.names("diffusion");
  Type time = hasTable ? i64 : f32;
  SmallVector<Field> fields = {{"pictures", Role::Input, picture, f32},
                               {"labels", Role::Input, {batch}, i64},
                               {"samples", Role::Input, {batch}, i64},
                               {"seed", Role::Input, {1}, i64},
                               {"step", Role::Input, {1}, i64},
                               {"noise", Role::Input, picture, f32},
                               {"given_t", Role::Input, {batch}, time},
                               {"use_given", Role::Input, {1}, i64},
                               {"drop", Role::Input, {1}, f32},
                               {"mse", Role::Output, {batch}, f32},
                               {"t", Role::Output, {batch}, time},
                               {"hyper", Role::Input, {hyperCount}, f32},
                               {"loss_scale", Role::State, {1}, f32},
                               {"good_steps", Role::State, {1}, i64},
                               {"applied", Role::State, {1}, i64},
                               {"skipped", Role::State, {1}, i64},
                               {"gradient_norm", Role::Output, {1}, f32}};
  if (hasTable)
    fields.push_back({"diffusion",
                      Role::Table,
                      {contract.number("timesteps"), diffusionColumns},
                      f32});
  if (contract.names("vb"))
    fields.push_back({"vb", Role::Output, {batch}, f32});
  int64_t elements = contract.elements("masters", symbols);
  for (StringRef name : {"masters", "gradients", "moment1", "moment2", "ema"})
    fields.push_back({name, Role::State, {elements}, f32});
  if (contract.names("weights"))
    fields.push_back({"weights", Role::State, {elements}, Type()});
  for (const Field &field : fields)
    if (failed(contract.verify(field, symbols)))
      return failure();
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
    if (mode == "train")
      return verifyTraining(module, symbols);
    if (failed(verifyInterface(module, "dit.inputs", Role::Input, symbols)))
      return failure();
    return verifyInterface(module, "dit.outputs", Role::Output, symbols);
  }
};
} // namespace
