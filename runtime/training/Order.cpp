//===- Order.cpp - Which sample comes when --------------------------------===//

#include "runtime/training/Order.h"

#include "runtime/diffusion/Philox.h"

#include <cassert>

using namespace dit::runtime;

Order::Order(int64_t size, uint64_t seed, uint64_t epoch)
    : size(size), seed(seed), epoch(epoch) {
  assert(size > 0 && size <= int64_t(1) << 62);
  while (uint64_t(1) << (2 * halfBits) < this->size)
    ++halfBits;
}

uint64_t Order::encrypt(uint64_t value) const {
  constexpr uint32_t rounds = 6;
  uint64_t mask = (uint64_t(1) << halfBits) - 1;
  uint64_t left = value >> halfBits, right = value & mask;
  for (uint32_t round = 0; round != rounds; ++round) {
    // halfBits <= 31: a half is a word.
    PhiloxWords words = philox(
        philoxCounter(static_cast<uint32_t>(right), epoch, round, SampleOrder),
        seed);
    uint64_t next = left ^ (words[0] & mask);
    left = right;
    right = next;
  }
  return left << halfBits | right;
}

int64_t Order::operator[](int64_t position) const {
  uint64_t value = position;
  do
    value = encrypt(value);
  while (value >= size);
  return static_cast<int64_t>(value);
}

bool dit::runtime::isMirrored(uint64_t seed, int64_t sample) {
  return philox(philoxCounter(0, sample, 0, Mirroring), seed)[0] & 1;
}
