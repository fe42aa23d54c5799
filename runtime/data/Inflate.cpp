//===- Inflate.cpp - zlib's inflate on more than 4 GB ---------------------===//

#include "runtime/data/Inflate.h"

#include <algorithm>

int dit::runtime::inflatePiece(z_stream &stream, llvm::ArrayRef<uint8_t> packed,
                               size_t &taken,
                               llvm::MutableArrayRef<uint8_t> result,
                               size_t &given) {
  constexpr size_t piece = 1 << 30;
  size_t input = std::min(packed.size() - taken, piece);
  size_t output = std::min(result.size() - given, piece);
  stream.next_in = const_cast<uint8_t *>(packed.data()) + taken;
  stream.avail_in = input;
  stream.next_out = result.data() + given;
  stream.avail_out = output;
  int status = inflate(&stream, Z_NO_FLUSH);
  taken += input - stream.avail_in;
  given += output - stream.avail_out;
  return status;
}
