//===- KernelData.h - Operands for the kernels' tests -----------*- C++ -*-===//
//
// An array of one element type that is read and written as doubles, filled
// with small random numbers or poison, and a runner that splits blocks.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_TEST_RUNTIME_KERNELS_KERNELDATA_H
#define DIT_TEST_RUNTIME_KERNELS_KERNELDATA_H

#include "runtime/kernels/tile/TileOperations.h"
#include "runtime/plan/ElementType.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

namespace dit::test {

/// An array of floating-point elements.
class Array {
public:
  Array() = default;
  Array(plan::ElementType type, int64_t count)
      : type(type),
        bytes(static_cast<size_t>(count * plan::elementBytes(type))) {}

  /// Uniform in [-1, 1], rounded to the type.
  static Array random(plan::ElementType type, int64_t count,
                      std::mt19937 &generator) {
    Array array(type, count);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int64_t i = 0; i != count; ++i)
      array.set(i, uniform(generator));
    return array;
  }

  /// NaN everywhere: whatever is read before it is written shows.
  static Array poison(plan::ElementType type, int64_t count) {
    Array array(type, count);
    for (int64_t i = 0; i != count; ++i)
      array.set(i, std::numeric_limits<float>::quiet_NaN());
    return array;
  }

  double operator[](int64_t index) const {
    double value;
    plan::convertFloats(type, at(index), plan::ElementType::F64, &value, 1);
    return value;
  }
  void set(int64_t index, double value) {
    plan::convertFloats(plan::ElementType::F64, &value, type, at(index), 1);
  }
  /// All elements, for loops that read them often.
  std::vector<double> doubles() const {
    std::vector<double> values(static_cast<size_t>(size()));
    plan::convertFloats(type, data(), plan::ElementType::F64, values.data(),
                        size());
    return values;
  }
  char *at(int64_t index) {
    return bytes.data() + index * plan::elementBytes(type);
  }
  const char *at(int64_t index) const {
    return bytes.data() + index * plan::elementBytes(type);
  }
  void *data() { return bytes.data(); }
  const void *data() const { return bytes.data(); }
  int64_t size() const {
    return static_cast<int64_t>(bytes.size()) / plan::elementBytes(type);
  }
  bool operator==(const Array &other) const = default;

  plan::ElementType type = plan::ElementType::F32;

private:
  std::vector<char> bytes;
};

/// Half the distance of neighbours near 1, relative: what storing costs.
inline double roundingOf(plan::ElementType type) {
  return type == plan::ElementType::F32   ? 0x1p-24
         : type == plan::ElementType::F16 ? 0x1p-11
                                          : 0x1p-8;
}

/// 64-byte aligned scratch memory full of NaN.
class Scratch {
public:
  explicit Scratch(size_t bytes)
      : memory(static_cast<char *>(std::aligned_alloc(64, bytes)), std::free) {
    std::memset(memory.get(), 0xff, bytes);
  }
  void *get() { return memory.get(); }

private:
  std::unique_ptr<char, void (*)(void *)> memory;
};

/// Runs all blocks in ranges of `step`, last range first, each with scratch
/// memory of its own: no split, order or leftover may matter.
template <typename Kernel, typename Pointers>
void runInSteps(const Kernel &kernel, const Pointers &pointers, int64_t step) {
  int64_t ranges = (kernel.blocks() + step - 1) / step;
  for (int64_t range = ranges - 1; range >= 0; --range) {
    Scratch scratch(kernel.scratchBytes());
    kernel.run(pointers, range * step,
               std::min(kernel.blocks(), (range + 1) * step), scratch.get());
  }
}

/// The instruction sets that this machine has, to test each.
inline std::vector<runtime::InstructionSet> instructionSets() {
  std::vector<runtime::InstructionSet> sets;
  for (int set = 0; set <= static_cast<int>(runtime::hostInstructionSet());
       ++set)
    sets.push_back(static_cast<runtime::InstructionSet>(set));
  return sets;
}

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_KERNELS_KERNELDATA_H
