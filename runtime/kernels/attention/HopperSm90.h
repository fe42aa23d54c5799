//===- HopperSm90.h - Barriers, copies and arithmetic of a Hopper ---------===//
//
// The instructions of sm_90a that kernels in C++ name. Compiled by clang; needs
// no CUDA headers.
//
//===----------------------------------------------------------------------===//

#define DEVICE                                                                 \
  static __attribute__((device)) __attribute__((always_inline)) inline

using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;
using int64_t = long long;

/// What a thread moves at once: 8 numbers of 16 bits.
using Chunk = uint32_t __attribute__((ext_vector_type(4)));

/// What the host encodes with cuTensorMapEncodeTiled: [batch, head, token,
/// column] of Q, K or V in boxes of 64 tokens.
struct alignas(64) TensorMap {
  uint64_t words[16];
};

/// The thread's number, read where it is used: what follows from it is made
/// again rather than kept in registers, of which there are none to spare.
DEVICE int threadHere() {
  int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}

/// A shared address, for the same reason.
DEVICE uint32_t addressHere(uint32_t address) {
  asm volatile("" : "+r"(address));
  return address;
}

//===----------------------------------------------------------------------===//
// Barriers and copies
//===----------------------------------------------------------------------===//

DEVICE uint32_t sharedAddress(const void *pointer) {
  return static_cast<uint32_t>(reinterpret_cast<uint64_t>(
      (__attribute__((address_space(3))) const void *)pointer));
}

DEVICE void initBarrier(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier),
               "r"(arrivals));
}

DEVICE void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier)
               : "memory");
}

/// Arrives, and lets the phase end only when `bytes` have been copied.
DEVICE void arriveExpecting(uint32_t barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
      "r"(bytes)
      : "memory");
}

DEVICE void wait(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (!done)
    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "selp.b32 %0, 1, 0, p;\n}\n"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
}

DEVICE void synchronizeBlock() {
  asm volatile("barrier.sync.aligned 0;" ::: "memory");
}

DEVICE void copyBox(uint32_t target, const TensorMap &map, int column,
                    int token, int head, int batch, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::"
      "complete_tx::bytes [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(target),
      "l"(&map), "r"(column), "r"(token), "r"(head), "r"(batch), "r"(barrier)
      : "memory");
}

DEVICE void synchronizeWarpgroup(int warpgroup) {
  asm volatile("bar.sync %0, 128;" ::"r"(1 + warpgroup) : "memory");
}

DEVICE void copyChunk(uint32_t target, const uint16_t *source) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target),
               "l"(source)
               : "memory");
}

/// What this thread has written to shared memory, they may read after a
/// barrier.
DEVICE void showTensorCores() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

DEVICE void commitCopies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// All threads' copies but the last `pending` groups are there, for the tensor
/// cores too.
template <int pending>
DEVICE void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
  showTensorCores();
  synchronizeBlock();
}

/// Four 8 x 8 matrices of 16 bits, a row's address from each thread.
DEVICE void storeMatrices(uint32_t row, const uint32_t *values) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], "
               "{%1, %2, %3, %4};" ::"r"(row),
               "r"(values[0]), "r"(values[1]), "r"(values[2]), "r"(values[3])
               : "memory");
}

//===----------------------------------------------------------------------===//
// Tensor cores and arithmetic
//===----------------------------------------------------------------------===//

DEVICE void beginProducts() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

DEVICE void commitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int pending>
DEVICE void waitForProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

/// Registers that a product wrote have their values from here on.
template <int count>
DEVICE void settle(float (&values)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+f"(values[i])::"memory");
}

DEVICE float exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

DEVICE float naturalLog(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y * 0.6931471805599453f;
}

DEVICE uint32_t packBf16(float low, float high) {
  uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

/// A number of a pair of bf16.
DEVICE float part(uint32_t pair, int which) {
  return __builtin_bit_cast(float, which ? pair & 0xFFFF0000 : pair << 16);
}
