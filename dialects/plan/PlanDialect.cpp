//===- PlanDialect.cpp - Registration, types and attributes of plan -------===//
#include "dialects/plan/PlanDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dit;
using namespace dit::plan;

#include "dialects/plan/PlanDialect.cpp.inc"
#include "dialects/plan/PlanInterfaces.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanAttrs.cpp.inc"

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/plan/PlanTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/plan/PlanAttrs.cpp.inc"
      >();
  registerOperations();
}

LogicalResult StorageAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                  bool mapped, int64_t offset, int64_t bytes,
                                  int64_t initial) {
  if (offset < 0 || offset % 64 != 0)
    return emitError() << "offset " << offset
                       << " must be a multiple of 64, not negative";
  if (bytes < 0)
    return emitError() << "bytes must not be negative";
  if (initial >= 0 && (mapped || initial % 64 != 0))
    return emitError() << "initial " << initial
                       << " must be a multiple of 64, of a global in memory";
  return success();
}

/// Numbers of bytes on the module, storage on globals.
LogicalResult PlanDialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attribute) {
  StringRef name = attribute.getName();
  if (name == globalsBytesAttrName || name == weightsBytesAttrName ||
      name == arenaBytesAttrName) {
    if (!isa<ModuleOp>(op) || !isa<IntegerAttr>(attribute.getValue()))
      return op->emitOpError("'") << name << "' must be an integer of a module";
    return success();
  }
  if (name != storageAttrName)
    return op->emitOpError("has unknown attribute '") << name << "'";
  auto global = dyn_cast<dit::GlobalOp>(op);
  auto storage = dyn_cast<StorageAttr>(attribute.getValue());
  if (!global || !storage)
    return op->emitOpError("'") << name
                                << "' must be #plan.storage of a "
                                   "dit.global";
  if (storage.getBytes() < getStoredBytes(global))
    return op->emitOpError("has ")
           << storage.getBytes() << " bytes of storage, but needs "
           << getStoredBytes(global);
  if (storage.getMapped() && global.getRole() != Role::Parameter &&
      global.getRole() != Role::Constant)
    return op->emitOpError("is written, so that it cannot be mapped");
  return success();
}

int64_t dit::plan::getElementBytes(Type element) {
  if (element.isInteger(1))
    return 1;
  if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() % 8 != 0)
    return 0;
  return element.getIntOrFloatBitWidth() / 8;
}

int64_t dit::plan::getTensorBytes(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return type.getNumElements() * getElementBytes(type.getElementType());
}

int64_t dit::plan::getStoredBytes(dit::GlobalOp global) {
  RankedTensorType type = global.getTensorType();
  std::optional<PackedAttr> packed = global.getPacked();
  if (!packed)
    return getTensorBytes(type);
  return llvm::alignTo(type.getDimSize(0), packed->getColumns()) *
         llvm::alignTo(type.getDimSize(1), packed->getVnni()) *
         getElementBytes(type.getElementType());
}
