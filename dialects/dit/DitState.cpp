//===- DitState.cpp - Globals, reads and writes ---------------------------===//
#include "dialects/dit/DitDialect.h"

using namespace mlir;
using namespace dit;

void GlobalOp::build(OpBuilder &builder, OperationState &state, StringRef name,
                     Role role, RankedTensorType type,
                     ArrayRef<Attribute> pieces) {
  build(builder, state, builder.getStringAttr(name),
        RoleAttr::get(builder.getContext(), role), TypeAttr::get(type),
        builder.getArrayAttr(pieces), /*trainable=*/UnitAttr(),
        /*packed=*/PackedAttr(), /*flat=*/FlatSymbolRefAttr(),
        /*at=*/IntegerAttr());
}

void GlobalOp::placeWithin(GlobalOp flat, int64_t element) {
  setFlatAttr(FlatSymbolRefAttr::get(flat.getSymNameAttr()));
  setAt(element);
}

LogicalResult GlobalOp::verify() {
  int64_t placed = 0;
  for (auto piece : getPieces().getAsRange<PieceAttr>()) {
    int64_t target = 1;
    for (int64_t size : piece.getTarget().asArrayRef())
      target *= size;
    if (target != getTensorType().getNumElements())
      return emitOpError("piece '")
             << piece.getName() << "' sees the global as " << target
             << " elements, but it has " << getTensorType().getNumElements();
    placed += piece.getFile().getNumElements();
    if (auto elements = dyn_cast<ElementsAttr>(piece.getSource());
        elements && elements.getShapedType() != piece.getFile())
      return emitOpError("piece '")
             << piece.getName() << "' is " << piece.getFile()
             << ", but its values are " << elements.getShapedType();
  }
  if (!getPieces().empty() && placed != getTensorType().getNumElements())
    return emitOpError("pieces give ")
           << placed << " of " << getTensorType().getNumElements()
           << " elements";
  if (getTrainable() && getRole() != Role::Parameter)
    return emitOpError("only a parameter can be trainable");
  if (getFlat().has_value() != getAt().has_value())
    return emitOpError("is within a flat global and at an element of it, or "
                       "neither");
  if (getFlat() && getPacked())
    return emitOpError("cannot be packed within a flat global");
  return success();
}

LogicalResult GlobalOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!getFlat())
    return success();
  auto flat = symbols.lookupNearestSymbolFrom<GlobalOp>(*this, getFlatAttr());
  if (!flat)
    return emitOpError("no dit.global is named ") << getFlatAttr();
  RankedTensorType own = getTensorType(), whole = flat.getTensorType();
  int64_t at = *getAt();
  bool fits = at >= 0 && at <= whole.getNumElements() &&
              own.getNumElements() <= whole.getNumElements() - at;
  if (whole.getRank() == 1 && whole.getElementType() == own.getElementType() &&
      !flat.getFlat() && flat.getPieces().empty() && fits &&
      at % memberAlignment == 0)
    return success();
  InFlightDiagnostic diagnostic =
      emitOpError("of type ")
      << getType() << " cannot be at " << at << " of " << getFlatAttr()
      << ": a flat global has rank 1, room for the member, its element type "
         "and no pieces, and members are at multiples of "
      << memberAlignment;
  diagnostic.attachNote(flat.getLoc())
      << "the flat global is " << flat.getType();
  return diagnostic;
}

/// Finds the global that `op` names and checks the type it is used with.
static LogicalResult verifyAccess(Operation *op, FlatSymbolRefAttr name,
                                  Type type, SymbolTableCollection &symbols) {
  auto global = symbols.lookupNearestSymbolFrom<GlobalOp>(op, name);
  if (!global)
    return op->emitOpError("no dit.global is named ") << name;
  if (global.getType() == type)
    return success();
  InFlightDiagnostic diagnostic = op->emitOpError("has type ")
                                  << type << ", but " << name << " is "
                                  << global.getType();
  diagnostic.attachNote(global.getLoc()) << "declared here";
  return diagnostic;
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyAccess(*this, getGlobalAttr(), getType(), symbols);
}

LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyAccess(*this, getGlobalAttr(), getValue().getType(), symbols);
}

void WriteOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), getGlobalAttr(),
                       SideEffects::DefaultResource::get());
}
