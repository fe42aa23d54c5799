//===- Idx.h - MNIST's files, packed or not -------------------------------===//
#ifndef DIT_RUNTIME_DATA_IDX_H
#define DIT_RUNTIME_DATA_IDX_H

#include "runtime/data/Array.h"
#include "runtime/data/Dataset.h"

namespace dit::runtime {

/// Unpacks one gzip file (RFC 1952) and checks its CRC. Memory grows with what
/// is there, never with what is claimed. Exit::Malformed.
llvm::Expected<std::vector<uint8_t>> gunzip(llvm::ArrayRef<uint8_t> file);

/// Decodes an IDX file of bytes: two zeros, type 8, the number of dimensions,
/// each as 32 bits (big-endian), the values. Packed with gzip or plain.
/// Exit::Malformed where lengths do not match, Exit::Unsupported for other
/// types.
llvm::Expected<Array> decodeIdx(llvm::ArrayRef<uint8_t> file);

/// Fashion-MNIST and what has its files: {train,t10k}-images-idx3-ubyte and
/// -labels-idx1-ubyte, with or without .gz.
bool isIdxFolder(llvm::StringRef folder);

/// Opens such a folder; pictures are kept as bytes.
llvm::Expected<std::unique_ptr<Dataset>>
openIdxFolder(llvm::StringRef folder, DatasetPart part,
              const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_IDX_H
