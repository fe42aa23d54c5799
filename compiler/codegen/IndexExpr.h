//===- IndexExpr.h - Symbolic indices of a kernel's points ------*- C++ -*-===//
//
// Where an element of a tensor lies, as a sum of atoms: loop indices, quotients
// by constants, clamped indices, and rows looked up in a table. Remainders are
// written x - c * (x / c), so that splitting an index and joining it again
// cancels by itself, and a contiguous access is seen as such through any chain
// of reshapes.
//
//===----------------------------------------------------------------------===//
#ifndef COMPILER_CODEGEN_INDEXEXPR_H
#define COMPILER_CODEGEN_INDEXEXPR_H

#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace dit::codegen {

/// Names an atom of one `IndexTable`.
using AtomId = unsigned;

/// `constant + Σ coefficient · atom`, atoms increasing, no coefficient zero.
struct IndexExpr {
  llvm::SmallVector<std::pair<AtomId, int64_t>, 4> terms;
  int64_t constant = 0;

  IndexExpr() = default;
  IndexExpr(int64_t constant) : constant(constant) {}

  bool isConstant() const { return terms.empty(); }
  /// The coefficient of `atom`, 0 where it does not occur.
  int64_t getCoefficient(AtomId atom) const;
  bool operator==(const IndexExpr &other) const {
    return constant == other.constant && terms == other.terms;
  }
  bool operator<(const IndexExpr &other) const {
    return std::tie(constant, terms) < std::tie(other.constant, other.terms);
  }
};

IndexExpr operator+(const IndexExpr &lhs, const IndexExpr &rhs);
IndexExpr operator-(const IndexExpr &lhs, const IndexExpr &rhs);
IndexExpr operator*(const IndexExpr &lhs, int64_t factor);

/// A multi-index: one expression a dimension.
using Index = llvm::SmallVector<IndexExpr, 4>;

/// The least and the greatest value of an expression, both included.
struct IndexRange {
  int64_t low, high;
};

/// What an atom stands for.
struct Atom {
  enum Kind {
    /// A loop's index, or a value computed elsewhere (a gathered row).
    Variable,
    /// ⌊inner / divisor⌋.
    Quotient,
    /// min(max(inner, range.low), range.high).
    Clamp
  };
  Kind kind;
  IndexRange range;
  /// Nesting depth of the loop that the atom changes in (0: never).
  unsigned depth;
  /// Whether it differs from lane to lane of a vector.
  bool isVector;
  IndexExpr inner;
  int64_t divisor = 1;
};

/// Makes atoms and keeps them: equal quotients are one atom.
class IndexTable {
public:
  /// A fresh variable in `range`, which changes in the loop of `depth`.
  AtomId createVariable(IndexRange range, unsigned depth, bool isVector);

  /// The expression that is the one atom.
  static IndexExpr get(AtomId atom);

  /// ⌊expr / divisor⌋ and the non-negative rest; divisor > 0.
  IndexExpr floorDiv(const IndexExpr &expr, int64_t divisor);
  IndexExpr mod(const IndexExpr &expr, int64_t divisor);

  /// The nearest value to `expr` in `range`.
  IndexExpr clamp(const IndexExpr &expr, IndexRange range);

  const Atom &operator[](AtomId atom) const { return atoms[atom]; }
  IndexRange getRange(const IndexExpr &expr) const;
  /// The depth of the deepest loop that the expression changes in.
  unsigned getDepth(const IndexExpr &expr) const;
  unsigned getDepth(const Index &index) const;
  bool isVector(const IndexExpr &expr) const;
  bool isVector(const Index &index) const;

  /// Row-major position of `index` in `shape`.
  IndexExpr linearize(const Index &index, llvm::ArrayRef<int64_t> shape) const;
  /// The index of the element at position `linear` of `shape`.
  Index delinearize(const IndexExpr &linear, llvm::ArrayRef<int64_t> shape);

private:
  AtomId intern(Atom atom);

  std::vector<Atom> atoms;
  std::map<std::tuple<int, IndexExpr, int64_t, int64_t>, AtomId> interned;
};

} // namespace dit::codegen

#endif // COMPILER_CODEGEN_INDEXEXPR_H
