//===- Npy.h - numpy's array files ----------------------------------------===//
#ifndef DIT_RUNTIME_DATA_NPY_H
#define DIT_RUNTIME_DATA_NPY_H

#include "runtime/data/Array.h"

#include "llvm/ADT/StringRef.h"

#include <string>

namespace dit::runtime {

/// Decodes a .npy file of format 1.0 to 3.0. Fortran order is turned into
/// C order, big-endian values into little-endian ones. Exit::Refused for
/// pickled objects, Exit::Unsupported for types no plan has, Exit::Malformed
/// with the byte offset else.
llvm::Expected<Array> decodeNpy(llvm::ArrayRef<uint8_t> file);

/// The bytes of a .npy file of format 1.0. bf16 is written as fp32, the type
/// numpy lacks.
std::vector<uint8_t> encodeNpy(const Array &array);

/// Reads one array from a .npy file, or from a .npz archive by the first of
/// `names` that it has. Errors name the file.
llvm::Expected<Array> readArray(llvm::StringRef path,
                                llvm::ArrayRef<std::string> names);

/// Writes a .npy file, whole or not at all.
llvm::Error writeNpy(llvm::StringRef path, const Array &array);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_NPY_H
