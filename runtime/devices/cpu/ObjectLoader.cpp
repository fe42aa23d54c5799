//===- ObjectLoader.cpp - Object code made callable -----------------------===//
//
// JITLink alone: no target machine, no compiler, a third of a millisecond.
//
//===----------------------------------------------------------------------===//

#include "runtime/devices/cpu/ObjectLoader.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/Twine.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/Core.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cmath>
#include <cstring>

using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace dit::runtime {

/// JITLink's layer under a name that the header can declare.
class LinkingLayer : public llvm::orc::ObjectLinkingLayer {
public:
  using ObjectLinkingLayer::ObjectLinkingLayer;
};

} // namespace dit::runtime

template <typename Function>
static void *address(Function *function) {
  return reinterpret_cast<void *>(function);
}

/// What generated code may call.
static llvm::orc::SymbolMap
processSymbols(llvm::orc::ExecutionSession &session) {
  using Unary = float(float);
  using Binary = float(float, float);
  const std::pair<const char *, void *> table[] = {
      {"memcpy", address<void *(void *, const void *, size_t)>(std::memcpy)},
      {"memmove", address<void *(void *, const void *, size_t)>(std::memmove)},
      {"memset", address<void *(void *, int, size_t)>(std::memset)},
      {"expf", address<Unary>(::expf)},
      {"exp2f", address<Unary>(::exp2f)},
      {"logf", address<Unary>(::logf)},
      {"log2f", address<Unary>(::log2f)},
      {"sinf", address<Unary>(::sinf)},
      {"cosf", address<Unary>(::cosf)},
      {"sincosf", address<void(float, float *, float *)>(::sincosf)},
      {"tanhf", address<Unary>(::tanhf)},
      {"erff", address<Unary>(::erff)},
      {"sqrtf", address<Unary>(::sqrtf)},
      {"truncf", address<Unary>(::truncf)},
      {"roundf", address<Unary>(::roundf)},
      {"floorf", address<Unary>(::floorf)},
      {"ceilf", address<Unary>(::ceilf)},
      {"roundevenf", address<Unary>(::rintf)},
      {"powf", address<Binary>(::powf)},
      {"fmodf", address<Binary>(::fmodf)}};
  llvm::orc::SymbolMap symbols;
  for (auto [name, target] : table)
    symbols[session.intern(name)] = {llvm::orc::ExecutorAddr::fromPtr(target),
                                     llvm::JITSymbolFlags::Exported |
                                         llvm::JITSymbolFlags::Callable};
  return symbols;
}

/// An x86-64 relocatable object that LLVM can parse; JITLink is not meant for
/// anything else.
static llvm::Error checkObject(llvm::MemoryBufferRef buffer) {
  llvm::Expected<std::unique_ptr<llvm::object::ObjectFile>> object =
      llvm::object::ObjectFile::createELFObjectFile(buffer);
  if (!object)
    return failure(Exit::Malformed,
                   "code section: " + llvm::toString(object.takeError()));
  if (!(*object)->isRelocatableObject() ||
      (*object)->getArch() != llvm::Triple::x86_64)
    return failure(Exit::Malformed,
                   "code section: not an x86-64 relocatable object");
  return llvm::Error::success();
}

ObjectCode::ObjectCode() = default;

ObjectCode::~ObjectCode() {
  // What goes wrong while letting code go cannot matter to anyone.
  if (session)
    llvm::consumeError(session->endSession());
}

llvm::Error ObjectCode::link(llvm::ArrayRef<uint8_t> object,
                             llvm::ArrayRef<std::string> symbols) {
  using namespace llvm::orc;
  llvm::StringRef bytes(reinterpret_cast<const char *>(object.data()),
                        object.size());
  std::unique_ptr<llvm::MemoryBuffer> buffer =
      llvm::MemoryBuffer::getMemBufferCopy(bytes, "code section");
  if (llvm::Error error = checkObject(*buffer))
    return error;
  llvm::Expected<std::unique_ptr<SelfExecutorProcessControl>> control =
      SelfExecutorProcessControl::Create();
  if (!control)
    return control.takeError();
  session = std::make_unique<ExecutionSession>(std::move(*control));
  session->setErrorReporter([this](llvm::Error error) {
    reports += "; " + llvm::toString(std::move(error));
  });
  llvm::Expected<std::unique_ptr<llvm::jitlink::InProcessMemoryManager>>
      memory = llvm::jitlink::InProcessMemoryManager::Create();
  if (!memory)
    return memory.takeError();
  layer = std::make_unique<LinkingLayer>(*session, std::move(*memory));

  JITDylib &library = session->createBareJITDylib("plan");
  if (llvm::Error error =
          library.define(absoluteSymbols(processSymbols(*session))))
    return error;
  if (llvm::Error error = layer->add(library, std::move(buffer)))
    return error;
  SymbolLookupSet wanted;
  for (const std::string &symbol : symbols)
    wanted.add(session->intern(symbol));
  wanted.sortByAddress();
  wanted.removeDuplicates();
  llvm::Expected<SymbolMap> found = session->lookup(
      {{&library, JITDylibLookupFlags::MatchAllSymbols}}, std::move(wanted));
  if (!found)
    return found.takeError();
  for (const std::string &symbol : symbols)
    addresses.push_back(
        (*found)[session->intern(symbol)].getAddress().toPtr<void *>());
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<ObjectCode>>
ObjectCode::load(llvm::ArrayRef<uint8_t> object,
                 llvm::ArrayRef<std::string> symbols) {
  std::unique_ptr<ObjectCode> code(new ObjectCode());
  if (llvm::Error error = code->link(object, symbols)) {
    std::string text = plan::describe(std::move(error)).second;
    return failure(Exit::Malformed, "code section: " + text + code->reports);
  }
  return code;
}
