//===- WgmmaSm90.h - The two matrix products of attention -----------------===//
//
// wgmma.mma_async names every register of its sum, so that there is one
// spelling a width. Included by FlashAttentionSm90.cu, after its DEVICE.
//
//===----------------------------------------------------------------------===//

#define SUM_4(sum, i)                                                          \
  "+f"(sum[i]), "+f"(sum[i + 1]), "+f"(sum[i + 2]), "+f"(sum[i + 3])
#define SUM_8(sum, i) SUM_4(sum, i), SUM_4(sum, i + 4)
#define SUM_16(sum, i) SUM_8(sum, i), SUM_8(sum, i + 8)

/// sum [64, 64] = (accumulate ? sum : 0) + A B, both from shared memory, K
/// contiguous: A [64, 16], B [64, 16].
DEVICE void multiplyShared(float (&sum)[32], uint64_t a, uint64_t b,
                           int accumulate) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, "
      "%30, %31"
      "}, %32, %33, p, 1, 1, 0, 0;\n}\n"
      : SUM_16(sum, 0), SUM_16(sum, 16)
      : "l"(a), "l"(b), "r"(accumulate));
}

/// sum [64, N] += A B: A [64, 16] in four registers a thread, B [16, N] from
/// shared memory, its columns contiguous; N is 16, 32, 48, 56 or 64.
DEVICE void multiplyRegisters(float (&sum)[8], const uint32_t *a, uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {"
               "%0, %1, %2, %3, %4, %5, %6, %7"
               "}, {%8, %9, %10, %11}, %12, 1, 1, 1, 1;\n"
               : SUM_8(sum, 0)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void multiplyRegisters(float (&sum)[16], const uint32_t *a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
      "}, {%16, %17, %18, %19}, %20, 1, 1, 1, 1;\n"
      : SUM_16(sum, 0)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void multiplyRegisters(float (&sum)[24], const uint32_t *a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n48k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23"
      "}, {%24, %25, %26, %27}, %28, 1, 1, 1, 1;\n"
      : SUM_16(sum, 0), SUM_8(sum, 16)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void multiplyRegisters(float (&sum)[28], const uint32_t *a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n56k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27"
      "}, {%28, %29, %30, %31}, %32, 1, 1, 1, 1;\n"
      : SUM_16(sum, 0), SUM_8(sum, 16), SUM_4(sum, 24)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void multiplyRegisters(float (&sum)[32], const uint32_t *a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, "
      "%30, %31"
      "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
      : SUM_16(sum, 0), SUM_16(sum, 16)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

#undef SUM_4
#undef SUM_8
#undef SUM_16
