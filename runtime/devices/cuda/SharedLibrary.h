//===- SharedLibrary.h - Vendor libraries opened when needed --------------===//
//
// Nothing of ours links CUDA: the same binary starts where there is no GPU, and
// takes what it needs of a library when a plan asks for it.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_SHAREDLIBRARY_H
#define DIT_RUNTIME_DEVICES_CUDA_SHAREDLIBRARY_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace dit::runtime::cuda {

/// A function to find in a library, and where its address goes.
struct Symbol {
  const char *name;
  void **slot;
};

/// A Symbol for a member that is a pointer to a function.
template <typename Function>
Symbol symbol(const char *name, Function *&slot) {
  return {name, reinterpret_cast<void **>(&slot)};
}

/// A library that stays open until the process ends (CUDA's cannot be closed
/// safely).
class SharedLibrary {
public:
  /// Opens the first of `names` that is found: in the folders of the
  /// environment variable DIT_CUDA_PATH (each itself, its lib64 and lib, and
  /// the places of pip's nvidia packages below it), where the loader looks, in
  /// /usr/local/cuda/lib64. Exit::Unsupported says what the loader said.
  static llvm::Expected<SharedLibrary> open(llvm::StringRef product,
                                            llvm::ArrayRef<const char *> names);

  /// Fills every slot. Exit::Unsupported names a function that is missing: the
  /// library is older than this program needs.
  llvm::Error resolve(llvm::ArrayRef<Symbol> symbols) const;

  /// The file that was opened.
  const std::string &path() const { return file; }

private:
  std::string product;
  std::string file;
  void *handle = nullptr;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_SHAREDLIBRARY_H
