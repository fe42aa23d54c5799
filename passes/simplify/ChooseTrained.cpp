//===- ChooseTrained.cpp - Which parameters training changes --------------===//
//
// See ChooseTrained in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "passes/simplify/SinCosTable.h"
#include "llvm/Support/Regex.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_CHOOSETRAINED
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

/// What rounding to the file's type leaves of a table's digits, and what
/// exporters lose that compute it in fp32.
static double toleranceOf(Type element) {
  return element.isF32() || element.isF64() ? 1e-4 : 1e-2;
}

/// True where the file's values of `global` are a table of positions, or its
/// recipe is one.
static bool isPositionTable(GlobalOp global) {
  if (global.getPieces().size() != 1)
    return false;
  auto piece = cast<PieceAttr>(global.getPieces()[0]);
  if (auto init = dyn_cast<InitAttr>(piece.getSource()))
    return init.getKind() == InitKind::Sincos2D;
  RankedTensorType file = piece.getFile();
  bool isTable =
      file.getRank() == 2 || (file.getRank() == 3 && file.getDimSize(0) == 1);
  auto element = dyn_cast<FloatType>(file.getElementType());
  if (!isTable || !element)
    return false;
  ArrayRef<char> bytes;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(piece.getSource())) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      bytes = blob->getData();
  } else if (auto dense = dyn_cast<DenseElementsAttr>(piece.getSource());
             dense && !dense.isSplat()) {
    bytes = dense.getRawData();
  }
  size_t size = element.getWidth() / 8;
  if (bytes.size() != size * file.getNumElements())
    return false;
  // Values beyond 1 are no sines: most weights end here, at once.
  SmallVector<float> values;
  values.reserve(file.getNumElements());
  for (size_t at = 0; at != bytes.size(); at += size) {
    uint64_t bits = 0;
    std::memcpy(&bits, bytes.data() + at, size);
    llvm::APFloat number(element.getFloatSemantics(),
                         llvm::APInt(element.getWidth(), bits));
    bool lost = false;
    number.convert(llvm::APFloat::IEEEsingle(),
                   llvm::APFloat::rmNearestTiesToEven, &lost);
    values.push_back(number.convertToFloat());
    if (!(std::abs(values.back()) <= 1.01f))
      return false;
    // The first token is at position 0: zeros and ones.
    auto count = static_cast<int64_t>(values.size());
    if (count <= file.getShape().back() &&
        std::min(std::abs(values.back()), std::abs(values.back() - 1)) > 0.01f)
      return false;
  }
  int64_t width = file.getShape().back();
  return isSinCosTable(values, file.getNumElements() / width, width,
                       toleranceOf(element));
}

namespace {
/// A regular expression of the user's; an empty one says nothing.
struct Pattern {
  StringRef flag;
  std::string text;
  bool found = false;

  bool isGiven() const { return !text.empty(); }
  bool matches(GlobalOp global) {
    llvm::Regex regex(text);
    bool any = llvm::any_of(
        global.getPieces().getAsRange<PieceAttr>(),
        [&](PieceAttr piece) { return regex.match(piece.getName()); });
    found |= any;
    return any;
  }
};

struct ChooseTrained : dit::impl::ChooseTrainedBase<ChooseTrained> {
  using ChooseTrainedBase::ChooseTrainedBase;

  void runOnOperation() override {
    Pattern wanted{"trainable", trainable}, frozen{"freeze", freeze};
    for (auto global : getOperation().getOps<GlobalOp>())
      if (global.getRole() == Role::Parameter)
        choose(global, wanted, frozen);
    for (const Pattern &pattern : {wanted, frozen})
      if (pattern.isGiven() && !pattern.found) {
        getOperation().emitOpError("has no parameter whose name matches the ")
            << pattern.flag << " pattern '" << pattern.text << "'";
        return signalPassFailure();
      }
  }

  void choose(GlobalOp global, Pattern &wanted, Pattern &frozen) {
    bool isWanted = wanted.isGiven() && wanted.matches(global);
    bool isFrozen = frozen.isGiven() && frozen.matches(global);
    if (isFrozen)
      stop(global, "its name matches the freeze pattern");
    else if (isWanted)
      global.setTrainable(true);
    else if (wanted.isGiven())
      stop(global, "its name does not match the trainable pattern");
    else if (global.getTrainable() && isPositionTable(global))
      stop(global, "it holds the sines and cosines of positions");
  }

  void stop(GlobalOp global, const Twine &why) {
    if (global.getTrainable() && report)
      global.emitRemark("not trained: ") << why;
    global.setTrainable(false);
  }
};
} // namespace
