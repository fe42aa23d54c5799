//===- Device.h - Where a plan runs ---------------------------------------===//
//
// The executor's view of a machine part. It has three memories: the arena,
// the globals and the weights of the plan file; an instruction is prepared
// once, into a Command with every address resolved, and enqueued many times.
// Enqueued commands run in order; the host waits with synchronize(). On the
// CPU enqueue() returns when the command is done.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_DEVICE_H
#define DIT_RUNTIME_DEVICES_DEVICE_H

#include "runtime/plan/Reader.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace dit::runtime {

/// An instruction ready to run.
class Command {
public:
  virtual ~Command();
};

/// Bytes of globals that are on their way to the host.
class Arrival {
public:
  virtual ~Arrival();

  /// Waits until they are there, and gives those of each part that was asked
  /// for; once.
  virtual llvm::Expected<std::vector<std::vector<uint8_t>>> await() = 0;
};

/// A part of a plan's start, and how long it took.
struct Stage {
  std::string name;
  double seconds;
};

/// The interface of devices; one implementation a folder.
class Device {
public:
  virtual ~Device();

  /// "2 threads on AMD EPYC", for people.
  virtual std::string description() const = 0;

  /// Makes the plan's memories and loads its code. `plan` must outlive the
  /// device. Exit::Unsupported where the plan is for another machine, naming
  /// both; Exit::Memory where there is not enough, with the table of memory.
  virtual llvm::Error load(const plan::PlanView &plan) = 0;

  /// What load() did; empty where nothing of it takes long.
  virtual std::vector<Stage> loadStages() const { return {}; }

  /// Resolves an instruction of the loaded plan.
  virtual llvm::Expected<std::unique_ptr<Command>>
  prepare(const proto::Instruction &instruction) = 0;

  /// Runs a prepared command after all that were enqueued before.
  virtual llvm::Error enqueue(Command &command) = 0;

  /// One command that does what these do in order, at less cost for the host;
  /// null where nothing would be gained, as on the CPU. They must outlive it.
  /// The first `background` commands are to disturb the others little: what no
  /// other command waits for yet may run late, and beside them.
  virtual llvm::Expected<std::unique_ptr<Command>>
  record(llvm::ArrayRef<Command *> commands, size_t background = 0);

  /// When a command ran, in seconds from the begin of the first.
  struct Span {
    double begin;
    double end;
  };

  /// Runs commands in order to their end and says when each ran: by the
  /// device's clock where it has one, else by the host's.
  virtual llvm::Expected<std::vector<Span>>
  runTimed(llvm::ArrayRef<Command *> commands);

  /// Waits until at most `pending` of the commands that were enqueued are not
  /// done. Errors of commands that are still under way may come later.
  virtual llvm::Error waitFor(uint64_t pending) = 0;

  /// Waits until everything enqueued is done.
  llvm::Error synchronize() { return waitFor(0); }

  /// Host to device, in the order of the commands: `offset` bytes into the
  /// global with this index.
  virtual llvm::Error copyIn(unsigned global, uint64_t offset,
                             llvm::ArrayRef<uint8_t> bytes) = 0;

  /// Device to host; waits for what was enqueued before.
  virtual llvm::Error copyOut(unsigned global, uint64_t offset,
                              llvm::MutableArrayRef<uint8_t> bytes) = 0;

  /// The first bytes of a global.
  struct Part {
    unsigned global;
    uint64_t bytes;
  };

  /// Device to host in the order of the commands: what the parts are when all
  /// that was enqueued before is done, whatever is enqueued afterwards. Comes
  /// back at once where the device works on its own; it must outlive the
  /// arrival.
  virtual llvm::Expected<std::unique_ptr<Arrival>>
  startCopyOut(llvm::ArrayRef<Part> parts);

  /// Whether commands run while the host does something else: then the device
  /// idles unless the host enqueues ahead. If not, enqueue() returns when the
  /// command is done.
  virtual bool worksOnItsOwn() const { return false; }

  /// Runs host work on blocks [0, count) with whatever threads the device
  /// brings; blocks must be independent.
  virtual void
  hostParallel(int64_t count,
               llvm::function_ref<void(int64_t begin, int64_t end)> body) = 0;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_DEVICE_H
