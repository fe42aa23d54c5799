//===- Assembler.cpp - CUDA's assembler, where there is one ---------------===//
#include "compiler/codegen/gpu/Assembler.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <dlfcn.h>
#include <optional>

using namespace dit::codegen;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// The log
//===----------------------------------------------------------------------===//

/// The number that stands before `unit` in `line`.
static std::optional<int64_t> numberBefore(StringRef line, StringRef unit) {
  size_t place = line.find(unit);
  if (place == StringRef::npos)
    return std::nullopt;
  StringRef before = line.take_front(place).rtrim();
  StringRef digits = before.take_back(before.size() - 1 -
                                      before.find_last_not_of("0123456789"));
  int64_t number;
  if (digits.getAsInteger(10, number))
    return std::nullopt;
  return number;
}

std::vector<KernelResources> dit::codegen::parseResources(StringRef log) {
  std::vector<KernelResources> kernels;
  llvm::SmallVector<StringRef> lines;
  log.split(lines, '\n');
  for (StringRef line : lines) {
    if (line.contains("Compiling entry function '")) {
      kernels.emplace_back();
      kernels.back().symbol = line.split('\'').second.split('\'').first.str();
      continue;
    }
    if (kernels.empty())
      continue;
    KernelResources &kernel = kernels.back();
    if (auto stores = numberBefore(line, " bytes spill stores")) {
      kernel.spillStoreBytes = *stores;
      kernel.spillLoadBytes =
          numberBefore(line, " bytes spill loads").value_or(0);
    }
    if (!line.contains("Used "))
      continue;
    kernel.registers = numberBefore(line, " registers").value_or(0);
    kernel.sharedBytes = numberBefore(line, " bytes smem").value_or(0);
  }
  return kernels;
}

//===----------------------------------------------------------------------===//
// Where CUDA is
//===----------------------------------------------------------------------===//

/// The folders of DIT_CUDA_PATH, each with what pip's packages put below it.
static std::vector<std::string> cudaFolders(StringRef below) {
  std::vector<std::string> folders;
  if (const char *given = std::getenv("DIT_CUDA_PATH")) {
    llvm::SmallVector<StringRef> parts;
    StringRef(given).split(parts, ':', -1, false);
    for (StringRef part : parts)
      for (const char *between :
           {"/", "/nvidia/cu13/", "/nvidia/nvjitlink/", "/nvidia/cuda_nvcc/"})
        folders.push_back(part.rtrim('/').str() + between + below.str());
  }
  return folders;
}

//===----------------------------------------------------------------------===//
// ptxas
//===----------------------------------------------------------------------===//

static std::string findPtxas() {
  std::vector<std::string> folders = cudaFolders("bin");
  std::vector<std::string> itself = cudaFolders("");
  folders.insert(folders.end(), itself.begin(), itself.end());
  llvm::SmallVector<StringRef> paths(folders.begin(), folders.end());
  if (!paths.empty())
    if (auto found = llvm::sys::findProgramByName("ptxas", paths))
      return *found;
  if (auto found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  auto found = llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"});
  return found ? *found : "";
}

static llvm::Expected<std::string> readFile(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError(buffer.getError(), path);
  return (*buffer)->getBuffer().str();
}

/// An assembler's first complaint.
static std::string firstLine(StringRef text) {
  return text.ltrim().split('\n').first.str();
}

/// Runs a program; what it printed, or an error with that.
static llvm::Expected<std::string>
runProgram(StringRef program, llvm::ArrayRef<StringRef> words, StringRef log) {
  llvm::SmallVector<StringRef> all = {program};
  all.append(words.begin(), words.end());
  std::string message;
  int code = llvm::sys::ExecuteAndWait(program, all, std::nullopt,
                                       {StringRef(), log, log}, 0, 0, &message);
  llvm::Expected<std::string> text = readFile(log);
  if (code == 0 || !text)
    return text;
  return llvm::createStringError(program + " fails: " + message +
                                 firstLine(*text));
}

/// "13.0.88" of the last word "V13.0.88" of a line on the version.
static std::string findVersion(StringRef text) {
  StringRef version = text.split(", V").second;
  return version.take_while([](char c) { return c == '.' || isdigit(c); })
      .str();
}

static llvm::Expected<Cubin> runPtxas(StringRef program, StringRef ptx,
                                      StringRef arch) {
  llvm::SmallString<64> input, output, log;
  for (auto [path, suffix] :
       {std::pair(&input, "ptx"), std::pair(&output, "cubin"),
        std::pair(&log, "log")})
    if (std::error_code error =
            llvm::sys::fs::createTemporaryFile("dit", suffix, *path))
      return llvm::createStringError(error, "a temporary file for ptxas");
  llvm::FileRemover removeInput(input), removeOutput(output), removeLog(log);
  std::error_code error;
  llvm::raw_fd_ostream file(input, error);
  if (!error) {
    file << ptx;
    file.close();
    error = file.error();
    file.clear_error();
  }
  if (error)
    return llvm::createStringError(error, input);

  Cubin cubin;
  llvm::Expected<std::string> version = runProgram(program, {"--version"}, log);
  if (!version)
    return version.takeError();
  cubin.assembler = "ptxas " + findVersion(*version);
  std::string target = ("-arch=" + arch).str();
  llvm::Expected<std::string> text =
      runProgram(program, {"-v", target, input, "-o", output}, log);
  if (!text)
    return text.takeError();
  cubin.kernels = parseResources(*text);
  llvm::Expected<std::string> code = readFile(output);
  if (!code)
    return code.takeError();
  cubin.code = std::move(*code);
  return cubin;
}

//===----------------------------------------------------------------------===//
// nvJitLink
//===----------------------------------------------------------------------===//

namespace {
/// The library's functions, as nvJitLink.h has them: 0 is success.
struct JitLinkApi {
  using Handle = struct JitLinkTag *;
  int (*create)(Handle *, uint32_t count, const char **options);
  int (*destroy)(Handle *);
  int (*addData)(Handle, int kind, const void *data, size_t bytes,
                 const char *name);
  int (*complete)(Handle);
  int (*getSize)(Handle, size_t *);
  int (*getCode)(Handle, void *);
  int (*getErrorSize)(Handle, size_t *);
  int (*getError)(Handle, char *);
  int (*getInfoSize)(Handle, size_t *);
  int (*getInfo)(Handle, char *);
  int (*getVersion)(unsigned *major, unsigned *minor);
};
} // namespace

static void *openJitLink() {
  std::vector<std::string> folders = cudaFolders("");
  for (const char *below : {"lib64", "lib"})
    for (const std::string &folder : cudaFolders(below))
      folders.push_back(folder + "/");
  folders.push_back("");
  folders.push_back("/usr/local/cuda/lib64/");
  for (const char *name : {"libnvJitLink.so.13", "libnvJitLink.so.12"})
    for (const std::string &folder : folders)
      if (void *library =
              ::dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL))
        return library;
  return nullptr;
}

/// Fills every function; whether all are there.
static bool resolve(void *library, JitLinkApi &api) {
  auto find = [&](const char *name, auto *&slot) {
    slot = reinterpret_cast<std::remove_reference_t<decltype(slot)>>(
        ::dlsym(library, name));
    return slot != nullptr;
  };
  return find("nvJitLinkCreate", api.create) &&
         find("nvJitLinkDestroy", api.destroy) &&
         find("nvJitLinkAddData", api.addData) &&
         find("nvJitLinkComplete", api.complete) &&
         find("nvJitLinkGetLinkedCubinSize", api.getSize) &&
         find("nvJitLinkGetLinkedCubin", api.getCode) &&
         find("nvJitLinkGetErrorLogSize", api.getErrorSize) &&
         find("nvJitLinkGetErrorLog", api.getError) &&
         find("nvJitLinkGetInfoLogSize", api.getInfoSize) &&
         find("nvJitLinkGetInfoLog", api.getInfo) &&
         find("nvJitLinkVersion", api.getVersion);
}

static std::string readLog(JitLinkApi::Handle handle,
                           int (*getSize)(JitLinkApi::Handle, size_t *),
                           int (*get)(JitLinkApi::Handle, char *)) {
  size_t bytes = 0;
  if (getSize(handle, &bytes))
    return "";
  std::string text(bytes, '\0');
  if (bytes && get(handle, text.data()))
    return "";
  return StringRef(text.c_str()).trim().str();
}

static llvm::Expected<Cubin> runJitLink(const JitLinkApi &api, StringRef ptx,
                                        StringRef arch) {
  unsigned major = 0, minor = 0;
  api.getVersion(&major, &minor);
  Cubin cubin;
  cubin.assembler =
      ("nvJitLink " + llvm::Twine(major) + "." + llvm::Twine(minor)).str();
  std::string target = ("-arch=" + arch).str(), text = ptx.str();
  const char *options[] = {target.c_str(), "-verbose"};
  JitLinkApi::Handle handle = nullptr;
  if (int code = api.create(&handle, 2, options))
    return llvm::createStringError(cubin.assembler + " takes no " + arch +
                                   ": error " + llvm::Twine(code));
  llvm::scope_exit destroy([&] { api.destroy(&handle); });
  constexpr int kindPtx = 2; // NVJITLINK_INPUT_PTX
  size_t bytes = 0;
  if (api.addData(handle, kindPtx, text.c_str(), text.size() + 1, "kernels") ||
      api.complete(handle) || api.getSize(handle, &bytes))
    return llvm::createStringError(
        cubin.assembler + " fails: " +
        firstLine(readLog(handle, api.getErrorSize, api.getError)));
  cubin.code.resize(bytes);
  if (api.getCode(handle, cubin.code.data()))
    return llvm::createStringError(cubin.assembler + " gives no code");
  cubin.kernels = parseResources(readLog(handle, api.getInfoSize, api.getInfo));
  return cubin;
}

llvm::Expected<Cubin> dit::codegen::assemble(StringRef ptx, StringRef arch) {
  if (std::string program = findPtxas(); !program.empty())
    return runPtxas(program, ptx, arch);
  JitLinkApi api;
  if (void *library = openJitLink(); library && resolve(library, api))
    return runJitLink(api, ptx, arch);
  return llvm::createStringError(
      "neither ptxas nor nvJitLink is here (DIT_CUDA_PATH names folders to "
      "look in)");
}
