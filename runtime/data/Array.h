//===- Array.h - A tensor in host memory ----------------------------------===//
#ifndef DIT_RUNTIME_DATA_ARRAY_H
#define DIT_RUNTIME_DATA_ARRAY_H

#include "runtime/plan/ElementType.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <vector>

namespace dit::runtime {

/// Row-major values in this machine's byte order.
struct Array {
  plan::ElementType type = plan::ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;

  int64_t elements() const { return bytes.size() / plan::elementBytes(type); }
};

/// An array's values in another type. `lossy` is set when a value changed by
/// more than the rounding of a floating-point type: an integer out of range, a
/// fraction cut off, a finite number that became infinite.
Array convertArray(const Array &array, plan::ElementType type, bool &lossy);

/// The values as doubles (64-bit integers are rounded).
std::vector<double> arrayValues(const Array &array);

/// An fp32 array.
Array makeArray(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_ARRAY_H
