//===- Order.h - Which sample comes when ----------------------------------===//
#ifndef DIT_RUNTIME_TRAINING_ORDER_H
#define DIT_RUNTIME_TRAINING_ORDER_H

#include <cstdint>

namespace dit::runtime {

/// A permutation of 0 .. size - 1 that depends on (seed, epoch) alone and needs
/// no memory: a Feistel network over the next power of four, walked along its
/// cycle until it is below `size` (Black and Rogaway, "Ciphers with arbitrary
/// finite domains", 2002). Fewer than four evaluations on average.
class Order {
public:
  /// `size` from 1 to 2^62.
  Order(int64_t size, uint64_t seed, uint64_t epoch);

  /// What stands at `position`, which is below the size.
  int64_t operator[](int64_t position) const;

private:
  uint64_t encrypt(uint64_t value) const;

  uint64_t size;
  uint64_t seed;
  uint64_t epoch;
  unsigned halfBits = 1;
};

/// Whether the sample of this number is mirrored: every other one, at random,
/// by (seed, sample) alone.
bool isMirrored(uint64_t seed, int64_t sample);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TRAINING_ORDER_H
