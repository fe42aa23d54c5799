//===- SharedLibrary.cpp - Vendor libraries opened when needed ------------===//

#include "runtime/devices/cuda/SharedLibrary.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/SmallVector.h"

#include <cstdlib>
#include <dlfcn.h>
#include <link.h>
#include <vector>

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

/// Prefixes of a library's name in the order in which they are tried; the
/// empty one means the loader's own search.
static std::vector<std::string> searchPrefixes() {
  std::vector<std::string> prefixes;
  if (const char *given = std::getenv("DIT_CUDA_PATH")) {
    llvm::SmallVector<llvm::StringRef> folders;
    llvm::StringRef(given).split(folders, ':', -1, false);
    for (llvm::StringRef folder : folders)
      for (const char *below : {"/", "/lib64/", "/lib/", "/nvidia/cu13/lib/",
                                "/nvidia/cublas/lib/", "/nvidia/cudnn/lib/"})
        prefixes.push_back(folder.rtrim('/').str() + below);
  }
  prefixes.push_back("");
  prefixes.push_back("/usr/local/cuda/lib64/");
  return prefixes;
}

/// The file behind a handle, as the loader calls it.
static std::string fileOf(void *handle, const std::string &name) {
  link_map *map = nullptr;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name[0])
    return map->l_name;
  return name;
}

llvm::Expected<SharedLibrary>
SharedLibrary::open(llvm::StringRef product,
                    llvm::ArrayRef<const char *> names) {
  std::string reasons;
  for (const char *name : names) {
    std::string first;
    for (const std::string &prefix : searchPrefixes()) {
      std::string file = prefix + name;
      if (void *handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        SharedLibrary library;
        library.product = product.str();
        library.file = fileOf(handle, file);
        library.handle = handle;
        return library;
      }
      // What the loader says of its own search is what helps most.
      const char *reason = ::dlerror();
      if (reason && (first.empty() || prefix.empty()))
        first = reason;
    }
    reasons += "; " + first;
  }
  return failure(Exit::Unsupported,
                 product + " cannot be loaded" + reasons +
                     " (DIT_CUDA_PATH names folders to look in)");
}

llvm::Error SharedLibrary::resolve(llvm::ArrayRef<Symbol> symbols) const {
  for (const Symbol &symbol : symbols) {
    *symbol.slot = ::dlsym(handle, symbol.name);
    if (!*symbol.slot)
      return failure(Exit::Unsupported, product + " '" + file +
                                            "' is too old: it has no " +
                                            symbol.name);
  }
  return llvm::Error::success();
}
