//===- ThreadPool.cpp - Runs blocks of work on all cores ------------------===//
//
// The caller publishes a job, opens it and takes blocks like everybody else.
// When no block is left it closes the job and waits for those inside. A worker
// enters by raising `active` and looking at `open` again; caller and worker
// each write one of the two and read the other, both sequentially consistent,
// so either the worker sees the job closed or the caller sees the worker. The
// job itself changes only while it is closed and nobody is inside.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cpu/ThreadPool.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sched.h>
#include <string>

using namespace dit::runtime;

/// How long a worker looks for the next job before it sleeps. Longer than the
/// host needs between two instructions or two steps, short against a pause.
static constexpr std::chrono::microseconds spinTime(200);

static void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

ThreadPool::ThreadPool(unsigned threads)
    // With more threads than cores a spinning one keeps a working one waiting.
    : spins(threads <= availableCores()), next(threads) {
  for (unsigned i = 1; i < threads; ++i)
    workers.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stopping = true;
  generation.fetch_add(1);
  generation.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::takeShare(unsigned thread, unsigned owner) {
  std::atomic<int64_t> &first = next[owner].value;
  int64_t limit = job.shareOf(owner + 1);
  // Looking is cheaper than taking: most shares of others are done.
  while (first.load(std::memory_order_relaxed) < limit) {
    int64_t begin = first.fetch_add(job.chunk, std::memory_order_relaxed);
    if (begin >= limit)
      return;
    (*job.body)(thread, begin, std::min(begin + job.chunk, limit));
  }
}

void ThreadPool::takeBlocks(unsigned thread) {
  for (unsigned i = 0; i != job.threads; ++i)
    takeShare(thread, (thread + i) % job.threads);
}

void ThreadPool::work(unsigned thread) {
  int32_t seen = 0;
  while (true) {
    auto until = std::chrono::steady_clock::now() + spinTime;
    for (unsigned turn = 1; generation.load(std::memory_order_acquire) == seen;
         ++turn) {
      // Reading the clock takes longer than a turn.
      if (!spins ||
          (turn % 64 == 0 && std::chrono::steady_clock::now() > until)) {
        generation.wait(seen);
        break;
      }
      relax();
    }
    seen = generation.load(std::memory_order_acquire);
    if (stopping)
      return;
    if (open.load() <= thread)
      continue;
    active.fetch_add(1);
    if (open.load() > thread)
      takeBlocks(thread);
    active.fetch_sub(1);
  }
}

void ThreadPool::parallelFor(int64_t blocks, int64_t chunk, unsigned limit,
                             Body body) {
  if (blocks <= 0)
    return;
  int64_t pieces = (blocks + chunk - 1) / chunk;
  unsigned count = std::min<int64_t>(std::min(threads(), limit), pieces);
  if (count <= 1) {
    body(0, 0, blocks);
    return;
  }
  job = {&body, blocks, chunk, count};
  for (unsigned i = 0; i != count; ++i)
    next[i].value.store(job.shareOf(i), std::memory_order_relaxed);
  open.store(count);
  generation.fetch_add(1);
  generation.notify_all();
  takeBlocks(0);
  open.store(0);
  for (unsigned turn = 0; active.load() != 0; ++turn) {
    if (spins && turn < 4096)
      relax();
    else
      std::this_thread::yield();
  }
}

/// The quota of the control group in cores, or 0 where there is none.
static unsigned quotaCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0)
    return 0;
  double cores = std::strtod(quota.c_str(), nullptr) / period;
  return cores < 1 ? 1 : static_cast<unsigned>(cores + 0.5);
}

unsigned dit::runtime::availableCores() {
  cpu_set_t set;
  unsigned cores = std::thread::hardware_concurrency();
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    cores = CPU_COUNT(&set);
  if (unsigned quota = quotaCores())
    cores = std::min(cores, quota);
  return std::max(cores, 1u);
}
