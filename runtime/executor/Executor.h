//===- Executor.h - Runs the functions of a plan --------------------------===//
#ifndef DIT_RUNTIME_EXECUTOR_EXECUTOR_H
#define DIT_RUNTIME_EXECUTOR_EXECUTOR_H

#include "runtime/devices/Device.h"
#include "runtime/executor/Timeline.h"

#include "llvm/ADT/StringMap.h"

#include <map>
#include <optional>
#include <vector>

namespace dit::runtime {

/// A loaded plan: its functions as lists of prepared commands, and access to
/// its globals by name.
class Executor {
public:
  /// Loads `plan` on `device` and prepares every function. Both must outlive
  /// the executor. Exit::Unsupported lists all instructions that the device
  /// cannot do.
  static llvm::Expected<std::unique_ptr<Executor>>
  create(const plan::PlanView &plan, Device &device);
  /// Waits for what was started: it runs commands that go now.
  ~Executor();

  /// The plan that runs.
  const proto::Plan &metadata() const { return view.metadata; }
  Device &device() const { return target; }
  /// The plan's weights section.
  llvm::ArrayRef<uint8_t> weights() const { return view.weights; }

  /// What create() did: the device's stages, then the instructions.
  llvm::ArrayRef<Stage> startStages() const { return stages; }

  /// The number of the function for a step ("forward", "sample_step"), or
  /// nothing where the plan has none.
  std::optional<unsigned> findStep(llvm::StringRef step) const;

  /// Runs a function to its end; from the second time on by what the device
  /// recorded, where it records. With a timeline, every instruction is timed
  /// (by the device, where it has a clock) and added to it.
  llvm::Error run(unsigned function, Timeline *timeline = nullptr);

  /// Has the device run a function after those before, and comes back while it
  /// does: where the device works on its own, a few functions are under way and
  /// it never waits for the host. Errors may be of any of these.
  ///
  /// `background` is a function that runs first: a device that works on its own
  /// does it beside as much of `function` as does not need it.
  llvm::Error start(unsigned function,
                    std::optional<unsigned> background = std::nullopt);

  /// Waits until all that was started is done.
  llvm::Error finish();

  /// Functions that were started and are not known to be done: at most
  /// `mostUnderWay`, and with them the one that start() gives an error for.
  unsigned underWay() const { return started; }
  static constexpr unsigned mostUnderWay = 4;

  /// The number of a global, or nothing.
  std::optional<unsigned> findGlobal(llvm::StringRef name) const;

  /// Writes a whole global from row-major values of its type; the bytes must
  /// be as many as its tensor has.
  llvm::Error write(unsigned global, llvm::ArrayRef<uint8_t> bytes);

  /// Reads a whole global.
  llvm::Expected<std::vector<uint8_t>> read(unsigned global) const;

  /// Has whole globals read after what was started before, as they are then,
  /// and comes back like start().
  llvm::Expected<std::unique_ptr<Arrival>>
  startRead(llvm::ArrayRef<unsigned> globals) const;

private:
  Executor(const plan::PlanView &view, Device &target)
      : view(view), target(target) {}
  llvm::Error prepare();
  llvm::Error enqueue(unsigned function);
  llvm::Error enqueueBoth(unsigned background, unsigned function);
  llvm::Error enqueueDirectly(unsigned function);
  llvm::Error runTimed(unsigned function, Timeline &timeline);

  /// A function's instructions, ready to run.
  struct PreparedFunction {
    std::vector<std::unique_ptr<Command>> commands;
    // All of them in one, null where the device does not record; empty before.
    std::optional<std::unique_ptr<Command>> recorded;
    // The same with another function in the background, by its number.
    std::map<unsigned, std::unique_ptr<Command>> recordedBeside;
    bool ran = false;

    std::vector<Command *> list() const;
  };

  const plan::PlanView &view;
  Device &target;
  std::vector<Stage> stages;
  std::vector<PreparedFunction> functions;
  llvm::StringMap<unsigned> steps;
  llvm::StringMap<unsigned> globals;
  unsigned started = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_EXECUTOR_EXECUTOR_H
