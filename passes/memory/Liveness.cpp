//===- Liveness.cpp - How long buffers are needed -------------------------===//
#include "passes/memory/Liveness.h"

using namespace mlir;
using namespace dit;

llvm::MapVector<plan::BufferOp, Interval>
dit::findLiveBuffers(plan::FunctionOp function) {
  llvm::MapVector<plan::BufferOp, Interval> live;
  int64_t position = 0;
  for (auto instruction : function.getOps<plan::InstructionInterface>()) {
    SmallVector<Value> touched = instruction.getReads();
    llvm::append_range(touched, instruction.getWrites());
    for (Value memory : touched) {
      auto buffer = dyn_cast<plan::BufferOp>(plan::getPlace(memory).root);
      if (!buffer)
        continue;
      int64_t bytes = buffer.getBytes();
      Interval fresh{position, position, bytes};
      live.insert({buffer, fresh}).first->second.end = position;
    }
    ++position;
  }
  return live;
}
