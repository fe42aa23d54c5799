//===- AbsorbLayouts.cpp - Reshapes and transposes go into the globals ----===//
//
// See AbsorbLayouts in Passes.td.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/simplify/GlobalLayout.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_ABSORBLAYOUTS
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {

using Reads = llvm::MapVector<GlobalOp, SmallVector<ReadOp>>;

class Absorber {
public:
  Absorber(ModuleOp module, bool training, bool report)
      : module(module), symbols(module), training(training), report(report) {}

  /// Takes one op of every chain of views on reads at a time, until none is
  /// left that can go.
  void run() {
    while (step())
      ;
  }

private:
  bool step() {
    bool changed = false;
    module.walk([&](Operation *op) {
      if (auto concat = dyn_cast<tensor::ConcatOp>(op))
        changed |= joinReads(concat);
      else if (isa<TransposeOp>(op) || isReshape(op))
        changed |= castLater(op);
    });
    Reads reads;
    module.walk([&](ReadOp read) {
      auto global = symbols.lookup<GlobalOp>(read.getGlobal());
      if (global && (global.getRole() == Role::Parameter ||
                     global.getRole() == Role::Constant))
        reads[global].push_back(read);
    });
    for (auto &[global, list] : reads)
      changed |= absorb(global, list);
    return changed;
  }

  static bool isReshape(Operation *op) {
    return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op);
  }

  /// view(cast(read)) → cast(view(read)), so that the view can be absorbed.
  static bool castLater(Operation *view) {
    Operation *cast = view->getOperand(0).getDefiningOp();
    if (!isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(cast) ||
        !cast->getOperand(0).getDefiningOp<ReadOp>())
      return false;
    OpBuilder builder(view);
    Value read = cast->getOperand(0);
    IRMapping mapping;
    mapping.map(view->getOperand(0), read);
    Operation *first = builder.clone(*view, mapping);
    RankedTensorType type = getTensorType(view->getResult(0));
    first->getResult(0).setType(
        type.clone(getTensorType(read).getElementType()));
    Value result = createCast(builder, view->getLoc(), first->getResult(0),
                              type.getElementType());
    view->getResult(0).replaceAllUsesWith(result);
    view->erase();
    // Left, it would be another use of the read, in the file's layout.
    if (cast->use_empty())
      cast->erase();
    return true;
  }

  /// A concat of reads is a read of one global.
  bool joinReads(tensor::ConcatOp concat) {
    auto dim = static_cast<int64_t>(concat.getDim());
    RankedTensorType type = concat.getResultType();
    SmallVector<Attribute> pieces;
    GlobalOp first;
    int64_t offset = 0;
    for (Value input : concat.getInputs()) {
      auto read = input.getDefiningOp<ReadOp>();
      auto global =
          read ? symbols.lookup<GlobalOp>(read.getGlobal()) : GlobalOp();
      if (!global || global.getPieces().empty() ||
          (first && (global.getRole() != first.getRole() ||
                     global.getTrainable() != first.getTrainable())) ||
          (training && global.getTrainable() && !read->hasOneUse()))
        return false;
      if (!first)
        first = global;
      ArrayRef<int64_t> shape = global.getTensorType().getShape();
      for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
        auto moved = joinPiece(piece, shape, dim, offset, type.getDimSize(dim));
        if (!moved)
          return false;
        pieces.push_back(*moved);
      }
      offset += shape[dim];
    }
    auto joined = cast<GlobalOp>(first->clone());
    joined.setPiecesAttr(Builder(module.getContext()).getArrayAttr(pieces));
    joined.setTypeAttr(TypeAttr::get(type));
    joined.setSymName((first.getSymName() + ".joined").str());
    symbols.insert(joined, std::next(first->getIterator()));
    replace(concat, joined);
    return true;
  }

  bool absorb(GlobalOp global, ArrayRef<ReadOp> reads) {
    // Do all uses see the global in one way?
    SmallVector<Operation *> views;
    bool agree = true;
    for (ReadOp read : reads)
      for (Operation *user : read->getUsers()) {
        if (!isa<TransposeOp>(user) && !isReshape(user)) {
          agree = false;
          continue;
        }
        views.push_back(user);
        Operation *first = views.front();
        agree &= first->getName() == user->getName() &&
                 first->getPropertiesAsAttribute() ==
                     user->getPropertiesAsAttribute() &&
                 first->getResultTypes() == user->getResultTypes();
      }
    if (views.empty())
      return false;
    if (agree)
      return moveIntoGlobal(global, views, reads);
    bool changed = false;
    for (Operation *view : views)
      if (isa<TransposeOp>(view))
        changed |= moveIntoCopy(global, view);
    return changed;
  }

  /// The global's pieces as the view `op` of it wants them.
  std::optional<SmallVector<Attribute>> getPieces(GlobalOp global,
                                                  Operation *op) const {
    SmallVector<Attribute> pieces(global.getPieces().getValue());
    // A piece sees the global in a shape of its own, so that a reshape of the
    // global is none of it.
    auto transpose = dyn_cast<TransposeOp>(op);
    if (!transpose)
      return pieces;
    for (Attribute &piece : pieces) {
      auto moved = transposePiece(cast<PieceAttr>(piece),
                                  global.getTensorType().getShape(),
                                  transpose.getPermutation());
      if (!moved) {
        if (report)
          op->emitRemark("not absorbed: a piece of the weight is no box in "
                         "this layout");
        return std::nullopt;
      }
      piece = *moved;
    }
    return pieces;
  }

  /// All uses see the global in one way: it becomes that.
  bool moveIntoGlobal(GlobalOp global, ArrayRef<Operation *> views,
                      ArrayRef<ReadOp> reads) {
    auto pieces = getPieces(global, views.front());
    if (!pieces)
      return false;
    global.setPiecesAttr(Builder(&*global.getContext()).getArrayAttr(*pieces));
    global.setTypeAttr(TypeAttr::get(views.front()->getResultTypes()[0]));
    for (Operation *view : views)
      replace(view, global);
    for (ReadOp read : reads)
      read->erase();
    return true;
  }

  /// Another use needs the file's layout: this one gets a global of its own.
  bool moveIntoCopy(GlobalOp global, Operation *view) {
    if (training && global.getTrainable()) {
      if (report)
        view->emitRemark("not absorbed: @")
            << global.getSymName() << " is trained and read in two layouts";
      return false;
    }
    GlobalOp &copy = copies[{global, view->getPropertiesAsAttribute()}];
    if (!copy) {
      auto pieces = getPieces(global, view);
      if (!pieces)
        return false;
      OpBuilder builder(global);
      copy = cast<GlobalOp>(global->clone());
      copy.setPiecesAttr(builder.getArrayAttr(*pieces));
      copy.setTypeAttr(TypeAttr::get(view->getResultTypes()[0]));
      copy.setSymName((global.getSymName() + ".transposed").str());
      symbols.insert(copy, std::next(global->getIterator()));
    }
    replace(view, copy);
    return true;
  }

  static void replace(Operation *view, GlobalOp global) {
    OpBuilder builder(view);
    view->replaceAllUsesWith(
        ValueRange(createRead(builder, view->getLoc(), global)));
    view->erase();
  }

  ModuleOp module;
  SymbolTable symbols;
  bool training, report;
  /// By global and permutation.
  llvm::DenseMap<std::pair<Operation *, Attribute>, GlobalOp> copies;
};

struct AbsorbLayouts : dit::impl::AbsorbLayoutsBase<AbsorbLayouts> {
  using AbsorbLayoutsBase::AbsorbLayoutsBase;
  void runOnOperation() override {
    Absorber(getOperation(), training, report).run();
  }
};

} // namespace
