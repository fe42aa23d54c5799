//===- CudnnGraph.h - Building operation graphs for cuDNN -----------------===//
//
// cuDNN takes a computation as a graph of tensors and operations, finds the
// engine that knows the pattern, and makes an execution plan of it. Everything
// is a descriptor with attributes.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_DEVICES_CUDA_CUDNNGRAPH_H
#define DIT_RUNTIME_DEVICES_CUDA_CUDNNGRAPH_H

#include "runtime/devices/cuda/CudaContext.h"
#include "runtime/devices/cuda/CudnnApi.h"
#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace dit::runtime::cuda {

struct DnnPlan;

/// cuDNN with a handle, and the plans that were made with it; shared by the
/// commands that run these.
class DnnLibrary {
public:
  /// Opens the library on the context and its stream. Exit::Unsupported where
  /// it is missing or does not go with the driver.
  static llvm::Expected<std::shared_ptr<DnnLibrary>>
  open(const CudaContext &context);
  ~DnnLibrary();

  const CudnnApi &api() const { return functions; }
  DnnHandle handle() const { return dnn; }

  /// Success, or an error with what the library says: Exit::Unsupported where
  /// it cannot do what was asked, else Exit::Internal.
  llvm::Error check(DnnStatus status, const llvm::Twine &what) const;

  /// The plan of a graph and limits that are described so; null before it is
  /// made and put there. A model has the same one in every block, and making it
  /// takes a sixth of a second.
  std::shared_ptr<DnnPlan> &plan(const std::string &description) {
    return plans[description];
  }

private:
  explicit DnnLibrary(CudnnApi functions) : functions(std::move(functions)) {}

  CudnnApi functions;
  DnnHandle dnn = nullptr;
  std::map<std::string, std::shared_ptr<DnnPlan>> plans;
};

/// A descriptor that is destroyed with its owner.
class Descriptor {
public:
  static llvm::Expected<Descriptor> create(const DnnLibrary &library,
                                           DnnDescriptorKind kind);
  Descriptor(Descriptor &&other) noexcept { *this = std::move(other); }
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(library, other.library);
    std::swap(object, other.object);
    std::swap(failed, other.failed);
    std::swap(failedAttribute, other.failedAttribute);
    return *this;
  }
  ~Descriptor() {
    if (object)
      library->api().destroyDescriptor(object);
  }

  DnnDescriptor get() const { return object; }

  /// Sets an attribute to one value, or to many; finalize() tells what failed.
  template <typename T>
  Descriptor &set(DnnAttribute attribute, DnnAttributeType type,
                  const T &value) {
    return setMany(attribute, type, 1, &value);
  }
  Descriptor &setMany(DnnAttribute attribute, DnnAttributeType type,
                      int64_t count, const void *values);
  /// Makes it usable; nothing can be set any more.
  llvm::Error finalize();

private:
  Descriptor(const DnnLibrary &library, DnnDescriptor object)
      : library(&library), object(object) {}

  const DnnLibrary *library = nullptr;
  DnnDescriptor object = nullptr;
  DnnStatus failed = DnnSuccess; // of the first attribute that was refused
  int failedAttribute = 0;
};

/// Where the tensors of a graph begin: at multiples of this many bytes.
constexpr int64_t dnnAlignment = 16;

/// A four-dimensional tensor of a graph: [batch, heads, rows, columns].
struct DnnTensor {
  DnnType type;
  std::array<int64_t, 4> dimensions;
  std::array<int64_t, 4> strides; // in elements
  bool isVirtual = false;         // never in memory
  bool isByValue = false;         // one number, given by a host pointer
};

/// A row-major tensor that is never in memory.
DnnTensor virtualTensor(DnnType type, std::array<int64_t, 4> dimensions);

/// What an engine may need and do.
struct EngineLimits {
  uint64_t workspaceBytes = 0; ///< that the plan has for the instruction
  uint64_t reservedBytes = 0;  ///< of them, that are not the engine's
  bool deterministic = false;  ///< only engines whose bits never change
};

/// Puts a graph together, operation by operation; tensors are named by numbers
/// that count from 1 and are their unique ids. Computes in fp32. What fails is
/// told by makePlan(). Must outlive the plan it makes.
class GraphBuilder {
public:
  explicit GraphBuilder(const DnnLibrary &library) : library(library) {}

  int64_t addTensor(const DnnTensor &tensor);
  void addMatmul(int64_t a, int64_t b, int64_t c);
  /// y = mode(x, b), or mode(x) where b is 0.
  void addPointwise(DnnPointwise mode, int64_t x, int64_t b, int64_t y);
  void addReduction(DnnReduction operation, int64_t x, int64_t y);
  /// y: the memory of x seen with the dimensions and strides of y.
  void addReshape(int64_t x, int64_t y);

  /// The first plan of the library's heuristics that can be made within the
  /// limits. Exit::Unsupported says why there is none.
  llvm::Expected<Descriptor> makePlan(const EngineLimits &limits);

  /// All that was added: equal graphs have equal ones.
  const std::string &description() const { return text; }

private:
  void describe(std::initializer_list<int64_t> numbers);
  /// Creates a descriptor, sets attributes and finalizes it; null, and what
  /// failed kept, where that does not go.
  DnnDescriptor add(DnnDescriptorKind kind, std::vector<Descriptor> &list,
                    llvm::function_ref<void(Descriptor &)> setAttributes);
  DnnDescriptor tensor(int64_t id) const { return tensors[id - 1].get(); }
  llvm::Expected<Descriptor> makeGraph() const;
  llvm::Expected<std::vector<Descriptor>>
  engineConfigs(const Descriptor &graph, DnnHeuristics mode) const;
  llvm::Expected<bool> isDeterministic(const Descriptor &config) const;

  const DnnLibrary &library;
  std::vector<Descriptor> tensors;
  std::vector<Descriptor> parts; // what operations and the plan refer to
  std::vector<Descriptor> operations;
  // The first that went wrong; nothing is added after it.
  std::optional<std::pair<plan::Exit, std::string>> failed;
  std::string text;
};

/// An execution plan with the graph that it is of.
struct DnnPlan {
  GraphBuilder graph;
  Descriptor execution;
};

} // namespace dit::runtime::cuda

#endif // DIT_RUNTIME_DEVICES_CUDA_CUDNNGRAPH_H
