//===- GraphBuilder.cpp - Writing a model in C++ --------------------------===//
#include "frontends/builder/GraphBuilder.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <numeric>

using namespace mlir;
using namespace dit;

static std::string describe(Tensor tensor) {
  std::string text;
  llvm::raw_string_ostream(text) << tensor.getType();
  return text;
}

static int64_t countElements(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                         std::multiplies<>());
}

GraphBuilder::GraphBuilder(ModuleOp module, Location loc, StringRef name,
                           ArrayRef<NamedType> inputs)
    : module(module), start(loc), loc(loc), builder(module.getContext()) {
  module.getContext()
      ->loadDialect<DitDialect, arith::ArithDialect, func::FuncDialect,
                    math::MathDialect, tensor::TensorDialect>();
  SmallVector<Type> types;
  SmallVector<Attribute> names;
  for (const NamedType &input : inputs) {
    types.push_back(input.type);
    names.push_back(builder.getStringAttr(input.name));
  }
  builder.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(builder, loc, name,
                                  builder.getFunctionType(types, {}));
  function->setAttr("dit.inputs", builder.getArrayAttr(names));
  builder.setInsertionPointToStart(function.addEntryBlock());
}

void GraphBuilder::setScope(StringRef name) {
  loc = NameLoc::get(builder.getStringAttr(name), start);
}

Tensor GraphBuilder::fail(const Twine &why) {
  emitError(loc, why);
  failed = true;
  return {};
}

bool GraphBuilder::areEqual(StringRef what, Tensor a, Tensor b) {
  if (!a || !b)
    return false;
  if (a.getType() == b.getType())
    return true;
  fail("cannot " + what + " " + describe(a) + " and " + describe(b));
  return false;
}

Tensor GraphBuilder::input(unsigned index) {
  if (index >= function.getNumArguments())
    return fail("the graph has no input " + Twine(index));
  return function.getArgument(index);
}

/// Reads the global `name`, made where the module has none.
Tensor GraphBuilder::readGlobal(StringRef name, Role role,
                                RankedTensorType type, PieceAttr piece,
                                bool trainable) {
  Operation *known = module.lookupSymbol(name);
  auto global = dyn_cast_if_present<GlobalOp>(known);
  if (known && (!global || global.getTensorType() != type))
    return fail("the module has another '" + name + "' than the graph needs");
  if (!global) {
    OpBuilder globals(function);
    global = GlobalOp::create(globals, loc, name, role, type,
                              ArrayRef<Attribute>{piece});
    global.setTrainable(trainable);
  }
  return createRead(builder, loc, global);
}

Tensor GraphBuilder::parameter(const Parameter &parameter) {
  const auto &[name, shape, init, trainable, view, permutation, stored] =
      parameter;
  auto file = RankedTensorType::get(shape, builder.getF32Type());
  if (view.empty())
    return readGlobal(name, Role::Parameter, file,
                      PieceAttr::getIdentity(name, file, init), trainable);
  auto array = [&](ArrayRef<int64_t> values) {
    return builder.getDenseI64ArrayAttr(values);
  };
  SmallVector<int64_t> target, zeros(view.size(), 0);
  for (int64_t dim : permutation)
    target.push_back(view[dim]);
  auto piece =
      PieceAttr::get(builder.getContext(), name, file, array(view),
                     array(permutation), array(target), array(zeros), init);
  return readGlobal(name, Role::Parameter, file.clone(stored), piece,
                    trainable);
}

Tensor GraphBuilder::constant(StringRef name, ArrayRef<int64_t> shape,
                              ArrayRef<float> values) {
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  if (type.getNumElements() != static_cast<int64_t>(values.size()))
    return fail("a constant of " + Twine(type.getNumElements()) +
                " elements is given " + Twine(values.size()) + " values");
  auto elements = DenseElementsAttr::get(type, values);
  return readGlobal(name, Role::Constant, type,
                    PieceAttr::getIdentity("", type, elements),
                    /*trainable=*/false);
}

Tensor GraphBuilder::splat(Tensor like, double value) {
  return like ? createSplat(builder, loc, like.getType(), value) : Tensor();
}

Tensor GraphBuilder::add(Tensor a, Tensor b) {
  if (!areEqual("add", a, b))
    return {};
  return arith::AddFOp::create(builder, loc, a.getValue(), b.getValue())
      .getResult();
}

Tensor GraphBuilder::mul(Tensor a, Tensor b) {
  if (!areEqual("multiply", a, b))
    return {};
  return arith::MulFOp::create(builder, loc, a.getValue(), b.getValue())
      .getResult();
}

Tensor GraphBuilder::cos(Tensor a) {
  return a ? Tensor(math::CosOp::create(builder, loc, a.getValue())) : a;
}

Tensor GraphBuilder::sin(Tensor a) {
  return a ? Tensor(math::SinOp::create(builder, loc, a.getValue())) : a;
}

Tensor GraphBuilder::silu(Tensor a) {
  return a ? Tensor(createSilu(builder, loc, a.getValue())) : a;
}

Tensor GraphBuilder::gelu(Tensor a, Approximate approximate) {
  if (!a)
    return a;
  return GeluOp::create(builder, loc, a.getValue(), approximate).getResult();
}

Tensor GraphBuilder::toFloat(Tensor a) {
  return a ? Tensor(
                 createCast(builder, loc, a.getValue(), builder.getF32Type()))
           : a;
}

Tensor GraphBuilder::reshape(Tensor a, ArrayRef<int64_t> shape) {
  if (!a)
    return a;
  if (countElements(shape) != a.getType().getNumElements())
    return fail("cannot give " + describe(a) + " a shape of " +
                Twine(countElements(shape)) + " elements");
  return createReshape(builder, loc, a.getValue(), shape);
}

Tensor GraphBuilder::transpose(Tensor a, ArrayRef<int64_t> permutation) {
  if (!a)
    return a;
  SmallVector<int64_t> sorted(permutation), all(a.getRank());
  llvm::sort(sorted);
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all)
    return fail("a permutation of " + describe(a) +
                " must name each of its dimensions once");
  return TransposeOp::create(builder, loc, a.getValue(), permutation)
      .getResult();
}

Tensor GraphBuilder::broadcast(Tensor a, ArrayRef<int64_t> shape,
                               ArrayRef<int64_t> dims) {
  if (!a)
    return a;
  bool fits = static_cast<int64_t>(dims.size()) == a.getRank() &&
              llvm::is_sorted(dims) &&
              std::adjacent_find(dims.begin(), dims.end()) == dims.end();
  for (auto [index, dim] : llvm::enumerate(dims))
    fits = fits && dim >= 0 && dim < static_cast<int64_t>(shape.size()) &&
           a.getShape()[index] == shape[dim];
  if (!fits)
    return fail("cannot repeat " + describe(a) + " to rank " +
                Twine(shape.size()));
  return createBroadcast(builder, loc, a.getValue(), shape, dims);
}

Tensor GraphBuilder::slice(Tensor a, int64_t dim, int64_t offset,
                           int64_t size) {
  if (!a)
    return a;
  if (dim < 0 || dim >= a.getRank() || offset < 0 || size < 0 ||
      offset + size > a.getShape()[dim])
    return fail("cannot take [" + Twine(offset) + ", " + Twine(offset + size) +
                ") of dimension " + Twine(dim) + " of " + describe(a));
  return createSlice(builder, loc, a.getValue(), dim, offset, size);
}

Tensor GraphBuilder::concat(ArrayRef<Tensor> tensors, int64_t dim) {
  SmallVector<Value> values;
  for (Tensor tensor : tensors) {
    if (!tensor)
      return {};
    Tensor first = tensors.front();
    bool fits = tensor.getRank() == first.getRank() && dim >= 0 &&
                dim < first.getRank();
    for (int64_t other = 0; fits && other < first.getRank(); ++other)
      fits =
          other == dim || tensor.getShape()[other] == first.getShape()[other];
    if (!fits)
      return fail("cannot join " + describe(first) + " and " +
                  describe(tensor) + " along dimension " + Twine(dim));
    values.push_back(tensor.getValue());
  }
  if (values.empty())
    return fail("cannot join no tensors");
  return tensor::ConcatOp::create(builder, loc, dim, values).getResult();
}

Tensor GraphBuilder::linear(Tensor a, Tensor weight, Tensor bias) {
  if (!a || !weight || !bias)
    return {};
  if (a.getRank() < 2 || weight.getRank() != 2 || bias.getRank() != 1 ||
      a.getShape().back() != weight.getShape()[1] ||
      bias.getShape()[0] != weight.getShape()[0])
    return fail("a linear layer cannot take " + describe(a) + " with weight " +
                describe(weight) + " and bias " + describe(bias));
  return createLinear(builder, loc, a.getValue(), weight.getValue(),
                      bias.getValue());
}

Tensor GraphBuilder::layerNorm(Tensor a, double eps) {
  if (!a)
    return a;
  return LayerNormOp::create(builder, loc, a.getValue(),
                             builder.getF64FloatAttr(eps))
      .getResult();
}

Tensor GraphBuilder::gather(Tensor table, Tensor indices) {
  if (!table || !indices)
    return {};
  if (table.getRank() == 0 || !indices.getType().getElementType().isInteger())
    return fail("cannot look " + describe(indices) + " up in " +
                describe(table));
  return GatherOp::create(builder, loc, table.getValue(), indices.getValue())
      .getResult();
}

Tensor GraphBuilder::attention(Tensor q, Tensor k, Tensor v, double scale) {
  if (!areEqual("attend with", q, k) || !areEqual("attend with", k, v))
    return {};
  if (q.getRank() != 4)
    return fail("attention needs [batch, tokens, heads, dim], not " +
                describe(q));
  return AttentionOp::create(builder, loc, q.getValue(), k.getValue(),
                             v.getValue(), Value(),
                             builder.getF64FloatAttr(scale))
      .getResult();
}

FailureOr<func::FuncOp> GraphBuilder::finish(ArrayRef<NamedTensor> outputs) {
  SmallVector<Value> values;
  SmallVector<Type> types;
  SmallVector<Attribute> names;
  for (const NamedTensor &output : outputs) {
    failed |= !output.tensor;
    if (failed)
      break;
    values.push_back(output.tensor.getValue());
    types.push_back(output.tensor.getType());
    names.push_back(builder.getStringAttr(output.name));
  }
  if (failed) {
    function.erase();
    return failure();
  }
  func::ReturnOp::create(builder, start, values);
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  function->setAttr("dit.outputs", builder.getArrayAttr(names));
  return function;
}
