//===- ThreadPool.cpp - Runs blocks of work on all cores ------------------===//
//
// The caller publishes a job, opens it and takes blocks like everybody else.
// When no block is left it closes the job and waits for those inside. A worker
// enters by raising `active` and looking at `open` again; caller and worker
// each write one of the two and read the other, both sequentially consistent,
// so either the worker sees the job closed or the caller sees the worker.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cpu/ThreadPool.h"

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
    : spins(threads <= availableCores()) {
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

void ThreadPool::takeBlocks(unsigned thread) {
  while (true) {
    int64_t begin = next.fetch_add(job.chunk, std::memory_order_relaxed);
    if (begin >= job.blocks)
      return;
    (*job.body)(thread, begin, std::min(begin + job.chunk, job.blocks));
  }
}

void ThreadPool::work(unsigned thread) {
  int32_t seen = 0;
  while (true) {
    auto until = std::chrono::steady_clock::now() + spinTime;
    while (generation.load(std::memory_order_acquire) == seen) {
      if (!spins || std::chrono::steady_clock::now() > until) {
        generation.wait(seen);
        break;
      }
      for (int i = 0; i != 16; ++i)
        relax();
    }
    seen = generation.load(std::memory_order_acquire);
    if (stopping)
      return;
    active.fetch_add(1);
    if (open.load())
      takeBlocks(thread);
    active.fetch_sub(1);
  }
}

void ThreadPool::parallelFor(int64_t blocks, int64_t chunk, Body body) {
  if (blocks <= 0)
    return;
  if (workers.empty() || blocks <= chunk) {
    body(0, 0, blocks);
    return;
  }
  job = {&body, blocks, chunk};
  next.store(0, std::memory_order_relaxed);
  open.store(true);
  generation.fetch_add(1);
  generation.notify_all();
  takeBlocks(0);
  open.store(false);
  for (int turns = 0; active.load() != 0; ++turns) {
    if (spins && turns < 4096)
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
