//===- PlanView.cpp - The one chain of ops for an IndexView ---------------===//
//
// 1. Sort the factors by stride. With what lies between them they are *levels*
//    of the base's index: level i counts `full` = stride(i−1) / stride(i)
//    steps, of which [start, start + size) are seen.
// 2. Split the levels where the base's dimensions end: expand_shape.
// 3. extract_slice where a level is not seen whole; drop what is one step.
// 4. Transpose to the result's order, merge neighbours of one dimension.
// 5. Broadcast the factors of stride 0, merge and add dimensions of 1.
//
// A leading dimension of 1 on both sides (batch 1) is kept through all steps,
// so that batch 1 reads like any other batch.
//
//===----------------------------------------------------------------------===//
#include "passes/simplify/IndexView.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

using namespace mlir;
using namespace dit;

namespace {
/// A run of steps of the base's index; see the head of this file.
struct Level {
  int64_t full, start, size;
  /// Number of the factor in the result's order; -1 for what is sliced away.
  int64_t factor;
};

/// Collects the steps, none of which does nothing.
class Planner {
public:
  Planner(RankedTensorType type, bool leading)
      : shape(type.getShape()), element(type.getElementType()),
        leading(leading) {}
  SmallVector<int64_t> shape;
  SmallVector<ViewStep> steps;

  /// `sizes` behind the kept leading dimension, if there is one.
  SmallVector<int64_t> withLeading(ArrayRef<int64_t> sizes, int64_t first = 1) {
    SmallVector<int64_t> result;
    if (leading)
      result.push_back(first);
    result.append(sizes.begin(), sizes.end());
    return result;
  }
  void add(ViewStep::Kind kind, SmallVector<int64_t> to,
           SmallVector<int64_t> numbers) {
    shape = to;
    steps.push_back({kind, std::move(to), std::move(numbers)});
  }
  void reshape(ArrayRef<int64_t> to);

private:
  /// True where one collapse_shape makes `small` of `big`.
  bool collapses(ArrayRef<int64_t> big, ArrayRef<int64_t> small) const {
    return big.size() > small.size() &&
           getReassociationIndicesForReshape(
               RankedTensorType::get(big, element),
               RankedTensorType::get(small, element))
               .has_value();
  }

  Type element;
  bool leading;
};
} // namespace

void Planner::reshape(ArrayRef<int64_t> to) {
  if (ArrayRef(shape) == to)
    return;
  if (collapses(shape, to) || collapses(to, shape))
    return add(ViewStep::Reshape, SmallVector<int64_t>(to), {});
  // Through the coarsest grouping that both refine, with no dimension of 1.
  SmallVector<int64_t> coarse = withLeading({});
  size_t left = leading, right = leading;
  while (left < shape.size() && right < to.size()) {
    int64_t from = shape[left++], into = to[right++];
    while (from != into) {
      if (from < into)
        from *= shape[left++];
      else
        into *= to[right++];
    }
    if (from != 1)
      coarse.push_back(from);
  }
  for (ArrayRef<int64_t> next : {ArrayRef(coarse), to})
    if (ArrayRef(shape) != next)
      add(ViewStep::Reshape, SmallVector<int64_t>(next), {});
}

/// Step 1.
static std::optional<SmallVector<Level>>
findLevels(const IndexView &view, int64_t elements,
           ArrayRef<Factor> inResultOrder) {
  SmallVector<std::pair<Factor, int64_t>> sorted;
  for (auto [index, factor] : llvm::enumerate(inResultOrder))
    sorted.push_back({factor, static_cast<int64_t>(index)});
  llvm::stable_sort(sorted, [](const auto &a, const auto &b) {
    return a.first.stride > b.first.stride;
  });
  SmallVector<Level> levels;
  int64_t span = elements;
  for (auto [factor, index] : sorted) {
    if (span % factor.stride)
      return std::nullopt;
    int64_t full = span / factor.stride;
    int64_t start = view.offset / factor.stride % full;
    if (start + factor.size > full)
      return std::nullopt;
    levels.push_back({full, start, factor.size, index});
    span = factor.stride;
  }
  if (span > 1)
    levels.push_back({span, view.offset % span, 1, -1});
  return levels;
}

/// Splits [start, start + size) of `sizes`, a level's parts, into ranges.
static bool splitLevel(const Level &level, ArrayRef<int64_t> sizes,
                       SmallVectorImpl<Level> &result) {
  int64_t start = level.start, size = level.size, inner = level.full;
  for (int64_t part : sizes) {
    inner /= part;
    if (size % inner == 0 && start % inner == 0) {
      result.push_back({part, start / inner, size / inner, level.factor});
      start = 0;
      size = inner;
    } else if (start / inner == (start + size - 1) / inner) {
      result.push_back({part, start / inner, 1, level.factor});
      start %= inner;
    } else {
      return false;
    }
  }
  return true;
}

/// Step 2.
static std::optional<SmallVector<Level>> splitLevels(ArrayRef<Level> levels,
                                                     ArrayRef<int64_t> base) {
  SmallVector<Level> result;
  size_t dim = 0;
  int64_t left = 1; // of the base's dimension
  for (const Level &level : levels) {
    SmallVector<int64_t> parts;
    int64_t rest = level.full;
    while (rest > 1) {
      while (left == 1 && dim < base.size())
        left = base[dim++];
      int64_t part;
      if (rest % left == 0)
        part = left;
      else if (left % rest == 0)
        part = rest;
      else
        return std::nullopt;
      parts.push_back(part);
      rest /= part;
      left /= part;
    }
    if (parts.size() <= 1) {
      if (!parts.empty())
        result.push_back(level);
    } else if (!splitLevel(level, parts, result)) {
      return std::nullopt;
    }
  }
  return result;
}

std::optional<SmallVector<ViewStep>> dit::planView(const IndexView &view) {
  RankedTensorType type = getTensorType(view.base);
  SmallVector<int64_t> resultShape = view.getShape();
  ArrayRef<int64_t> base = type.getShape();
  ArrayRef<IndexView::Dimension> dims = view.dims;
  bool leading = !base.empty() && !resultShape.empty() && base[0] == 1 &&
                 resultShape[0] == 1;
  if (leading) {
    base = base.drop_front();
    dims = dims.drop_front();
  }
  SmallVector<Factor> factors;
  for (const IndexView::Dimension &dim : dims)
    for (Factor factor : dim)
      if (factor.stride)
        factors.push_back(factor);
  auto levels = findLevels(view, type.getNumElements(), factors);
  if (!levels)
    return std::nullopt;
  auto parts = splitLevels(*levels, base);
  if (!parts)
    return std::nullopt;

  Planner planner(type, leading);
  // A base that is only sliced keeps its own dimensions, also those of 1.
  SmallVector<int64_t> full, start, seen;
  bool sliced = false;
  for (const Level &part : *parts) {
    full.push_back(part.full);
    start.push_back(part.start);
    seen.push_back(part.size);
    sliced |= part.full != part.size;
  }
  SmallVector<size_t> order;
  for (auto [index, part] : llvm::enumerate(*parts))
    if (part.size > 1)
      order.push_back(index);
  SmallVector<size_t> inBase = order;
  llvm::stable_sort(order, [&](size_t a, size_t b) {
    return (*parts)[a].factor < (*parts)[b].factor;
  });
  bool transposed = order != inBase;
  if (sliced || transposed)
    planner.reshape(planner.withLeading(full));
  if (sliced)
    planner.add(ViewStep::Slice, planner.withLeading(seen),
                planner.withLeading(start, 0));
  if (transposed) {
    SmallVector<int64_t> dense, permutation, to;
    for (size_t index : inBase)
      dense.push_back(seen[index]);
    planner.reshape(planner.withLeading(dense));
    if (leading)
      permutation.push_back(0);
    for (size_t index : order) {
      permutation.push_back(llvm::find(inBase, index) - inBase.begin() +
                            leading);
      to.push_back(seen[index]);
    }
    planner.add(ViewStep::Transpose, planner.withLeading(to), permutation);
  }

  // Steps 4 and 5: runs of factors that walk the base, and repetitions.
  SmallVector<int64_t> merged, repeated, at;
  for (const IndexView::Dimension &dim : dims) {
    bool open = false;
    for (Factor factor : dim) {
      if (factor.stride && open) {
        merged.back() *= factor.size;
        repeated.back() *= factor.size;
        continue;
      }
      open = factor.stride;
      repeated.push_back(factor.size);
      if (!open)
        continue;
      merged.push_back(factor.size);
      at.push_back(repeated.size() - 1 + leading);
    }
  }
  if (merged.size() != repeated.size()) {
    planner.reshape(planner.withLeading(merged));
    if (leading)
      at.insert(at.begin(), 0);
    planner.add(ViewStep::Broadcast, planner.withLeading(repeated), at);
  }
  planner.reshape(resultShape);
  return planner.steps;
}
