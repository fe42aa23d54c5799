//===- Terminal.cpp - Progress, notes and Ctrl-C --------------------------===//

#include "runtime/tools/ditrun/Terminal.h"

#include "runtime/plan/Memory.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <csignal>
#include <fstream>
#include <unistd.h>

using namespace dit;
using namespace dit::runtime;

Terminal::Terminal(bool quiet, bool verbose)
    : quiet(quiet), verbose(verbose), interactive(::isatty(2)) {}

Terminal::~Terminal() { clear(); }

void Terminal::note(const llvm::Twine &text) {
  if (quiet)
    return;
  clear();
  llvm::errs() << text << "\n";
}

void Terminal::detail(const llvm::Twine &text) {
  if (verbose)
    note(text);
}

void Terminal::warn(const llvm::Twine &text) {
  clear();
  llvm::errs() << "ditrun: warning: " << text << "\n";
}

void Terminal::clear() {
  if (shown)
    llvm::errs() << "\r\x1b[K";
  shown = false;
}

void Terminal::progress(double done, double total, const llvm::Twine &text) {
  Clock::time_point now = Clock::now();
  double pause = interactive ? 0.1 : 10;
  if (quiet || std::chrono::duration<double>(now - last).count() < pause)
    return;
  last = now;
  double passed = std::chrono::duration<double>(now - start).count();
  std::string line;
  llvm::raw_string_ostream os(line);
  os << text;
  if (done > 0)
    os << llvm::format(", %.1f a second, ", done / passed)
       << printSeconds(passed * (total - done) / done) << " left";
  os << ", " << plan::printBytes(residentMemory());
  if (!interactive) {
    llvm::errs() << line << "\n";
    return;
  }
  llvm::errs() << "\r\x1b[K" << line;
  shown = true;
}

std::string dit::runtime::printSeconds(double seconds) {
  long whole = static_cast<long>(seconds + 0.5);
  std::string text;
  llvm::raw_string_ostream os(text);
  if (whole >= 3600)
    os << whole / 3600 << ":" << llvm::format("%02ld", whole / 60 % 60);
  else
    os << whole / 60;
  os << ":" << llvm::format("%02ld", whole % 60);
  return text;
}

std::string dit::runtime::printNumber(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

uint64_t dit::runtime::residentMemory() {
  std::ifstream file("/proc/self/statm");
  uint64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

static std::atomic<bool> stopFlag{false};

static void onStop(int) { stopFlag = true; }

void dit::runtime::catchStopRequests() {
  struct sigaction action = {};
  action.sa_handler = onStop;
  // Once: the second signal finds the default again and ends the process.
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool dit::runtime::stopRequested() { return stopFlag; }
