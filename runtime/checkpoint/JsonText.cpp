//===- JsonText.cpp - Small JSON files from outside -----------------------===//

#include "runtime/checkpoint/JsonText.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"

using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<llvm::json::Object>
dit::runtime::parseJsonObject(llvm::StringRef text, size_t most) {
  if (text.size() > most)
    return failure(Exit::Malformed, "it has " + llvm::Twine(text.size()) +
                                        " bytes, more than " +
                                        llvm::Twine(most));
  int depth = 0;
  for (char c : text) {
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (depth > 100)
      return failure(Exit::Malformed, "it nests too deep");
  }
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (!value)
    return failure(Exit::Malformed,
                   "it is no JSON: " + llvm::toString(value.takeError()));
  if (llvm::json::Object *object = value->getAsObject())
    return std::move(*object);
  return failure(Exit::Malformed, "it is no JSON object");
}
