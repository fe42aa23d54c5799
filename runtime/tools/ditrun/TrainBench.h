//===- TrainBench.h - How fast a train plan runs --------------------------===//
#ifndef DIT_RUNTIME_TOOLS_DITRUN_TRAINBENCH_H
#define DIT_RUNTIME_TOOLS_DITRUN_TRAINBENCH_H

#include "runtime/tools/ditrun/Modes.h"
#include "runtime/training/Trainer.h"

namespace dit::runtime {

/// Times whole steps, and how long they wait for data.
llvm::Expected<plan::Exit> benchTraining(const Options &options,
                                         LoadedPlan &loaded, Trainer &trainer,
                                         BatchSource &source);

} // namespace dit::runtime

#endif // DIT_RUNTIME_TOOLS_DITRUN_TRAINBENCH_H
