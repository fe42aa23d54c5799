//===- ThreadPool.h - Runs blocks of work on all cores --------------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_THREADPOOL_H
#define DIT_RUNTIME_DEVICES_CPU_THREADPOOL_H

#include "llvm/ADT/STLFunctionalExtras.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace dit::runtime {

/// The calling thread and `threads` - 1 workers. Workers spin for a moment
/// after a job, so that the next one starts within a microsecond, then sleep.
///
/// A job never waits for a worker that has not begun it: on a busy machine the
/// others do its blocks. Which thread does which block is not defined, so
/// blocks must be independent.
class ThreadPool {
public:
  /// Does the blocks [begin, end) on thread `thread` of [0, threads()); no two
  /// calls of one thread overlap, so it may be the index of scratch memory.
  using Body =
      llvm::function_ref<void(unsigned thread, int64_t begin, int64_t end)>;

  /// `threads` at least 1.
  explicit ThreadPool(unsigned threads);
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;
  ~ThreadPool();

  /// Threads that work, the caller included.
  unsigned threads() const { return workers.size() + 1; }

  /// Calls `body` for all of [0, blocks) on up to `limit` threads, in pieces of
  /// `chunk` blocks (both at least 1); returns when all are done. Each thread
  /// begins with its own share, the same in every job, so that it finds in its
  /// caches what it wrote before; who is done helps the others. To be called by
  /// one thread at a time, and not from a body.
  void parallelFor(int64_t blocks, int64_t chunk, unsigned limit, Body body);

private:
  struct Job {
    const Body *body = nullptr;
    int64_t blocks = 0;
    int64_t chunk = 1;
    unsigned threads = 1;

    /// The first block of a thread's share.
    int64_t shareOf(unsigned thread) const { return blocks * thread / threads; }
  };

  // Written by different threads, so each on its own cache line.
  struct alignas(64) Counter {
    std::atomic<int64_t> value{0};
  };

  void work(unsigned thread);
  void takeBlocks(unsigned thread);
  void takeShare(unsigned thread, unsigned owner);

  Job job;
  alignas(64) std::atomic<int32_t> generation{0}; // grows with every job
  alignas(64) std::atomic<int32_t> active{0};     // workers inside the job
  alignas(64) std::atomic<unsigned> open{0};      // threads that may enter
  std::atomic<bool> stopping{false};
  const bool spins;
  std::vector<Counter> next; // first block of each share that nobody took
  std::vector<std::thread> workers;
};

/// The number of cores this process may run on (affinity and cgroup quota).
unsigned availableCores();

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_THREADPOOL_H
