//===- FuseProjections.cpp - Q, K and V from one product ------------------===//
//
// See FuseProjections in Passes.td. For every attention:
//
//   1. Each of q, k, v is read as columns offset + head · step + lane of a
//      product's result (IndexView).
//   2. q, k, v, or else k, v, whose products have one left operand are a group.
//   3. One product whose columns are [head][member][lane], and slices of it.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/Passes.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/simplify/GlobalLayout.h"
#include "passes/simplify/IndexView.h"

using namespace mlir;

namespace dit {
#define GEN_PASS_DEF_FUSEPROJECTIONS
#include "passes/simplify/Passes.h.inc"
} // namespace dit

using namespace dit;

namespace {

/// One of q, k, v: [B, T, H, d] of columns offset + head · step + lane.
struct Member {
  MatmulOp product;
  int64_t offset, step;
};

} // namespace

/// Step 1; nothing where `value` is anything else.
static std::optional<Member> matchMember(Value value) {
  IndexView view = traceView(value);
  auto product = view.base.getDefiningOp<MatmulOp>();
  if (!product || product.getTransposeLhs() || !product.getTransposeRhs() ||
      product.getResidual() || product.getActivation() != Activation::Identity)
    return std::nullopt;
  ArrayRef<int64_t> shape = getTensorType(value).getShape();
  int64_t columns = getTensorType(view.base).getShape().back();
  auto single = [](const IndexView::Dimension &dim, int64_t stride) {
    return dim.empty() || (dim.size() == 1 && dim[0].stride == stride);
  };
  Member member{product, view.offset, 0};
  if (view.dims[2].size() > 1 || !single(view.dims[3], 1) ||
      !single(view.dims[1], columns) ||
      !single(view.dims[0], columns * shape[1]) || view.offset >= columns)
    return std::nullopt;
  member.step = view.dims[2].empty() ? shape[3] : view.dims[2][0].stride;
  // All tokens, each once.
  if (getTensorType(view.base).getNumElements() !=
      columns * shape[0] * shape[1])
    return std::nullopt;
  return member;
}

namespace {

class Fuser {
public:
  Fuser(ModuleOp module, bool report) : symbols(module), report(report) {
    module.walk([&](ReadOp read) {
      for (OpOperand &use : read->getUses()) {
        (void)use;
        ++uses[read.getGlobal()];
      }
    });
  }

  void fuse(AttentionOp op) {
    SmallVector<Value> values(op.getOperands().take_front(3));
    SmallVector<Member> members;
    for (Value value : values) {
      auto member = matchMember(value);
      if (!member && members.empty() && value == values[0]) {
        // Q from elsewhere: K and V may still be a group.
        members.push_back({MatmulOp(), 0, 0});
        continue;
      }
      if (!member)
        return refuse(op, "K or V is no view of a linear layer's result");
      members.push_back(*member);
    }
    auto isGroup = [&](unsigned first) {
      return llvm::all_of(ArrayRef(members).drop_front(first),
                          [&](Member m) {
                            return m.product && m.product.getLhs() ==
                                                    members[2].product.getLhs();
                          }) &&
             llvm::all_of(ArrayRef(values).drop_front(first), [&](Value v) {
               return v.getType() == values[2].getType();
             });
    };
    // All three, or else K and V.
    llvm::StringRef why = "K and V are projections of different tensors";
    for (unsigned first : {0u, 1u}) {
      if (!isGroup(first))
        continue;
      auto refused = rebuild(op, first, members);
      if (!refused)
        return;
      why = *refused;
    }
    refuse(op, why);
  }

private:
  void refuse(AttentionOp op, llvm::StringRef why) {
    if (report)
      op.emitRemark("projections not fused: ") << why;
  }

  /// Step 3, for members from `first` on; says why it cannot be done.
  std::optional<llvm::StringRef> rebuild(AttentionOp op, unsigned first,
                                         ArrayRef<Member> all) {
    ArrayRef<Member> members = all.drop_front(first);
    ArrayRef<int64_t> shape = getTensorType(op.getOperand(2)).getShape();
    auto count = static_cast<int64_t>(members.size());
    int64_t heads = shape[2], lane = shape[3];
    llvm::SmallSetVector<Operation *, 3> products;
    for (Member member : members)
      products.insert(member.product);
    int64_t columns = 0;
    for (Operation *product : products)
      columns += getTensorType(product->getResult(0)).getShape().back();
    if (columns != count * heads * lane)
      return "a projection has columns that are not used here";
    if (products.size() == 1 && isFused(members, lane))
      return std::nullopt;
    for (Operation *product : products)
      if (!isUsedBy(product->getResult(0), op))
        return "a projection has another use";

    // Weights and biases, before anything is changed.
    SmallVector<GlobalOp> weights, biases;
    for (Operation *product : products) {
      auto matmul = cast<MatmulOp>(product);
      auto weight = findRead(matmul.getRhs());
      if (!weight)
        return "a weight is computed";
      weights.push_back(symbols.lookup<GlobalOp>(weight.getGlobal()));
      if (Value bias = matmul.getBias()) {
        auto read = findRead(bias);
        if (!read)
          return "a bias is computed";
        biases.push_back(symbols.lookup<GlobalOp>(read.getGlobal()));
      }
    }
    if (!biases.empty() && biases.size() != weights.size())
      return "only some of the projections have a bias";
    auto weightPieces = arrange(weights, members, heads, lane);
    if (!weightPieces)
      return "the layout of the weights cannot be changed";
    Pieces biasPieces;
    if (!biases.empty()) {
      biasPieces = arrange(biases, members, heads, lane);
      if (!biasPieces)
        return "the layout of the biases cannot be changed";
    }
    GlobalOp weight = layOut(weights, *weightPieces, columns, count);
    GlobalOp bias =
        biasPieces ? layOut(biases, *biasPieces, columns, count) : GlobalOp();

    Operation *earliest = products.front();
    for (Operation *product : products)
      if (product->isBeforeInBlock(earliest))
        earliest = product;
    OpBuilder builder(earliest);
    Location loc = earliest->getLoc();
    auto matmul = cast<MatmulOp>(earliest);
    RankedTensorType type = getTensorType(matmul.getResult());
    SmallVector<int64_t> wide(type.getShape());
    wide.back() = columns;
    Value result =
        MatmulOp::create(builder, loc, type.clone(wide), matmul.getLhs(),
                         createRead(builder, loc, weight),
                         bias ? createRead(builder, loc, bias) : Value());
    Value grouped = createReshape(builder, loc, result,
                                  {shape[0], shape[1], heads, count * lane});
    for (int64_t index = 0; index < count; ++index)
      op.setOperand(first + index,
                    createSlice(builder, loc, grouped, 3, index * lane, lane));
    if (report)
      op.emitRemark("fused ")
          << (first ? "K and V" : "Q, K and V") << " into one projection";
    return std::nullopt;
  }

  /// The read that `value` is, or is a widening of.
  static ReadOp findRead(Value value) {
    if (auto wide = value.getDefiningOp<arith::ExtFOp>())
      value = wide.getIn();
    return value.getDefiningOp<ReadOp>();
  }

  /// A read of `global` with the element type of `like`.
  static Value readAs(OpBuilder &builder, Location loc, GlobalOp global,
                      Value like) {
    return createCast(builder, loc, createRead(builder, loc, global),
                      getTensorType(like).getElementType());
  }

  /// True where the members lie as we would lay them.
  static bool isFused(ArrayRef<Member> members, int64_t lane) {
    for (auto [index, member] : llvm::enumerate(members))
      if (member.offset != static_cast<int64_t>(index) * lane ||
          member.step != static_cast<int64_t>(members.size()) * lane)
        return false;
    return true;
  }

  /// True where all uses of `value`, through views, are operands of `op`.
  static bool isUsedBy(Value value, Operation *op) {
    return llvm::all_of(value.getUsers(), [&](Operation *user) {
      return user == op ||
             (isIndexViewOp(user) && isUsedBy(user->getResult(0), op));
    });
  }

  using Pieces = std::optional<SmallVector<Attribute>>;

  /// The pieces of a global of rows [head][member][lane], from one that holds
  /// all members, or from one a member.
  static Pieces arrange(ArrayRef<GlobalOp> globals, ArrayRef<Member> members,
                        int64_t heads, int64_t lane) {
    GlobalOp model = globals[0];
    for (GlobalOp global : globals)
      if (!global || global.getPieces().empty() ||
          global.getTrainable() != model.getTrainable() ||
          global.getTensorType().getElementType() !=
              model.getTensorType().getElementType())
        return std::nullopt;
    return globals.size() == 1 ? permuteRows(model, members, heads, lane)
                               : interleaveRows(globals, members, heads, lane);
  }

  /// The global with these pieces and `rows` rows: the old one where nobody
  /// else reads it.
  GlobalOp layOut(ArrayRef<GlobalOp> globals, ArrayRef<Attribute> pieces,
                  int64_t rows, int64_t members) {
    GlobalOp model = globals[0];
    OpBuilder builder(model);
    if (globals.size() == 1 && uses[model.getSymName()] == 1) {
      model.setPiecesAttr(builder.getArrayAttr(pieces));
      return model;
    }
    auto copy = cast<GlobalOp>(model->clone());
    SmallVector<int64_t> shape(model.getTensorType().getShape());
    shape[0] = rows;
    copy.setTypeAttr(TypeAttr::get(model.getTensorType().clone(shape)));
    copy.setPiecesAttr(builder.getArrayAttr(pieces));
    copy.setSymName(nameFused(globals, members));
    symbols.insert(copy, model->getIterator());
    return copy;
  }

  static Pieces permuteRows(GlobalOp global, ArrayRef<Member> members,
                            int64_t heads, int64_t lane) {
    auto count = static_cast<int64_t>(members.size());
    // Either [member][head][lane], or [head][member][lane] in another order of
    // the members, which nobody writes.
    for (auto [index, member] : llvm::enumerate(members))
      if (member.offset != static_cast<int64_t>(index) * heads * lane ||
          member.step != lane)
        return std::nullopt;
    SmallVector<int64_t> shape{count, heads, lane}, permutation{1, 0, 2};
    if (global.getTensorType().getRank() == 2) {
      shape.push_back(global.getTensorType().getDimSize(1));
      permutation.push_back(3);
    }
    SmallVector<Attribute> pieces(global.getPieces().getValue());
    for (Attribute &piece : pieces) {
      auto moved = transposePiece(cast<PieceAttr>(piece), shape, permutation);
      if (!moved)
        return std::nullopt;
      piece = *moved;
    }
    return pieces;
  }

  static Pieces interleaveRows(ArrayRef<GlobalOp> globals,
                               ArrayRef<Member> members, int64_t heads,
                               int64_t lane) {
    if (globals.size() != members.size())
      return std::nullopt;
    SmallVector<Attribute> pieces;
    for (size_t index = 0; index < globals.size(); ++index) {
      GlobalOp global = globals[index];
      if (members[index].offset || members[index].step != lane)
        return std::nullopt;
      SmallVector<int64_t> shape{heads, lane};
      if (global.getTensorType().getRank() == 2)
        shape.push_back(global.getTensorType().getDimSize(1));
      for (auto piece : global.getPieces().getAsRange<PieceAttr>()) {
        auto moved = interleavePiece(piece, shape, index, members.size());
        if (!moved)
          return std::nullopt;
        pieces.push_back(*moved);
      }
    }
    return pieces;
  }

  /// "attn1.to_q.weight" and its fellows → "attn1.qkv.weight".
  static std::string nameFused(ArrayRef<GlobalOp> globals, size_t count) {
    GlobalOp model = globals[0];
    llvm::StringRef name = model.getSymName();
    if (globals.size() == 1)
      return name.str();
    auto [stem, last] = name.rsplit('.');
    llvm::StringRef parent = stem.contains('.') ? stem.rsplit('.').first : "";
    return (parent + (parent.empty() ? "" : ".") + (count == 3 ? "qkv" : "kv") +
            "." + (last.empty() ? "weight" : last))
        .str();
  }

  SymbolTable symbols;
  /// Uses of all reads, by global.
  llvm::StringMap<unsigned> uses;
  bool report;
};

struct FuseProjections : dit::impl::FuseProjectionsBase<FuseProjections> {
  using FuseProjectionsBase::FuseProjectionsBase;
  void runOnOperation() override {
    Fuser fuser(getOperation(), report);
    SmallVector<AttentionOp> attentions;
    getOperation().walk([&](AttentionOp op) { attentions.push_back(op); });
    for (AttentionOp op : attentions)
      fuser.fuse(op);
  }
};

} // namespace
