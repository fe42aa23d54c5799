//===- Json.h - JSON from outside -------------------------------*- C++ -*-===//
#ifndef FRONTENDS_WEIGHTS_JSON_H
#define FRONTENDS_WEIGHTS_JSON_H

#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace dit {

/// The object that `text` spells. LLVM's parser recurses and keeps the last of
/// equal keys in silence, so the text is walked before: more than four levels,
/// or equal keys at the top, are errors of kind Malformed, as bad JSON is.
llvm::Expected<llvm::json::Object> parseJsonObject(llvm::StringRef text);

} // namespace dit

#endif // FRONTENDS_WEIGHTS_JSON_H
