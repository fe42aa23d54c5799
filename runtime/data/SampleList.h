//===- SampleList.h - The paths and classes in a dataset.json -------------===//
#ifndef DIT_RUNTIME_DATA_SAMPLELIST_H
#define DIT_RUNTIME_DATA_SAMPLELIST_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>

namespace dit::runtime {

/// Takes a sample's path and class.
using SampleTaker =
    llvm::function_ref<llvm::Error(llvm::StringRef path, int64_t label)>;

/// Reads {"labels": [["PATH", CLASS], ...]} and gives each pair in turn to
/// `take`, whose errors get the pair's place; false where the labels are null
/// or absent. Other members are skipped. Needs memory for one pair, however
/// long the text is. Exit::Malformed with the byte offset, Exit::Unsupported
/// for labels that are vectors.
llvm::Expected<bool> readSampleList(llvm::StringRef text, SampleTaker take);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_SAMPLELIST_H
