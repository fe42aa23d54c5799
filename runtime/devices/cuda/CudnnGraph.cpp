//===- CudnnGraph.cpp - Building operation graphs for cuDNN ---------------===//

#include "runtime/devices/cuda/CudnnGraph.h"

#include "runtime/plan/Failure.h"

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<std::shared_ptr<DnnLibrary>>
DnnLibrary::open(const CudaContext &context) {
  llvm::Expected<CudnnApi> api = CudnnApi::load();
  if (!api)
    return api.takeError();
  std::shared_ptr<DnnLibrary> library(new DnnLibrary(std::move(*api)));
  const CudnnApi &functions = library->functions;
  if (DnnStatus status = functions.create(&library->dnn))
    return failure(Exit::Unsupported,
                   "cuDNN " + functions.version() + " ('" + functions.path +
                       "') does not work with this driver and GPU: " +
                       functions.describe(status));
  if (llvm::Error error = library->check(
          functions.setStream(library->dnn, context.stream()), "stream"))
    return std::move(error);
  return library;
}

DnnLibrary::~DnnLibrary() {
  plans.clear();
  if (dnn)
    functions.destroy(dnn);
}

llvm::Error DnnLibrary::check(DnnStatus status, const llvm::Twine &what) const {
  if (status == DnnSuccess)
    return llvm::Error::success();
  bool refused = status / 1000 == DnnNotSupported / 1000;
  return failure(refused ? Exit::Unsupported : Exit::Internal,
                 "cuDNN " + functions.version() + ", " + what + ": " +
                     functions.describe(status));
}

llvm::Expected<Descriptor> Descriptor::create(const DnnLibrary &library,
                                              DnnDescriptorKind kind) {
  DnnDescriptor object = nullptr;
  if (llvm::Error error = library.check(
          library.api().createDescriptor(kind, &object), "descriptor"))
    return std::move(error);
  return Descriptor(library, object);
}

Descriptor &Descriptor::setMany(DnnAttribute attribute, DnnAttributeType type,
                                int64_t count, const void *values) {
  if (failed == DnnSuccess) {
    failed =
        library->api().setAttribute(object, attribute, type, count, values);
    failedAttribute = attribute;
  }
  return *this;
}

llvm::Error Descriptor::finalize() {
  if (llvm::Error error =
          library->check(failed, "attribute " + llvm::Twine(failedAttribute)))
    return error;
  return library->check(library->api().finalize(object), "descriptor");
}

DnnTensor dit::runtime::cuda::virtualTensor(DnnType type,
                                            std::array<int64_t, 4> dimensions) {
  auto [batch, heads, rows, columns] = dimensions;
  return {type,
          dimensions,
          {heads * rows * columns, rows * columns, columns, 1},
          true,
          false};
}

DnnDescriptor
GraphBuilder::add(DnnDescriptorKind kind, std::vector<Descriptor> &list,
                  llvm::function_ref<void(Descriptor &)> setAttributes) {
  if (failed)
    return nullptr;
  llvm::Expected<Descriptor> made = Descriptor::create(library, kind);
  if (!made) {
    failed = plan::describe(made.takeError());
    return nullptr;
  }
  setAttributes(*made);
  if (llvm::Error error = made->finalize()) {
    failed = plan::describe(std::move(error));
    return nullptr;
  }
  list.push_back(std::move(*made));
  return list.back().get();
}

void GraphBuilder::describe(std::initializer_list<int64_t> numbers) {
  for (int64_t number : numbers)
    text += std::to_string(number) + " ";
  text += "\n";
}

int64_t GraphBuilder::addTensor(const DnnTensor &tensor) {
  int64_t id = tensors.size() + 1;
  auto [d0, d1, d2, d3] = tensor.dimensions;
  auto [s0, s1, s2, s3] = tensor.strides;
  describe({TensorDescriptor, tensor.type, d0, d1, d2, d3, s0, s1, s2, s3,
            tensor.isVirtual, tensor.isByValue});
  add(TensorDescriptor, tensors, [&](Descriptor &descriptor) {
    descriptor.set(TensorDataType, TypeDataType, tensor.type)
        .setMany(TensorDimensions, TypeInt64, 4, tensor.dimensions.data())
        .setMany(TensorStrides, TypeInt64, 4, tensor.strides.data())
        .set(TensorUniqueId, TypeInt64, id)
        .set(TensorByteAlignment, TypeInt64, dnnAlignment)
        .set(TensorIsVirtual, TypeBoolean, tensor.isVirtual)
        .set(TensorIsByValue, TypeBoolean, tensor.isByValue);
  });
  return id;
}

void GraphBuilder::addMatmul(int64_t a, int64_t b, int64_t c) {
  describe({MatmulOperation, a, b, c});
  DnnDescriptor part = add(MatmulDescriptor, parts, [](Descriptor &descriptor) {
    descriptor.set(MatmulComputeType, TypeDataType, DnnF32);
  });
  add(MatmulOperation, operations, [&](Descriptor &descriptor) {
    descriptor.set(MatmulOperationA, TypeDescriptor, tensor(a))
        .set(MatmulOperationB, TypeDescriptor, tensor(b))
        .set(MatmulOperationC, TypeDescriptor, tensor(c))
        .set(MatmulOperationDescriptor, TypeDescriptor, part);
  });
}

void GraphBuilder::addPointwise(DnnPointwise mode, int64_t x, int64_t b,
                                int64_t y) {
  describe({PointwiseOperation, mode, x, b, y});
  DnnDescriptor part =
      add(PointwiseDescriptor, parts, [&](Descriptor &descriptor) {
        descriptor.set(PointwiseMode, TypePointwiseMode, mode)
            .set(PointwiseMathPrecision, TypeDataType, DnnF32);
      });
  add(PointwiseOperation, operations, [&](Descriptor &descriptor) {
    descriptor.set(PointwiseOperationDescriptor, TypeDescriptor, part)
        .set(PointwiseOperationX, TypeDescriptor, tensor(x))
        .set(PointwiseOperationY, TypeDescriptor, tensor(y));
    if (b)
      descriptor.set(PointwiseOperationB, TypeDescriptor, tensor(b));
  });
}

void GraphBuilder::addReduction(DnnReduction reduction, int64_t x, int64_t y) {
  describe({ReductionOperation, reduction, x, y});
  DnnDescriptor part =
      add(ReductionDescriptor, parts, [&](Descriptor &descriptor) {
        descriptor.set(ReductionOperator, TypeReductionOperator, reduction)
            .set(ReductionComputeType, TypeDataType, DnnF32);
      });
  add(ReductionOperation, operations, [&](Descriptor &descriptor) {
    descriptor.set(ReductionOperationX, TypeDescriptor, tensor(x))
        .set(ReductionOperationY, TypeDescriptor, tensor(y))
        .set(ReductionOperationDescriptor, TypeDescriptor, part);
  });
}

void GraphBuilder::addReshape(int64_t x, int64_t y) {
  describe({ReshapeOperation, x, y});
  add(ReshapeOperation, operations, [&](Descriptor &descriptor) {
    descriptor.set(ReshapeOperationX, TypeDescriptor, tensor(x))
        .set(ReshapeOperationY, TypeDescriptor, tensor(y));
  });
}

llvm::Expected<Descriptor> GraphBuilder::makeGraph() const {
  llvm::Expected<Descriptor> graph =
      Descriptor::create(library, OperationGraphDescriptor);
  if (!graph)
    return graph.takeError();
  std::vector<DnnDescriptor> all;
  for (const Descriptor &operation : operations)
    all.push_back(operation.get());
  graph->setMany(GraphOperations, TypeDescriptor, all.size(), all.data())
      .set(GraphHandle, TypeHandle, library.handle());
  if (llvm::Error error = graph->finalize())
    return std::move(error);
  return graph;
}

llvm::Expected<std::vector<Descriptor>>
GraphBuilder::engineConfigs(const Descriptor &graph, DnnHeuristics mode) const {
  llvm::Expected<Descriptor> heuristics =
      Descriptor::create(library, EngineHeuristicsDescriptor);
  if (!heuristics)
    return heuristics.takeError();
  heuristics->set(HeuristicsGraph, TypeDescriptor, graph.get())
      .set(HeuristicsMode, TypeHeuristicsMode, mode);
  if (llvm::Error error = heuristics->finalize())
    return std::move(error);
  int64_t count = 0;
  auto get = [&](int64_t requested, void *elements) {
    return library.check(
        library.api().getAttribute(heuristics->get(), HeuristicsResults,
                                   TypeDescriptor, requested, &count, elements),
        "engines");
  };
  if (llvm::Error error = get(0, nullptr))
    return std::move(error);
  std::vector<Descriptor> configs;
  std::vector<DnnDescriptor> slots;
  for (int64_t i = 0; i != count; ++i) {
    llvm::Expected<Descriptor> config =
        Descriptor::create(library, EngineConfigDescriptor);
    if (!config)
      return config.takeError();
    slots.push_back(config->get());
    configs.push_back(std::move(*config));
  }
  if (llvm::Error error = get(count, slots.data()))
    return std::move(error);
  configs.erase(configs.begin() + count, configs.end());
  return configs;
}

llvm::Expected<bool>
GraphBuilder::isDeterministic(const Descriptor &config) const {
  llvm::Expected<Descriptor> engine =
      Descriptor::create(library, EngineDescriptor);
  if (!engine)
    return engine.takeError();
  DnnDescriptor slot = engine->get();
  int64_t count = 0;
  int notes[dnnNumericalNotes];
  if (llvm::Error error = library.check(
          library.api().getAttribute(config.get(), EngineConfigEngine,
                                     TypeDescriptor, 1, &count, &slot),
          "engine"))
    return std::move(error);
  if (llvm::Error error =
          library.check(library.api().getAttribute(
                            slot, EngineNumericalNotes, TypeNumericalNote,
                            dnnNumericalNotes, &count, notes),
                        "notes"))
    return std::move(error);
  return !llvm::is_contained(llvm::ArrayRef(notes, count),
                             int(DnnNondeterministic));
}

llvm::Expected<Descriptor> GraphBuilder::makePlan(const EngineLimits &limits) {
  if (failed)
    return failure(failed->first, failed->second);
  llvm::Expected<Descriptor> graph = makeGraph();
  if (!graph)
    return graph.takeError();
  std::string reason = "cuDNN " + library.api().version() + " has no engine";
  for (DnnHeuristics mode : {DnnModeA, DnnFallback}) {
    llvm::Expected<std::vector<Descriptor>> configs =
        engineConfigs(*graph, mode);
    if (!configs) {
      reason = plan::describe(configs.takeError()).second;
      continue;
    }
    for (Descriptor &config : *configs) {
      if (limits.deterministic) {
        llvm::Expected<bool> deterministic = isDeterministic(config);
        if (!deterministic)
          return deterministic.takeError();
        if (!*deterministic) {
          reason = "cuDNN " + library.api().version() +
                   " has only engines whose results change from run to run";
          continue;
        }
      }
      llvm::Expected<Descriptor> made =
          Descriptor::create(library, ExecutionPlanDescriptor);
      if (!made)
        return made.takeError();
      made->set(PlanHandle, TypeHandle, library.handle())
          .set(PlanEngineConfig, TypeDescriptor, config.get());
      if (llvm::Error error = made->finalize()) {
        reason = plan::describe(std::move(error)).second;
        continue;
      }
      int64_t needed = 0, count = 0;
      if (llvm::Error error = library.check(
              library.api().getAttribute(made->get(), PlanWorkspaceBytes,
                                         TypeInt64, 1, &count, &needed),
              "workspace"))
        return std::move(error);
      uint64_t all = needed + limits.reservedBytes;
      if (all <= limits.workspaceBytes) {
        parts.push_back(std::move(*graph));
        parts.push_back(std::move(config));
        return made;
      }
      reason = "cuDNN " + library.api().version() + " needs a workspace of " +
               std::to_string(all) + " bytes, the plan has " +
               std::to_string(limits.workspaceBytes);
    }
  }
  return failure(Exit::Unsupported, reason);
}
