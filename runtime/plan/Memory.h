//===- Memory.h - What a plan needs of the machine's memory ---------------===//
#ifndef DIT_RUNTIME_PLAN_MEMORY_H
#define DIT_RUNTIME_PLAN_MEMORY_H

#include "runtime/plan/plan.pb.h"

#include <cstdint>
#include <string>

namespace dit::plan {

/// Bytes a rank needs, by what they are for; padding belongs to what is padded,
/// members to their flat globals.
struct MemoryUse {
  uint64_t weights = 0;       // parameters and constants, in memory
  uint64_t mappedWeights = 0; // the same, mapped from the file
  uint64_t gradients = 0;     // in training
  uint64_t optimizer = 0;     // moments
  uint64_t averages = 0;      // of the weights
  uint64_t state = 0;         // other state, and tables
  uint64_t inputsOutputs = 0; // inputs and outputs
  uint64_t gaps = 0;          // between the globals
  uint64_t arena = 0;         // activations and workspaces

  uint64_t total() const {
    return weights + mappedWeights + gradients + optimizer + averages + state +
           inputsOutputs + gaps + arena;
  }
};

/// Adds up a plan's globals and arena.
MemoryUse memoryUse(const proto::Plan &plan);

/// Where what is mapped of the weights section ends, in bytes: what follows are
/// first values, which no device keeps.
uint64_t mappedEnd(const proto::Plan &plan);

/// The table that ditc and ditrun print: one line a use, exact bytes.
std::string printMemoryTable(const proto::Plan &plan);

/// A size for people, in decimal units: "17.39 MB".
std::string printBytes(uint64_t bytes);

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_MEMORY_H
