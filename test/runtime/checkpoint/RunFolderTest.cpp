//===- RunFolderTest.cpp - Checkpoints that are whole or not there --------===//
//
// The process is killed, really, before each of the system calls of a save,
// and at random moments; what is left must always be a run one can go on from.
//
//===----------------------------------------------------------------------===//

#include "runtime/checkpoint/CheckpointWriter.h"
#include "runtime/checkpoint/ResumePoint.h"
#include "runtime/checkpoint/Safetensors.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dit;
using namespace dit::runtime;
using dit::plan::ElementType;
using dit::plan::Exit;

/// Two files whose numbers follow from the step.
static std::vector<TensorFile> filesOf(int64_t step) {
  auto values = [step](size_t index, llvm::MutableArrayRef<uint8_t> bytes) {
    for (size_t i = 0; i != bytes.size(); ++i)
      bytes[i] = step * 31 + index * 7 + i;
    return llvm::Error::success();
  };
  std::vector<TensorEntry> entries = {{"a", ElementType::F32, {3, 5}},
                                      {"b", ElementType::F32, {40}}};
  return {{"model.safetensors", entries, values},
          {"optimizer.safetensors", {entries[0]}, values}};
}

static Manifest manifestOf(int64_t step) {
  Manifest manifest;
  manifest.step = step;
  manifest.samples = 16 * step;
  manifest.plan = "plan";
  return manifest;
}

namespace {

/// A run's folder that is removed at the end.
struct RunFolderTest : testing::Test {
  RunFolderTest() {
    llvm::cantFail(llvm::errorCodeToError(
        llvm::sys::fs::createUniqueDirectory("run-folder", base)));
    path = (base + "/run").str();
  }
  ~RunFolderTest() override { llvm::sys::fs::remove_directories(base); }

  RunFolder open() { return llvm::cantFail(RunFolder::open(path)); }
  void save(RunFolder &run, int64_t step) {
    llvm::cantFail(run.write(manifestOf(step), filesOf(step)));
  }
  std::vector<std::string> names(llvm::StringRef folder) {
    std::vector<std::string> result;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator i(folder, error, false), end;
         i != end && !error; i.increment(error))
      result.push_back(llvm::sys::path::filename(i->path()).str());
    llvm::sort(result);
    return result;
  }
  std::vector<std::string> names() { return names(path); }
  std::string latest() {
    char target[256] = {};
    EXPECT_GT(::readlink((path + "/latest").c_str(), target, 255), 0);
    return target;
  }
  /// Verifies a checkpoint and every byte of its tensors.
  void expectWhole(llvm::StringRef folder) {
    llvm::Expected<Manifest> manifest = verifyCheckpoint(folder);
    ASSERT_TRUE(static_cast<bool>(manifest))
        << plan::describe(manifest.takeError()).second;
    for (const TensorFile &file : filesOf(manifest->step)) {
      Safetensors tensors =
          llvm::cantFail(Safetensors::open((folder + "/" + file.name).str()));
      for (auto [index, entry] : llvm::enumerate(file.tensors)) {
        const Safetensors::Tensor *tensor = tensors.find(entry.name);
        ASSERT_TRUE(tensor);
        std::vector<uint8_t> expected(tensor->bytes.size());
        llvm::cantFail(file.values(index, expected));
        EXPECT_EQ(tensor->bytes.vec(), expected);
      }
    }
  }
  /// What must hold of a folder whenever a process died in it.
  void expectValid(int64_t leastStep) {
    RunFolder run = open();
    for (const std::string &name : names())
      EXPECT_FALSE(llvm::StringRef(name).starts_with(".")) << name;
    std::vector<RunFolder::Entry> entries = run.checkpoints();
    for (const RunFolder::Entry &entry : entries)
      expectWhole(entry.path);
    if (leastStep) {
      ASSERT_FALSE(entries.empty());
      EXPECT_GE(entries.front().step, leastStep);
      EXPECT_TRUE(llvm::is_contained(names(), latest()));
    }
  }

  llvm::SmallString<128> base;
  std::string path;
};

} // namespace

TEST_F(RunFolderTest, SavesAndKeeps) {
  RunFolder run = open();
  for (int64_t step : {100, 200, 300})
    save(run, step);
  EXPECT_EQ(names(),
            (std::vector<std::string>{"latest", "step-0000000100",
                                      "step-0000000200", "step-0000000300"}));
  EXPECT_EQ(latest(), "step-0000000300");
  EXPECT_EQ(names(path + "/latest"),
            (std::vector<std::string>{"manifest.json", "model.safetensors",
                                      "optimizer.safetensors"}));
  std::vector<RunFolder::Entry> entries = run.checkpoints();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].step, 300);
  EXPECT_EQ(entries[0].number, 3);
  for (const RunFolder::Entry &entry : entries)
    expectWhole(entry.path);
  llvm::cantFail(run.keepNewest(2));
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-0000000200",
                                               "step-0000000300"}));
}

// A run that went on from an older step: what it writes is newer than the
// checkpoints of higher steps, and replaces those of the same step.
TEST_F(RunFolderTest, NewestIsWhatWasWrittenLast) {
  RunFolder run = open();
  for (int64_t step : {100, 200, 300, 150, 200})
    save(run, step);
  std::vector<int64_t> steps;
  for (const RunFolder::Entry &entry : run.checkpoints())
    steps.push_back(entry.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{200, 150, 300, 100}));
  EXPECT_EQ(latest(), "step-0000000200");
  llvm::cantFail(run.keepNewest(2));
  EXPECT_EQ(run.checkpoints().size(), 2u);
  EXPECT_EQ(run.checkpoints()[1].step, 150);
}

TEST_F(RunFolderTest, IsForOneProcess) {
  RunFolder run = open();
  llvm::Expected<RunFolder> second = RunFolder::open(path);
  ASSERT_FALSE(static_cast<bool>(second));
  auto [code, text] = plan::describe(second.takeError());
  EXPECT_EQ(code, Exit::CannotCreate);
  EXPECT_NE(text.find("another process"), std::string::npos);
}

TEST_F(RunFolderTest, RemovesPicturesThatWereBeingWritten) {
  std::string samples = path + "/samples";
  llvm::cantFail(
      llvm::errorCodeToError(llvm::sys::fs::create_directories(samples)));
  for (const char *name :
       {"step-0000000010.png", "step-0000000020.png.partial-a1B2c3"}) {
    std::error_code error;
    llvm::raw_fd_ostream(samples + "/" + name, error) << "picture";
  }
  RunFolder run = open();
  EXPECT_EQ(names(samples), std::vector<std::string>{"step-0000000010.png"});
}

TEST_F(RunFolderTest, VerifyFindsEveryFlippedBit) {
  {
    RunFolder run = open();
    save(run, 1);
  }
  std::string folder = path + "/step-0000000001";
  for (const std::string &name : names(folder)) {
    std::string file = folder + "/" + name;
    auto buffer = llvm::cantFail(llvm::errorOrToExpected(
        llvm::MemoryBuffer::getFile(file, false, false)));
    std::string text = buffer->getBuffer().str();
    auto put = [&](const std::string &contents) {
      std::error_code error;
      llvm::raw_fd_ostream(file, error) << contents;
    };
    for (size_t byte = 0; byte != text.size(); ++byte) {
      std::string damaged = text;
      damaged[byte] ^= 1 << (byte % 8);
      put(damaged);
      llvm::Expected<Manifest> manifest = verifyCheckpoint(folder);
      EXPECT_FALSE(static_cast<bool>(manifest)) << name << " byte " << byte;
      llvm::consumeError(manifest.takeError());
    }
    for (size_t size = 0; size != text.size(); ++size) {
      put(text.substr(0, size));
      llvm::Expected<Manifest> manifest = verifyCheckpoint(folder);
      EXPECT_FALSE(static_cast<bool>(manifest)) << name << " size " << size;
      llvm::consumeError(manifest.takeError());
    }
    put(text);
    expectWhole(folder);
    llvm::sys::fs::remove(file);
    EXPECT_EQ(plan::describe(verifyCheckpoint(folder).takeError()).first,
              Exit::Missing);
    put(text);
  }
}

/// Runs `work` in a child that ends without a word before the `fatal`-th
/// change; says whether it came to its end before.
static bool survives(const std::string &path, int fatal,
                     llvm::function_ref<void(RunFolder &)> work) {
  pid_t child = ::fork();
  if (child == 0) {
    RunFolder run = llvm::cantFail(RunFolder::open(path));
    int changes = 0;
    run.beforeEachChange([&](llvm::StringRef) {
      if (changes++ == fatal)
        ::raise(SIGKILL);
    });
    work(run);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(RunFolderTest, KilledBetweenAnyTwoCalls) {
  {
    RunFolder run = open();
    save(run, 10);
    save(run, 20);
  }
  int fatal = 0;
  auto work = [&](RunFolder &run) {
    save(run, 30);
    llvm::cantFail(run.keepNewest(2));
  };
  for (; !survives(path, fatal, work); ++fatal) {
    expectValid(20);
    ASSERT_LT(fatal, 100);
  }
  EXPECT_GT(fatal, 15); // it was killed at as many places
  expectValid(30);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-0000000020",
                                               "step-0000000030"}));
}

// The same while a checkpoint of the same step is replaced.
TEST_F(RunFolderTest, KilledWhileReplacing) {
  {
    RunFolder run = open();
    save(run, 30);
  }
  int fatal = 0;
  for (; !survives(path, fatal, [&](RunFolder &run) { save(run, 30); });
       ++fatal) {
    expectValid(30);
    ASSERT_LT(fatal, 100);
  }
  EXPECT_GT(fatal, 10);
  expectValid(30);
}

TEST_F(RunFolderTest, KilledAtRandomMoments) {
  constexpr int kills = 300;
  // Moments in the time of some saves, however fast the disk is.
  auto start = std::chrono::steady_clock::now();
  for (int64_t step : {1, 2, 3, 4}) {
    RunFolder run = open();
    save(run, step);
  }
  unsigned span = std::chrono::duration_cast<std::chrono::microseconds>(
                      std::chrono::steady_clock::now() - start)
                      .count() +
                  1;
  int64_t least = 0;
  unsigned state = 1;
  for (int kill = 0; kill != kills; ++kill) {
    pid_t child = ::fork();
    if (child == 0) {
      RunFolder run = llvm::cantFail(RunFolder::open(path));
      CheckpointWriter writer(run, 3);
      std::vector<RunFolder::Entry> entries = run.checkpoints();
      for (int64_t step = entries.empty() ? 1 : entries.front().step + 1;;
           ++step)
        llvm::cantFail(writer.start(manifestOf(step), filesOf(step)));
    }
    state = state * 1664525 + 1013904223;
    ::usleep(500 + (state >> 8) % span);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    expectValid(least);
    if (HasFatalFailure())
      return;
    RunFolder run = open();
    if (!run.checkpoints().empty())
      least = run.checkpoints().front().step;
  }
  EXPECT_GT(least, kills / 10);
  RunFolder run = open();
  CheckpointWriter writer(run, 3);
  llvm::cantFail(writer.start(manifestOf(least + 1), filesOf(least + 1)));
  llvm::cantFail(writer.finish());
  EXPECT_EQ(run.checkpoints().size(), 3u);
}

TEST_F(RunFolderTest, FullDiskLeavesNothing) {
  RunFolder run = open();
  save(run, 1);
  // Files may not grow past 300 bytes: writing the tensors fails.
  std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit old, little;
  ::getrlimit(RLIMIT_FSIZE, &old);
  little = old;
  little.rlim_cur = 300;
  ::setrlimit(RLIMIT_FSIZE, &little);
  CheckpointWriter writer(run, 0);
  llvm::cantFail(writer.start(manifestOf(2), filesOf(2)));
  llvm::Error error = writer.finish();
  ::setrlimit(RLIMIT_FSIZE, &old);
  auto [code, text] = plan::describe(std::move(error));
  EXPECT_EQ(code, Exit::InputOutput) << text;
  EXPECT_NE(text.find("model.safetensors"), std::string::npos) << text;
  EXPECT_FALSE(writer.lastStep());
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-0000000001"}));
}

//===----------------------------------------------------------------------===//
// Which checkpoint a run goes on from
//===----------------------------------------------------------------------===//

TEST_F(RunFolderTest, GoesOnFromTheNewestWholeOne) {
  RunFolder run = open();
  EXPECT_FALSE(llvm::cantFail(findResumePoint(run)));
  EXPECT_EQ(plan::describe(openResumePoint(path).takeError()).first,
            Exit::Missing);
  for (int64_t step : {1, 2, 3})
    save(run, step);
  EXPECT_EQ(llvm::cantFail(findResumePoint(run))->manifest.step, 3);

  llvm::sys::fs::remove(path + "/step-0000000003/model.safetensors");
  ResumePoint point = *llvm::cantFail(findResumePoint(run));
  EXPECT_EQ(point.manifest.step, 2);
  EXPECT_EQ(point.manifest.samples, 32);
  ASSERT_EQ(point.damaged.size(), 1u);
  EXPECT_NE(point.damaged[0].find("step-0000000003"), std::string::npos);
  EXPECT_EQ(llvm::cantFail(openResumePoint(path + "/")).manifest.step, 2);
  EXPECT_EQ(
      llvm::cantFail(openResumePoint(path + "/step-0000000001")).manifest.step,
      1);

  for (const char *step : {"1", "2"})
    llvm::sys::fs::remove(path + "/step-000000000" + step + "/manifest.json");
  auto [code, text] = plan::describe(findResumePoint(run).takeError());
  EXPECT_EQ(code, Exit::Malformed);
  for (const char *step :
       {"step-0000000001", "step-0000000002", "step-0000000003"})
    EXPECT_NE(text.find(step), std::string::npos) << text;
}
