//===- Terminal.h - Progress, notes and Ctrl-C ----------------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_TERMINAL_H
#define DIT_RUNTIME_TOOLS_DITRUN_TERMINAL_H

#include "llvm/ADT/Twine.h"

#include <chrono>
#include <string>

namespace dit::runtime {

/// What ditrun says on stderr. On a terminal progress is one line that is
/// written over; elsewhere a plain line every ten seconds.
class Terminal {
public:
  Terminal(bool quiet, bool verbose);
  ~Terminal();

  /// A line that appears but under -q.
  void note(const llvm::Twine &text);
  /// A line that appears under -v only.
  void detail(const llvm::Twine &text);
  /// A line that always appears.
  void warn(const llvm::Twine &text);

  /// Done so far of all, in units, and what else to say. Cheap: shows at most
  /// ten times a second.
  void progress(double done, double total, const llvm::Twine &text);
  /// Takes the progress line away.
  void clear();

private:
  using Clock = std::chrono::steady_clock;

  bool quiet, verbose, interactive;
  bool shown = false;
  Clock::time_point start = Clock::now(), last = start;
};

/// "0:07", "1:02:03".
std::string printSeconds(double seconds);

/// The shortest text of a number: "4", "1.5".
std::string printNumber(double value);

/// Bytes of memory this process occupies now.
uint64_t residentMemory();

/// From now on SIGINT and SIGTERM only set a flag; a second one ends the
/// process as usual.
void catchStopRequests();

/// Whether a stop was asked for.
bool stopRequested();

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TERMINAL_H
