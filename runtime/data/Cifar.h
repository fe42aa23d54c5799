//===- Cifar.h - CIFAR-10's binary files ----------------------------------===//
#ifndef DIT_RUNTIME_DATA_CIFAR_H
#define DIT_RUNTIME_DATA_CIFAR_H

#include "runtime/data/Dataset.h"

namespace dit::runtime {

/// Whether the folder has data_batch_1.bin.
bool isCifarFolder(llvm::StringRef folder);

/// Opens data_batch_1.bin ... data_batch_5.bin, or test_batch.bin: records of a
/// label's byte and 3 x 32 x 32 bytes. Files are mapped, not read.
llvm::Expected<std::unique_ptr<Dataset>>
openCifarFolder(llvm::StringRef folder, DatasetPart part,
                const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_CIFAR_H
