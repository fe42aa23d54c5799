//===- ShareEqual.cpp - One global for equal weights ----------------------===//
//
// See ShareEqual in Passes.td. Globals are compared in three steps, each within
// the groups that the one before left: type and layout, the first bytes, all
// bytes. The weights lie in a mapped file: what differs early is never read.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/DitDialect.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_SHAREEQUAL
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

/// The bytes of a piece's values; nothing where they are not known (a recipe,
/// a weight file to come).
static std::optional<ArrayRef<char>> getBytes(Attribute source) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(source)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? std::optional(blob->getData()) : std::nullopt;
  }
  if (auto dense = dyn_cast<DenseElementsAttr>(source))
    return dense.getRawData();
  return std::nullopt;
}

/// Type and layout of a global: equal where the globals may be.
static size_t hashLayout(GlobalOp global) {
  llvm::hash_code hash =
      llvm::hash_combine(global.getType(), global.getTrainable());
  for (auto piece : global.getPieces().getAsRange<PieceAttr>())
    hash = llvm::hash_combine(hash, piece.getFile(), piece.getView(),
                              piece.getPermutation(), piece.getTarget(),
                              piece.getOffset());
  return hash;
}

/// Hash of the first `most` bytes of every piece.
static uint64_t hashStart(GlobalOp global, size_t most) {
  uint64_t hash = 0;
  for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
    auto bytes = getBytes(piece.getSource());
    if (!bytes)
      continue;
    hash = llvm::hash_combine(
        hash, llvm::xxh3_64bits(ArrayRef<uint8_t>(
                  reinterpret_cast<const uint8_t *>(bytes->data()),
                  std::min(most, bytes->size()))));
  }
  return hash;
}

static bool isEqual(GlobalOp a, GlobalOp b) {
  if (a.getType() != b.getType() || a.getTrainable() != b.getTrainable() ||
      a.getPieces().size() != b.getPieces().size() || a.getPieces().empty())
    return false;
  for (auto [left, right] : llvm::zip(a.getPieces().getAsRange<PieceAttr>(),
                                      b.getPieces().getAsRange<PieceAttr>())) {
    if (left.getFile() != right.getFile() ||
        left.getView() != right.getView() ||
        left.getPermutation() != right.getPermutation() ||
        left.getTarget() != right.getTarget() ||
        left.getOffset() != right.getOffset())
      return false;
    if (left.getSource() == right.getSource() &&
        isa<ElementsAttr>(left.getSource()))
      continue;
    auto leftBytes = getBytes(left.getSource()),
         rightBytes = getBytes(right.getSource());
    // A splat holds one element's bytes.
    if (!leftBytes || !rightBytes || *leftBytes != *rightBytes)
      return false;
  }
  return true;
}

namespace {

struct ShareEqual : dit::impl::ShareEqualBase<ShareEqual> {
  using ShareEqualBase::ShareEqualBase;
  void runOnOperation() override {
    if (training)
      return;
    ModuleOp module = getOperation();
    llvm::MapVector<size_t, SmallVector<GlobalOp>> groups;
    for (auto global : module.getOps<GlobalOp>())
      if (global.getRole() == Role::Parameter ||
          global.getRole() == Role::Constant)
        groups[hashLayout(global)].push_back(global);

    constexpr size_t firstBytes = 4096;
    llvm::StringMap<GlobalOp> shared;
    for (auto &[layout, group] : groups) {
      if (group.size() < 2)
        continue;
      llvm::MapVector<uint64_t, SmallVector<GlobalOp>> alike;
      for (GlobalOp global : group)
        alike[hashStart(global, firstBytes)].push_back(global);
      for (auto &[start, candidates] : alike)
        shareAmong(candidates, shared);
    }
    if (shared.empty())
      return;
    module.walk([&](ReadOp read) {
      auto found = shared.find(read.getGlobal());
      if (found != shared.end())
        read.setGlobalAttr(
            FlatSymbolRefAttr::get(found->second.getSymNameAttr()));
    });
    for (auto &entry : shared)
      SymbolTable::lookupSymbolIn(module, entry.first())->erase();
  }

  /// Finds what equals an earlier candidate.
  void shareAmong(ArrayRef<GlobalOp> candidates,
                  llvm::StringMap<GlobalOp> &shared) {
    SmallVector<GlobalOp> distinct;
    for (GlobalOp global : candidates) {
      auto *equal = llvm::find_if(
          distinct, [&](GlobalOp other) { return isEqual(other, global); });
      if (equal == distinct.end()) {
        distinct.push_back(global);
        continue;
      }
      if (report)
        global.emitRemark("shared: equals @") << equal->getSymName();
      shared[global.getSymName()] = *equal;
    }
  }
};

} // namespace
