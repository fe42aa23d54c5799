//===- Weights.cpp - From initializers to values in IR --------------------===//

#include "frontends/onnx/Weights.h"
#include "frontends/onnx/NodeBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/Endian.h"

using namespace mlir;

namespace dit::onnx {

/// Numbers that are not any, of fp64, fp32, fp16 and bf16.
static bool hasNan(const Tensor &tensor) {
  auto scan = [&](auto magnitude, auto infinity) {
    using Word = decltype(magnitude);
    bool found = false;
    for (size_t i = 0; i < tensor.data.size(); i += sizeof(Word))
      found |= (llvm::support::endian::read<Word, llvm::endianness::little>(
                    tensor.data.data() + i) &
                magnitude) > infinity;
    return found;
  };
  switch (tensor.type) {
  case ElementType::Float:
    return scan(uint32_t(0x7fffffff), uint32_t(0x7f800000));
  case ElementType::Double:
    return scan(uint64_t(0x7fffffffffffffff), uint64_t(0x7ff0000000000000));
  case ElementType::Float16:
    return scan(uint16_t(0x7fff), uint16_t(0x7c00));
  case ElementType::BFloat16:
    return scan(uint16_t(0x7fff), uint16_t(0x7f80));
  default:
    return false;
  }
}

/// The bytes behind an elements attribute, to tell one weight from another.
static const char *addressOf(Attribute source) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(source);
  const AsmResourceBlob *blob =
      resource ? resource.getRawHandle().getBlob() : nullptr;
  return blob ? blob->getData().data() : nullptr;
}

/// True if the global holds exactly these values, from an import before.
static bool holds(GlobalOp global, RankedTensorType type, ElementsAttr source,
                  StringRef name) {
  if (!global || global.getTensorType() != type ||
      global.getPieces().size() != 1)
    return false;
  auto piece = cast<PieceAttr>(global.getPieces()[0]);
  const char *address = addressOf(source);
  return piece.getName() == name &&
         (piece.getSource() == source ||
          (address && addressOf(piece.getSource()) == address));
}

GlobalOp Weights::getGlobal(Location loc, StringRef name, Role role,
                            RankedTensorType type, ElementsAttr source,
                            StringRef pieceName) {
  std::string unique = name.str();
  for (unsigned count = 2; Operation *known = symbols.lookup(unique); ++count) {
    if (auto global = dyn_cast<GlobalOp>(known);
        holds(global, type, source, pieceName))
      return global;
    unique = (name + "_" + Twine(count)).str();
  }
  auto builder = OpBuilder::atBlockEnd(module.getBody());
  auto global =
      GlobalOp::create(builder, loc, unique, role, type,
                       {PieceAttr::getIdentity(pieceName, type, source)});
  // Before the functions, in the order of the file's uses.
  for (Operation &op : *module.getBody())
    if (isa<func::FuncOp>(op)) {
      global->moveBefore(&op);
      break;
    }
  symbols.insert(global, global->getIterator());
  return global;
}

ElementsAttr Weights::getSource(RankedTensorType type, const Tensor &tensor) {
  std::shared_ptr<const void> owner = tensor.owner;
  AsmResourceBlob blob(
      ArrayRef<char>(tensor.data.data(), tensor.data.size()),
      /*dataAlignment=*/1, [owner](void *, size_t, size_t) {},
      /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(
      type, tensor.name.empty() ? "constant" : tensor.name, std::move(blob));
}

Value Weights::readGlobal(OpBuilder &builder, Location loc, GlobalOp global) {
  Value &value = reads[global];
  if (!value)
    value = createRead(builder, loc, global);
  return value;
}

Value Weights::read(OpBuilder &builder, Location loc, const Tensor &tensor,
                    const Node &user, unsigned operand) {
  Type element = convertType(builder.getContext(), tensor.type);
  if (!element)
    return {};
  ParameterNames::Identity identity =
      names.identify(tensor, user, operand, literally);
  if (!identity.isParameter || tensor.size() == 0)
    return constant(builder, loc, tensor);
  if (GlobalOp known = parameters.lookup(&tensor))
    return readGlobal(builder, loc, known);
  if (auto [entry, added] = checked.try_emplace(tensor.data.data(), true);
      added && hasNan(tensor))
    warn("the weight " + quote(identity.name) + " contains NaN");
  auto type = RankedTensorType::get(tensor.dims, element);
  auto nameLoc = NameLoc::get(builder.getStringAttr(tensor.name));
  GlobalOp global = getGlobal(nameLoc, identity.name, Role::Parameter, type,
                              getSource(type, tensor), identity.name);
  global.setTrainable(identity.isTrainable);
  if (identity.isTransposed)
    global->setDiscardableAttr("dit.transposed", builder.getUnitAttr());
  if (literally)
    parameters[&tensor] = global;
  return readGlobal(builder, loc, global);
}

Value Weights::constant(OpBuilder &builder, Location loc,
                        const Tensor &tensor) {
  Value &known = constants[&tensor];
  if (known)
    return known;
  Type element = convertType(builder.getContext(), tensor.type);
  if (!element)
    return {};
  Location named = tensor.name.empty()
                       ? loc
                       : NameLoc::get(builder.getStringAttr(tensor.name));
  if (tensor.size() <= mostFolded)
    return known = arith::ConstantOp::create(
               builder, named, getElements(builder.getContext(), tensor));
  auto type = RankedTensorType::get(tensor.dims, element);
  std::string name = cast<NameLoc>(named).getName().str();
  GlobalOp global =
      getGlobal(named, name, Role::Constant, type, getSource(type, tensor), "");
  return known = readGlobal(builder, loc, global);
}

void Weights::finish(func::FuncOp function) {
  for (auto op :
       llvm::make_early_inc_range(function.getOps<arith::ConstantOp>())) {
    auto value = dyn_cast<DenseElementsAttr>(op.getValue());
    if (!value || value.isSplat())
      continue;
    std::string name = cast<NameLoc>(op.getLoc()).getName().str();
    auto type = cast<RankedTensorType>(value.getType());
    GlobalOp global =
        getGlobal(op.getLoc(), name, Role::Constant, type, value, "");
    OpBuilder builder(op);
    op.replaceAllUsesWith(createRead(builder, op.getLoc(), global));
    op.erase();
  }
}

} // namespace dit::onnx
