//===- Timeline.h - When each instruction ran -----------------------------===//
#ifndef DIT_RUNTIME_EXECUTOR_TIMELINE_H
#define DIT_RUNTIME_EXECUTOR_TIMELINE_H

#include "runtime/plan/plan.pb.h"

#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <vector>

namespace dit::runtime {

/// The instructions that ran, with their times: for traces and benchmarks.
class Timeline {
public:
  using Time = std::chrono::steady_clock::time_point;

  static Time now() { return std::chrono::steady_clock::now(); }

  /// One execution of one instruction of a function.
  struct Event {
    unsigned function;
    unsigned instruction;
    Time begin;
    Time end;
  };

  void add(unsigned function, unsigned instruction, Time begin, Time end) {
    events.push_back({function, instruction, begin, end});
  }
  void clear() { events.clear(); }
  const std::vector<Event> &all() const { return events; }

private:
  std::vector<Event> events;
};

/// "gemm", "attention", "copy", "fill", or a generated kernel's symbol.
std::string instructionName(const proto::Plan &plan,
                            const proto::Instruction &instruction);

/// Writes the timeline in Chrome's trace format (JSON): one process, one track
/// for the stream; times in microseconds from the first event.
void writeTrace(const proto::Plan &plan, const Timeline &timeline,
                llvm::raw_ostream &os);

} // namespace dit::runtime

#endif // DIT_RUNTIME_EXECUTOR_TIMELINE_H
