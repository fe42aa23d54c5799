//===- JsonCursor.h - A place in JSON text --------------------------------===//
#ifndef DIT_RUNTIME_PLAN_JSONCURSOR_H
#define DIT_RUNTIME_PLAN_JSONCURSOR_H

#include "llvm/ADT/StringRef.h"

#include <algorithm>

namespace dit::plan {

/// Goes over JSON text, for readers of files that are too large for LLVM's
/// tree.
struct JsonCursor {
  void skipBlanks() {
    at = std::min(text.find_first_not_of(" \t\r\n", at), text.size());
  }
  /// Takes this character, after blanks, if it is next.
  bool take(char c) {
    skipBlanks();
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }

  llvm::StringRef text;
  size_t at = 0;
};

} // namespace dit::plan

#endif // DIT_RUNTIME_PLAN_JSONCURSOR_H
