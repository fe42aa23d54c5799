//===- ThreadPoolTest.cpp - Every block once, whoever does it -------------===//

#include "runtime/devices/cpu/ThreadPool.h"

#include <gtest/gtest.h>

using namespace dit::runtime;

TEST(ThreadPoolTest, EveryBlockIsDoneOnce) {
  for (unsigned threads : {1u, 2u, 3u, 16u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t blocks : {0, 1, 2, 7, 100, 1000})
      for (auto [chunk, limit] : std::vector<std::pair<int64_t, unsigned>>{
               {1, 99}, {3, 99}, {1000, 99}, {1, 2}}) {
        std::vector<std::atomic<int>> done(blocks);
        std::atomic<bool> inRange = true;
        unsigned allowed = limit;
        pool.parallelFor(blocks, chunk, limit,
                         [&](unsigned thread, int64_t begin, int64_t end) {
                           inRange = inRange &&
                                     thread < std::min(threads, allowed) &&
                                     begin < end && end <= blocks;
                           for (int64_t i = begin; i != end; ++i)
                             ++done[i];
                         });
        EXPECT_TRUE(inRange);
        for (std::atomic<int> &count : done)
          ASSERT_EQ(count, 1);
      }
  }
}

TEST(ThreadPoolTest, ThreadIndicesDoNotOverlap) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> alone = true;
  for (int round = 0; round != 200; ++round)
    pool.parallelFor(64, 1, 4, [&](unsigned thread, int64_t, int64_t) {
      alone = alone && ++inside[thread] == 1;
      --inside[thread];
    });
  EXPECT_TRUE(alone);
}

TEST(ThreadPoolTest, ManyShortJobsInARow) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum = 0;
  for (int64_t job = 0; job != 20000; ++job)
    pool.parallelFor(4, 1, 2, [&](unsigned, int64_t begin, int64_t end) {
      sum += (end - begin) * job;
    });
  EXPECT_EQ(sum, 4 * int64_t(20000) * 19999 / 2);
}

TEST(ThreadPoolTest, WorkersWakeUpAfterAPause) {
  ThreadPool pool(2);
  for (int round = 0; round != 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int64_t> sum = 0;
    pool.parallelFor(10, 1, 2, [&](unsigned, int64_t begin, int64_t end) {
      for (int64_t i = begin; i != end; ++i)
        sum += i;
    });
    EXPECT_EQ(sum, 45);
  }
}

TEST(ThreadPoolTest, ThereIsACore) { EXPECT_GE(availableCores(), 1u); }
