//===- LateDevice.h - A device that does everything at the last moment ----===//
//
// What is enqueued, commands and copies, waits until the host does: then as
// little of it is done as will do. What the host writes or reads without regard
// to that order goes wrong each time, and not one time in a thousand.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_TEST_RUNTIME_DEVICES_LATEDEVICE_H
#define DIT_TEST_RUNTIME_DEVICES_LATEDEVICE_H

#include "runtime/devices/cpu/CpuDevice.h"

#include <deque>
#include <functional>

namespace dit::test {

/// The CPU behind the host's back; errors end the test.
class LateDevice : public runtime::Device {
public:
  std::string description() const override { return "a device that is late"; }
  llvm::Error load(const plan::PlanView &plan) override {
    return cpu->load(plan);
  }
  llvm::Expected<std::unique_ptr<runtime::Command>>
  prepare(const proto::Instruction &instruction) override {
    return cpu->prepare(instruction);
  }
  llvm::Error enqueue(runtime::Command &command) override {
    ++commands;
    work.push_back([this, &command] {
      llvm::cantFail(cpu->enqueue(command));
      ++commandsDone;
    });
    return llvm::Error::success();
  }
  llvm::Error waitFor(uint64_t pending) override {
    while (commands - commandsDone > pending)
      doNext();
    while (!pending && !work.empty())
      doNext();
    return llvm::Error::success();
  }
  llvm::Error copyIn(unsigned global, uint64_t offset,
                     llvm::ArrayRef<uint8_t> bytes) override {
    work.push_back([=, this, kept = bytes.vec()] {
      llvm::cantFail(cpu->copyIn(global, offset, kept));
    });
    return llvm::Error::success();
  }
  llvm::Error copyOut(unsigned global, uint64_t offset,
                      llvm::MutableArrayRef<uint8_t> bytes) override {
    if (llvm::Error error = synchronize())
      return error;
    return cpu->copyOut(global, offset, bytes);
  }
  llvm::Expected<std::unique_ptr<runtime::Arrival>>
  startCopyOut(llvm::ArrayRef<Part> parts) override {
    auto arrival = std::make_unique<LateArrival>(*this);
    work.push_back([this, asked = parts.vec(), read = arrival->read] {
      read->arrival = llvm::cantFail(cpu->startCopyOut(asked));
    });
    return arrival;
  }
  bool worksOnItsOwn() const override { return true; }
  void hostParallel(int64_t count,
                    llvm::function_ref<void(int64_t, int64_t)> body) override {
    body(0, count);
  }

  uint64_t commands = 0, commandsDone = 0;
  std::function<void()> onAwait = [] {};

private:
  struct Read {
    std::unique_ptr<runtime::Arrival> arrival;
  };

  class LateArrival : public runtime::Arrival {
  public:
    explicit LateArrival(LateDevice &device) : device(device) {}
    llvm::Expected<std::vector<std::vector<uint8_t>>> await() override {
      device.onAwait();
      while (!read->arrival)
        device.doNext();
      return read->arrival->await();
    }
    std::shared_ptr<Read> read = std::make_shared<Read>();

  private:
    LateDevice &device;
  };

  void doNext() {
    work.front()();
    work.pop_front();
  }

  std::unique_ptr<runtime::Device> cpu = runtime::createCpuDevice(1);
  std::deque<std::function<void()>> work;
};

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_DEVICES_LATEDEVICE_H
