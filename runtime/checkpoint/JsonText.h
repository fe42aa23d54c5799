//===- JsonText.h - Small JSON files from outside -------------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_JSONTEXT_H
#define DIT_RUNTIME_CHECKPOINT_JSONTEXT_H

#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace dit::runtime {

/// The object that `text` spells. LLVM's parser recurses and makes a tree of
/// fifty times the text: more than `most` bytes or a hundred brackets within
/// each other are Exit::Malformed, as bad JSON is.
llvm::Expected<llvm::json::Object> parseJsonObject(llvm::StringRef text,
                                                   size_t most);

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_JSONTEXT_H
