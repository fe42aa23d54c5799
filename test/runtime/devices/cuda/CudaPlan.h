//===- CudaPlan.h - Plans for a GPU made by hand --------------------------===//
#ifndef DIT_TEST_RUNTIME_DEVICES_CUDA_CUDAPLAN_H
#define DIT_TEST_RUNTIME_DEVICES_CUDA_CUDAPLAN_H

#include "runtime/devices/cuda/CudaDevice.h"
#include "runtime/executor/Executor.h"
#include "runtime/plan/ElementType.h"

#include <memory>
#include <string>
#include <vector>

namespace dit::test {

/// A forward plan for target cuda, put together piece by piece: every tensor is
/// a global, outputs begin as NaN (the host poisons them).
class CudaPlan {
public:
  CudaPlan();

  /// A global that the host writes and reads; its number.
  unsigned addGlobal(llvm::StringRef name, plan::ElementType type,
                     llvm::ArrayRef<int64_t> shape,
                     proto::Global::Role role = proto::Global::STATE);
  /// A parameter drawn by the host at start, normal with this deviation.
  unsigned addDrawn(llvm::StringRef name, plan::ElementType type,
                    llvm::ArrayRef<int64_t> shape, double deviation);
  /// A weight in the plan's file.
  unsigned addMapped(llvm::StringRef name, llvm::ArrayRef<uint8_t> bytes);
  /// A global from an element on.
  proto::Place place(unsigned global, int64_t element = 0) const;
  /// New bytes of the arena.
  proto::Place arena(uint64_t bytes);

  /// PTX (for sm_80 the driver compiles it for every GPU since).
  void setPtx(llvm::StringRef text, llvm::StringRef arch = "sm_80",
              llvm::StringRef part = "");
  /// A kernel of the PTX; its number.
  unsigned addKernel(llvm::StringRef symbol, int64_t threads,
                     int64_t sharedBytes = 0);
  void addLaunch(unsigned kernel, int64_t blocks,
                 std::vector<proto::Place> operands);
  /// An instruction of the function for step "forward".
  proto::Instruction &add();

  proto::Plan &metadata() { return view.metadata; }
  /// Validates, loads and prepares; the plan must outlive the executor.
  llvm::Expected<runtime::Executor *>
  load(const runtime::CudaOptions &options = {});
  /// The finished plan.
  const plan::PlanView &finish();

private:
  plan::PlanView view;
  std::vector<uint8_t> code;
  std::vector<uint8_t> weights;
  std::unique_ptr<runtime::Device> device;
  std::unique_ptr<runtime::Executor> executor;
};

/// True where this machine has a driver and a GPU.
bool hasGpu();
/// True where the GPU is the one that our attention kernels are for, an sm_90.
bool isHopper();

/// Values as bytes of a type (rounded), and back.
std::vector<uint8_t> toBytes(plan::ElementType type,
                             llvm::ArrayRef<float> values);
std::vector<float> toFloats(plan::ElementType type,
                            llvm::ArrayRef<uint8_t> bytes);

/// `count` values, normal, rounded to `type`; equal seeds give equal values.
std::vector<float> randomValues(plan::ElementType type, int64_t count,
                                uint64_t seed, float deviation = 1);

/// Writes values to a global, or NaN to all of it; fails the test on errors.
void writeValues(runtime::Executor &executor, unsigned global,
                 llvm::ArrayRef<float> values);
void poison(runtime::Executor &executor, unsigned global);
std::vector<float> readValues(runtime::Executor &executor, unsigned global);

/// Runs step "forward"; fails the test on errors.
void runForward(runtime::Executor &executor);

/// A GEMM of row-major matrices without gaps, B [N, K].
proto::Gemm makeGemm(plan::ElementType type, plan::ElementType resultType,
                     int64_t m, int64_t n, int64_t k);

/// An attention without operands, with the usual scale; `group` query heads
/// share a key head.
proto::Attention makeAttention(plan::ElementType type, int64_t batch,
                               int64_t heads, int64_t queries, int64_t keys,
                               int64_t dim, int64_t group);

/// An attention operand in [batch, tokens, parts, heads, dim], part `part`.
proto::Attention::Operand makeOperand(proto::Place place, int64_t tokens,
                                      int64_t parts, int64_t heads,
                                      int64_t dim);

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_DEVICES_CUDA_CUDAPLAN_H
