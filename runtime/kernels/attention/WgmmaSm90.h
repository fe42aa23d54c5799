//===- WgmmaSm90.h - The matrix products of attention ---------------------===//
//
// wgmma.mma_async names every register of its sum, so that there is one
// spelling a width. Included by HeadTilesSm90.h.
//
//   multiplyShared(sum, a, b, accumulate)
//       sum [64, 64] = (accumulate ? sum : 0) + A B, both from shared memory,
//       A [64, 16] with K contiguous, B [16, 64] with K contiguous
//   multiplyColumns(sum, a, b, accumulate)
//       sum [64, N] likewise, A with its 64 rows contiguous, B with its N
//       columns contiguous
//   multiplyRegisters(sum, a, b)
//       sum [64, N] += A B: A [64, 16] in four registers a thread, B [16, N]
//       from shared memory, its columns contiguous
//
// N is 8, 16, 32, 48, 56 or 64, half as many as a thread's registers of sum.
//
//===----------------------------------------------------------------------===//

#define SUM_4(sum, i)                                                          \
  "+f"(sum[i]), "+f"(sum[i + 1]), "+f"(sum[i + 2]), "+f"(sum[i + 3])
#define SUM_8(sum, i) SUM_4(sum, i), SUM_4(sum, i + 4)
#define SUM_16(sum, i) SUM_8(sum, i), SUM_8(sum, i + 8)
#define NAMES_4 "%0, %1, %2, %3"
#define NAMES_8 NAMES_4 ", %4, %5, %6, %7"
#define NAMES_16 NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_24 NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define NAMES_28 NAMES_24 ", %24, %25, %26, %27"
#define NAMES_32 NAMES_28 ", %28, %29, %30, %31"

/// A product whose operands are both in shared memory; `a`, `b` and `p` are the
/// numbers of its operands after the sum.
#define FROM_SHARED(function, columns, names, a, b, p, transposed, ...)        \
  DEVICE void function(float (&sum)[columns / 2], uint64_t left,               \
                       uint64_t right, int accumulate) {                       \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p ", 0;\n"              \
                 "wgmma.mma_async.sync.aligned.m64n" #columns                  \
                 "k16.f32.bf16.bf16 {" names "}, %" #a ", %" #b                \
                 ", p, 1, 1, " transposed ";\n}\n"                             \
                 : __VA_ARGS__                                                 \
                 : "l"(left), "l"(right), "r"(accumulate));                    \
  }
#define FROM_REGISTERS(columns, names, a, b, c, d, e, ...)                     \
  DEVICE void multiplyRegisters(float (&sum)[columns / 2], const uint32_t *a_, \
                                uint64_t right) {                              \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns                  \
                 "k16.f32.bf16.bf16 {" names "}, {%" #a ", %" #b ", %" #c      \
                 ", %" #d "}, %" #e ", 1, 1, 1, 1;\n"                          \
                 : __VA_ARGS__                                                 \
                 : "r"(a_[0]), "r"(a_[1]), "r"(a_[2]), "r"(a_[3]),             \
                   "l"(right));                                                \
  }

FROM_SHARED(multiplyShared, 64, NAMES_32, 32, 33, 34, "0, 0", SUM_16(sum, 0),
            SUM_16(sum, 16))
FROM_SHARED(multiplyColumns, 8, NAMES_4, 4, 5, 6, "1, 1", SUM_4(sum, 0))
FROM_SHARED(multiplyColumns, 48, NAMES_24, 24, 25, 26, "1, 1", SUM_16(sum, 0),
            SUM_8(sum, 16))
FROM_SHARED(multiplyColumns, 64, NAMES_32, 32, 33, 34, "1, 1", SUM_16(sum, 0),
            SUM_16(sum, 16))

FROM_REGISTERS(8, NAMES_4, 4, 5, 6, 7, 8, SUM_4(sum, 0))
FROM_REGISTERS(16, NAMES_8, 8, 9, 10, 11, 12, SUM_8(sum, 0))
FROM_REGISTERS(32, NAMES_16, 16, 17, 18, 19, 20, SUM_16(sum, 0))
FROM_REGISTERS(48, NAMES_24, 24, 25, 26, 27, 28, SUM_16(sum, 0), SUM_8(sum, 16))
FROM_REGISTERS(56, NAMES_28, 28, 29, 30, 31, 32, SUM_16(sum, 0), SUM_8(sum, 16),
               SUM_4(sum, 24))
FROM_REGISTERS(64, NAMES_32, 32, 33, 34, 35, 36, SUM_16(sum, 0),
               SUM_16(sum, 16))

#undef SUM_4
#undef SUM_8
#undef SUM_16
#undef NAMES_4
#undef NAMES_8
#undef NAMES_16
#undef NAMES_24
#undef NAMES_28
#undef NAMES_32
#undef FROM_SHARED
#undef FROM_REGISTERS
