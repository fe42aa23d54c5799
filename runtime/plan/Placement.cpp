//===- Placement.cpp - From a file's tensors to a global's bytes ----------===//
//
// A walk over the permuted view: one index, an offset into the file's tensor
// and one into the global's. Rows along the last dimension, which are
// contiguous in the global, are converted in one call; where the file's are
// not, through a buffer that is.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Placement.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Packing.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"

#include <cstring>

using namespace dit;
using namespace dit::plan;

namespace {
/// Elements that follow each other in the global; in the file, by a stride.
struct Run {
  int64_t file, fileStride, global, count;
};
} // namespace

/// Calls `body` for runs that cover a piece.
static void walkPiece(const proto::Piece &piece,
                      llvm::function_ref<void(const Run &)> body) {
  llvm::ArrayRef<int64_t> view = dimensions(piece.view());
  llvm::ArrayRef<int64_t> target = dimensions(piece.target_view());
  size_t rank = view.size();
  llvm::SmallVector<int64_t> viewStride(rank, 1), shape(rank), from(rank),
      to(rank, 1);
  for (size_t i = rank; i-- > 1;) {
    viewStride[i - 1] = viewStride[i] * view[i];
    to[i - 1] = to[i] * target[i];
  }
  int64_t begin = 0;
  for (size_t i = 0; i != rank; ++i) {
    shape[i] = view[piece.permutation(i)];
    from[i] = viewStride[piece.permutation(i)];
    begin += piece.target_offset(i) * to[i];
    if (shape[i] == 0)
      return;
  }
  int64_t length = 1, stride = 1;
  size_t outer = rank;
  if (rank) {
    length = shape[--outer];
    stride = from[outer];
  }
  llvm::SmallVector<int64_t> index(outer, 0);
  while (true) {
    int64_t source = 0, sink = begin;
    for (size_t i = 0; i != outer; ++i) {
      source += index[i] * from[i];
      sink += index[i] * to[i];
    }
    body({source, stride, sink, length});
    size_t i = outer;
    while (i && ++index[i - 1] == shape[i - 1])
      index[--i] = 0;
    if (i == 0)
      return;
  }
}

/// Both directions: the bytes of `count` elements from one type to another.
static llvm::Error checkConversion(const proto::Piece &piece,
                                   const proto::Global &global) {
  ElementType file = elementType(piece.file().type());
  ElementType own = elementType(global.type().type());
  if (file == own || (isFloat(file) && isFloat(own)))
    return llvm::Error::success();
  return failure(Exit::Unsupported, "'" + escaped(piece.name()) + "' is " +
                                        elementName(file) + ", its global " +
                                        elementName(own) +
                                        ": only floats are converted");
}

/// Calls `body` with an integer as large as an element.
template <typename Body>
static void withBits(ElementType type, Body body) {
  switch (elementBytes(type)) {
  case 1:
    return body(uint8_t());
  case 2:
    return body(uint16_t());
  case 4:
    return body(uint32_t());
  default:
    return body(uint64_t());
  }
}

/// Elements `stride` apart, one after the other, and back.
static void gather(ElementType type, const uint8_t *from, int64_t stride,
                   uint8_t *to, int64_t count) {
  withBits(type, [&](auto bits) {
    for (int64_t i = 0; i != count; ++i) {
      std::memcpy(&bits, from + i * stride * sizeof(bits), sizeof(bits));
      std::memcpy(to + i * sizeof(bits), &bits, sizeof(bits));
    }
  });
}

static void scatter(ElementType type, const uint8_t *from, uint8_t *to,
                    int64_t stride, int64_t count) {
  withBits(type, [&](auto bits) {
    for (int64_t i = 0; i != count; ++i) {
      std::memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
      std::memcpy(to + i * stride * sizeof(bits), &bits, sizeof(bits));
    }
  });
}

static void convert(ElementType fromType, const uint8_t *from,
                    ElementType toType, uint8_t *to, int64_t count) {
  if (fromType == toType)
    std::memcpy(to, from, count * elementBytes(fromType));
  else
    convertFloats(fromType, from, toType, to, count);
}

llvm::Error dit::plan::placePiece(const proto::Piece &piece,
                                  const proto::Global &global,
                                  llvm::ArrayRef<uint8_t> values,
                                  llvm::MutableArrayRef<uint8_t> tensor) {
  if (llvm::Error error = checkConversion(piece, global))
    return error;
  if (static_cast<int64_t>(values.size()) != tensorBytes(piece.file()))
    return failure(Exit::Internal, "'" + escaped(piece.name()) + "' is " +
                                       printTensor(piece.file()) + ", got " +
                                       llvm::Twine(values.size()) + " bytes");
  ElementType file = elementType(piece.file().type());
  ElementType own = elementType(global.type().type());
  int64_t fileSize = elementBytes(file), ownSize = elementBytes(own);
  std::vector<uint8_t> buffer;
  walkPiece(piece, [&](const Run &run) {
    const uint8_t *from = values.data() + run.file * fileSize;
    if (run.fileStride != 1) {
      buffer.resize(run.count * fileSize);
      gather(file, from, run.fileStride, buffer.data(), run.count);
      from = buffer.data();
    }
    convert(file, from, own, tensor.data() + run.global * ownSize, run.count);
  });
  return llvm::Error::success();
}

llvm::Error dit::plan::extractPiece(const proto::Piece &piece,
                                    const proto::Global &global,
                                    llvm::ArrayRef<uint8_t> tensor,
                                    llvm::MutableArrayRef<uint8_t> values) {
  if (llvm::Error error = checkConversion(piece, global))
    return error;
  ElementType file = elementType(piece.file().type());
  ElementType own = elementType(global.type().type());
  int64_t fileSize = elementBytes(file), ownSize = elementBytes(own);
  std::vector<uint8_t> buffer;
  walkPiece(piece, [&](const Run &run) {
    const uint8_t *from = tensor.data() + run.global * ownSize;
    uint8_t *to = values.data() + run.file * fileSize;
    if (run.fileStride == 1)
      return convert(own, from, file, to, run.count);
    buffer.resize(run.count * fileSize);
    convert(own, from, file, buffer.data(), run.count);
    scatter(file, buffer.data(), to, run.fileStride, run.count);
  });
  return llvm::Error::success();
}

void dit::plan::storeTensor(const proto::Global &global,
                            llvm::ArrayRef<uint8_t> tensor,
                            llvm::MutableArrayRef<uint8_t> stored) {
  uint64_t used = tensor.size();
  if (global.has_packed()) {
    PanelLayout layout = panelLayout(global.packed());
    ElementType type = elementType(global.type().type());
    int64_t rows = global.type().shape(0), columns = global.type().shape(1);
    packPanels(layout, rows, columns, type, tensor.data(), columns, type,
               stored.data());
    used = packedElements(layout, rows, columns) * elementBytes(type);
  } else if (used) {
    std::memcpy(stored.data(), tensor.data(), used);
  }
  std::memset(stored.data() + used, 0, stored.size() - used);
}

std::vector<uint8_t> dit::plan::loadTensor(const proto::Global &global,
                                           llvm::ArrayRef<uint8_t> stored) {
  int64_t bytes = *tensorBytes(global.type());
  if (!global.has_packed())
    return stored.take_front(bytes).vec();
  std::vector<uint8_t> tensor(bytes);
  ElementType type = elementType(global.type().type());
  int64_t rows = global.type().shape(0), columns = global.type().shape(1);
  unpackPanels(panelLayout(global.packed()), rows, columns, type, stored.data(),
               type, tensor.data(), columns);
  return tensor;
}

llvm::Expected<std::vector<uint8_t>> dit::plan::assembleGlobal(
    const proto::Global &global,
    llvm::function_ref<
        llvm::Expected<llvm::ArrayRef<uint8_t>>(const proto::Piece &piece)>
        values) {
  std::vector<uint8_t> tensor(*tensorBytes(global.type()));
  for (const proto::Piece &piece : global.pieces()) {
    llvm::Expected<llvm::ArrayRef<uint8_t>> bytes = values(piece);
    if (!bytes)
      return bytes.takeError();
    if (llvm::Error error = placePiece(piece, global, *bytes, tensor))
      return std::move(error);
  }
  std::vector<uint8_t> stored(global.bytes());
  storeTensor(global, tensor, stored);
  return stored;
}
