//===- IndexExpr.cpp - Symbolic indices of a kernel's points --------------===//
#include "compiler/codegen/IndexExpr.h"

#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace dit::codegen;

int64_t IndexExpr::getCoefficient(AtomId atom) const {
  for (auto [id, coefficient] : terms)
    if (id == atom)
      return coefficient;
  return 0;
}

IndexExpr dit::codegen::operator+(const IndexExpr &lhs, const IndexExpr &rhs) {
  IndexExpr sum(lhs.constant + rhs.constant);
  const auto *left = lhs.terms.begin(), *right = rhs.terms.begin();
  while (left != lhs.terms.end() || right != rhs.terms.end()) {
    if (right == rhs.terms.end() ||
        (left != lhs.terms.end() && left->first < right->first)) {
      sum.terms.push_back(*left++);
    } else if (left == lhs.terms.end() || right->first < left->first) {
      sum.terms.push_back(*right++);
    } else {
      if (int64_t coefficient = left->second + right->second)
        sum.terms.push_back({left->first, coefficient});
      ++left, ++right;
    }
  }
  return sum;
}

IndexExpr dit::codegen::operator*(const IndexExpr &lhs, int64_t factor) {
  if (factor == 0)
    return {};
  IndexExpr product = lhs;
  product.constant *= factor;
  for (auto &term : product.terms)
    term.second *= factor;
  return product;
}

IndexExpr dit::codegen::operator-(const IndexExpr &lhs, const IndexExpr &rhs) {
  return lhs + rhs * -1;
}

AtomId IndexTable::createVariable(IndexRange range, unsigned depth,
                                  bool isVector) {
  atoms.push_back({Atom::Variable, range, depth, isVector, {}, 1});
  return atoms.size() - 1;
}

IndexExpr IndexTable::get(AtomId atom) {
  IndexExpr expr;
  expr.terms.push_back({atom, 1});
  return expr;
}

AtomId IndexTable::intern(Atom atom) {
  std::tuple key(static_cast<int>(atom.kind), atom.inner,
                 atom.kind == Atom::Clamp ? atom.range.low : atom.divisor,
                 atom.range.high);
  auto [place, isNew] = interned.try_emplace(key, atoms.size());
  if (isNew)
    atoms.push_back(std::move(atom));
  return place->second;
}

IndexExpr IndexTable::floorDiv(const IndexExpr &expr, int64_t divisor) {
  if (divisor == 1)
    return expr;
  // What the divisor divides leaves the quotient exactly.
  IndexExpr whole(llvm::divideFloorSigned(expr.constant, divisor));
  IndexExpr rest(expr.constant - whole.constant * divisor);
  for (auto [atom, coefficient] : expr.terms) {
    if (coefficient % divisor == 0)
      whole = whole + get(atom) * (coefficient / divisor);
    else
      rest = rest + get(atom) * coefficient;
  }
  IndexRange range = getRange(rest);
  int64_t low = llvm::divideFloorSigned(range.low, divisor);
  int64_t high = llvm::divideFloorSigned(range.high, divisor);
  if (low == high)
    return whole + IndexExpr(low);

  // (g·x + y) / (g·c) = x / c where 0 <= y < g.
  for (auto [atom, coefficient] : rest.terms) {
    int64_t factor = std::gcd(coefficient, divisor);
    if (factor == 1)
      continue;
    IndexExpr coarse(rest.constant / factor), fine(rest.constant % factor);
    for (auto [other, times] : rest.terms) {
      if (times % factor == 0)
        coarse = coarse + get(other) * (times / factor);
      else
        fine = fine + get(other) * times;
    }
    IndexRange fineRange = getRange(fine);
    if (fineRange.low >= 0 && fineRange.high < factor)
      return whole + floorDiv(coarse, divisor / factor);
  }

  // (x / a + k) / b = (x + a·k) / (a·b).
  if (rest.terms.size() == 1 && rest.terms[0].second == 1) {
    const Atom &atom = atoms[rest.terms[0].first];
    if (atom.kind == Atom::Quotient)
      return whole +
             floorDiv(atom.inner + IndexExpr(rest.constant * atom.divisor),
                      atom.divisor * divisor);
  }
  return whole + get(intern({Atom::Quotient,
                             {low, high},
                             getDepth(rest),
                             isVector(rest),
                             rest,
                             divisor}));
}

IndexExpr IndexTable::mod(const IndexExpr &expr, int64_t divisor) {
  return expr - floorDiv(expr, divisor) * divisor;
}

IndexExpr IndexTable::clamp(const IndexExpr &expr, IndexRange range) {
  IndexRange given = getRange(expr);
  if (given.low >= range.low && given.high <= range.high)
    return expr;
  if (given.high <= range.low)
    return IndexExpr(range.low);
  if (given.low >= range.high)
    return IndexExpr(range.high);
  return get(
      intern({Atom::Clamp, range, getDepth(expr), isVector(expr), expr, 1}));
}

IndexRange IndexTable::getRange(const IndexExpr &expr) const {
  IndexRange range = {expr.constant, expr.constant};
  for (auto [atom, coefficient] : expr.terms) {
    IndexRange part = atoms[atom].range;
    range.low += coefficient * (coefficient > 0 ? part.low : part.high);
    range.high += coefficient * (coefficient > 0 ? part.high : part.low);
  }
  // m·(x - c·(x / c)) is m times a remainder, whatever the range of x.
  for (auto [atom, coefficient] : expr.terms) {
    const Atom &quotient = atoms[atom];
    if (quotient.kind != Atom::Quotient || coefficient % quotient.divisor)
      continue;
    int64_t times = -coefficient / quotient.divisor;
    IndexExpr remainder = quotient.inner - get(atom) * quotient.divisor;
    IndexExpr others = expr - remainder * times;
    if (others.terms.size() >= expr.terms.size())
      continue;
    IndexRange rest = getRange(others);
    int64_t span = times * (quotient.divisor - 1);
    range.low = std::max(range.low, rest.low + std::min<int64_t>(span, 0));
    range.high = std::min(range.high, rest.high + std::max<int64_t>(span, 0));
  }
  return range;
}

unsigned IndexTable::getDepth(const IndexExpr &expr) const {
  unsigned depth = 0;
  for (auto term : expr.terms)
    depth = std::max(depth, atoms[term.first].depth);
  return depth;
}

unsigned IndexTable::getDepth(const Index &index) const {
  unsigned depth = 0;
  for (const IndexExpr &expr : index)
    depth = std::max(depth, getDepth(expr));
  return depth;
}

bool IndexTable::isVector(const IndexExpr &expr) const {
  return llvm::any_of(expr.terms,
                      [&](auto term) { return atoms[term.first].isVector; });
}

bool IndexTable::isVector(const Index &index) const {
  return llvm::any_of(index,
                      [&](const IndexExpr &expr) { return isVector(expr); });
}

IndexExpr IndexTable::linearize(const Index &index,
                                llvm::ArrayRef<int64_t> shape) const {
  IndexExpr linear;
  for (auto [expr, size] : llvm::zip_equal(index, shape))
    linear = linear * size + expr;
  return linear;
}

Index IndexTable::delinearize(const IndexExpr &linear,
                              llvm::ArrayRef<int64_t> shape) {
  Index index(shape.size());
  IndexExpr rest = linear;
  for (size_t dim = shape.size(); dim-- > 0;) {
    if (shape[dim] == 1)
      continue;
    // The outermost index needs no remainder: positions are in bounds.
    bool isOutermost = llvm::all_of(shape.take_front(dim),
                                    [](int64_t size) { return size == 1; });
    index[dim] = isOutermost ? rest : mod(rest, shape[dim]);
    if (!isOutermost)
      rest = floorDiv(rest, shape[dim]);
  }
  return index;
}
