//===- ObjectLoader.h - Object code made callable -------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_OBJECTLOADER_H
#define DIT_RUNTIME_DEVICES_CPU_OBJECTLOADER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace llvm::orc {
class ExecutionSession;
} // namespace llvm::orc

namespace dit::runtime {

/// An ELF relocatable object linked into this process; its code lives as long
/// as this does.
class ObjectCode {
public:
  /// Links `object` and looks up `symbols`. The object may refer to memcpy,
  /// memmove, memset and the math functions of libm, and to nothing else.
  /// Exit::Malformed for what is no object or refers elsewhere.
  static llvm::Expected<std::unique_ptr<ObjectCode>>
  load(llvm::ArrayRef<uint8_t> object, llvm::ArrayRef<std::string> symbols);

  ~ObjectCode();

  /// The address of the i-th symbol asked for.
  void *address(size_t i) const { return addresses[i]; }

private:
  ObjectCode();
  llvm::Error link(llvm::ArrayRef<uint8_t> object,
                   llvm::ArrayRef<std::string> symbols);

  std::string reports; // what the linker said on the way
  std::unique_ptr<llvm::orc::ExecutionSession> session;
  std::unique_ptr<class LinkingLayer> layer;
  std::vector<void *> addresses;
};

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_OBJECTLOADER_H
