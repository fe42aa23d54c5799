//===- RandomKernelTest.cpp - Kernels that nobody wrote -------------------===//
//
// Random chains of views, reductions, norms and arithmetic over odd shapes,
// compared with the naive reference: what no written test thought of.
//
//===----------------------------------------------------------------------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

using namespace dit::codegen;

namespace {
using Sizes = std::vector<int64_t>;

/// Writes a kernel's text.
class Generator {
public:
  explicit Generator(unsigned seed) : random(seed) {}

  std::string make();

private:
  struct Tensor {
    std::string name;
    Sizes shape;
  };
  static constexpr int64_t mostElements = 6000;

  int64_t pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }
  const Tensor &any() { return tensors[pick(0, tensors.size() - 1)]; }
  /// Half of the time what was made last, so that chains become long.
  Tensor some() { return pick(0, 1) ? tensors.back() : any(); }
  static int64_t count(const Sizes &shape) {
    return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                           std::multiplies<>());
  }
  static std::string list(const Sizes &sizes) {
    return "[" +
           llvm::join(
               llvm::map_range(
                   sizes, [](int64_t size) { return std::to_string(size); }),
               ", ") +
           "]";
  }
  static std::string type(const Sizes &shape, const char *element = "f32") {
    std::string text = "tensor<";
    for (int64_t size : shape)
      text += std::to_string(size) + "x";
    return text + element + ">";
  }
  /// Adds "%name = text".
  Tensor add(const std::string &text, Sizes shape) {
    Tensor tensor{"%v" + std::to_string(tensors.size()), std::move(shape)};
    body += "    " + tensor.name + " = " + text + "\n";
    tensors.push_back(tensor);
    return tensor;
  }
  void addArithmetic();
  void addView();
  void addReshape(const Tensor &from);
  void addConcat(const Tensor &x);
  void addRowOp();
  void addGather();

  std::mt19937 random;
  std::vector<Tensor> tensors;
  std::string body;
};
} // namespace

void Generator::addArithmetic() {
  Tensor x = some();
  static const char *unary[] = {"math.tanh", "math.sin", "arith.negf",
                                "dit.sigmoid", "math.absf"};
  if (pick(0, 2) == 0) {
    add(std::string(unary[pick(0, 4)]) + " " + x.name + " : " + type(x.shape),
        x.shape);
    return;
  }
  std::vector<Tensor> like;
  for (const Tensor &tensor : tensors)
    if (tensor.shape == x.shape)
      like.push_back(tensor);
  const Tensor &y = like[pick(0, like.size() - 1)];
  static const char *binary[] = {"arith.addf", "arith.subf", "arith.maximumf"};
  Tensor z = add(std::string(binary[pick(0, 2)]) + " " + x.name + ", " +
                     y.name + " : " + type(x.shape),
                 x.shape);
  // Values stay around 1.
  add("math.tanh " + z.name + " : " + type(z.shape), z.shape);
}

void Generator::addReshape(const Tensor &from) {
  if (from.shape.size() < 2)
    return;
  Sizes groups;
  for (size_t i = 0; i < from.shape.size(); ++i)
    groups.push_back(i);
  int64_t total = count(from.shape);
  Tensor flat = add("tensor.collapse_shape " + from.name + " [" + list(groups) +
                        "] : " + type(from.shape) + " into " + type({total}),
                    {total});
  Sizes shape;
  for (int64_t rest = total; rest > 1;) {
    int64_t factor = pick(2, 24);
    if (shape.size() == 3)
      factor = rest;
    if (rest % factor)
      continue;
    shape.push_back(factor);
    rest /= factor;
    if (shape.size() > 3)
      break;
  }
  if (shape.size() < 2)
    return;
  std::shuffle(shape.begin(), shape.end(), random);
  groups.clear();
  for (size_t i = 0; i < shape.size(); ++i)
    groups.push_back(i);
  add("tensor.expand_shape " + flat.name + " [" + list(groups) +
          "] output_shape " + list(shape) + " : " + type(flat.shape) +
          " into " + type(shape),
      shape);
}

void Generator::addConcat(const Tensor &x) {
  std::vector<std::pair<Tensor, int64_t>> fitting;
  for (const Tensor &y : tensors)
    for (size_t dim = 0; dim < x.shape.size(); ++dim) {
      Sizes other = y.shape;
      if (other.size() != x.shape.size())
        continue;
      other[dim] = x.shape[dim];
      if (other == x.shape)
        fitting.push_back({y, dim});
    }
  if (fitting.empty())
    return;
  auto [y, dim] = fitting[pick(0, fitting.size() - 1)];
  Sizes shape = x.shape;
  shape[dim] += y.shape[dim];
  if (count(shape) > mostElements)
    return;
  add(llvm::formatv("tensor.concat dim({0}) {1}, {2} : ({3}, {4}) -> {5}", dim,
                    x.name, y.name, type(x.shape), type(y.shape), type(shape))
          .str(),
      shape);
}

void Generator::addView() {
  Tensor x = some();
  switch (pick(0, 4)) {
  case 0: {
    Sizes order(x.shape.size()), shape;
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    for (int64_t dim : order)
      shape.push_back(x.shape[dim]);
    add("dit.transpose " + x.name + " permutation = " + list(order) + " : " +
            type(x.shape),
        shape);
    return;
  }
  case 1:
    return addReshape(x);
  case 2: {
    Sizes offsets, sizes, strides;
    for (int64_t size : x.shape) {
      bool isCut = pick(0, 1);
      int64_t stride = isCut ? pick(1, 3) : 1;
      int64_t offset = isCut ? pick(0, size - 1) : 0;
      int64_t most = (size - offset + stride - 1) / stride;
      offsets.push_back(offset);
      sizes.push_back(isCut ? pick((most + 1) / 2, most) : size);
      strides.push_back(stride);
    }
    add("tensor.extract_slice " + x.name + list(offsets) + " " + list(sizes) +
            " " + list(strides) + " : " + type(x.shape) + " to " + type(sizes),
        sizes);
    return;
  }
  case 3:
    return addConcat(x);
  default: {
    int64_t size = pick(2, 5);
    if (x.shape.size() > 3 || count(x.shape) * size > mostElements)
      return;
    Sizes shape = x.shape, dims;
    int64_t place = pick(0, shape.size());
    shape.insert(shape.begin() + place, size);
    for (int64_t dim = 0; dim < static_cast<int64_t>(shape.size()); ++dim)
      if (dim != place)
        dims.push_back(dim);
    add("dit.broadcast " + x.name + " dims = " + list(dims) + " : " +
            type(x.shape) + " -> " + type(shape),
        shape);
  }
  }
}

void Generator::addRowOp() {
  Tensor x = some();
  if (x.shape.size() < 2)
    return;
  Sizes rows(x.shape.begin(), x.shape.end() - 1);
  std::string name = "%v" + std::to_string(tensors.size());
  switch (pick(0, 3)) {
  case 0:
    body += llvm::formatv("    {0}, {0}m, {0}r = dit.layer_norm {1} eps = "
                          "1.0e-1 : {2}\n",
                          name, x.name, type(x.shape));
    tensors.push_back({name, x.shape});
    if (pick(0, 1))
      tensors.push_back({name + "m", rows});
    return;
  case 1:
    body += llvm::formatv("    {0}, {0}r = dit.rms_norm {1} eps = 1.0e-1 : "
                          "{2}\n",
                          name, x.name, type(x.shape));
    tensors.push_back({name, x.shape});
    return;
  case 2:
    add("dit.softmax " + x.name + " : " + type(x.shape), x.shape);
    return;
  default: {
    Sizes dims, shape;
    for (size_t dim = 0; dim < x.shape.size(); ++dim) {
      bool isReduced = dim + 1 == x.shape.size() ? pick(0, 3) : !pick(0, 3);
      (isReduced ? dims : shape)
          .push_back(isReduced ? static_cast<int64_t>(dim) : x.shape[dim]);
    }
    if (dims.empty() || shape.empty())
      return;
    Tensor sum =
        add(std::string("dit.reduce ") + (pick(0, 1) ? "sum " : "max ") +
                x.name + " dims = " + list(dims) + " : " + type(x.shape),
            shape);
    add("math.sin " + sum.name + " : " + type(shape), shape);
  }
  }
}

void Generator::addGather() {
  Tensor x = some();
  Sizes indices;
  for (int64_t i = pick(1, 6); i > 0; --i)
    indices.push_back(pick(-x.shape[0] - 1, x.shape[0] + 1));
  Sizes shape = x.shape;
  shape[0] = indices.size();
  if (count(shape) > mostElements)
    return;
  std::string name = "%i" + std::to_string(tensors.size());
  std::string integers = type({shape[0]}, "i64");
  body += "    " + name + " = arith.constant dense<" + list(indices) +
          "> : " + integers + "\n";
  add("dit.gather " + x.name + ", " + name + " : " + type(x.shape) + ", " +
          integers,
      shape);
}

std::string Generator::make() {
  static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 33, 40};
  Sizes shape;
  for (int64_t rank = pick(1, 4); rank > 0; --rank) {
    int64_t size = sizes[pick(0, 12)];
    if (count(shape) * size <= mostElements)
      shape.push_back(size);
  }
  std::string arguments, types, block;
  for (int64_t i = 0, inputs = pick(1, 3); i < inputs; ++i) {
    std::string name = "%a" + std::to_string(i);
    tensors.push_back({name, shape});
    std::string comma = i ? ", " : "";
    arguments += comma + "%x" + std::to_string(i);
    types += comma + type(shape);
    block += comma + name + ": " + type(shape);
  }
  for (int64_t ops = pick(2, 9); ops > 0; --ops) {
    int64_t kind = pick(0, 9);
    if (kind < 3)
      addArithmetic();
    else if (kind < 7)
      addView();
    else if (kind < 9)
      addRowOp();
    else
      addGather();
  }
  Tensor result = tensors.back();
  // Any space of as many points will do; rows are what it says.
  Sizes space = result.shape;
  while (space.size() > 1 && pick(0, 3) == 0) {
    int64_t at = pick(0, space.size() - 2);
    space[at] *= space[at + 1];
    space.erase(space.begin() + at + 1);
  }
  std::vector<Tensor> yields = {result};
  int64_t rows = count(space) / space.back();
  for (const Tensor &tensor : tensors)
    if (pick(0, 1) && tensor.name != result.name &&
        (count(tensor.shape) == count(space) || count(tensor.shape) == rows))
      yields.push_back(tensor);
  std::string names, resultTypes;
  for (const Tensor &tensor : yields) {
    std::string comma = names.empty() ? "" : ", ";
    names += comma + tensor.name;
    resultTypes += comma + type(tensor.shape);
  }
  return llvm::formatv("%0:{0} = space = {1} ({2}) : ({3}) -> ({4}) {{\n"
                       "  ^bb0({5}):\n{6}    dit.yield {7} : {4}\n  }",
                       yields.size(), list(space), arguments, types,
                       resultTypes, block, body, names)
      .str();
}

TEST(RandomKernel, equalsTheReference) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::string kernel = Generator(seed).make();
    SCOPED_TRACE(llvm::formatv("seed {0}\n{1}", seed, kernel).str());
    CompiledKernel compiled(kernel, seed % 3 ? "native" : "x86-64-v3",
                            1 + seed % 5);
    compiled.fillRandomly(seed);
    compiled.check(1e-4);
    if (testing::Test::HasFailure())
      return;
  }
}
