//===- CudaGemm.cpp - Matrix products by cuBLASLt -------------------------===//

#include "runtime/devices/cuda/CudaGemm.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/bit.h"

#include <optional>

using namespace dit;
using namespace dit::runtime::cuda;
using dit::plan::ElementType;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<std::shared_ptr<BlasLibrary>> BlasLibrary::open() {
  llvm::Expected<CublasLtApi> api = CublasLtApi::load();
  if (!api)
    return api.takeError();
  std::shared_ptr<BlasLibrary> library(new BlasLibrary(std::move(*api)));
  const CublasLtApi &functions = library->functions;
  if (BlasStatus status = functions.create(&library->blas))
    return failure(Exit::Unsupported,
                   "cuBLASLt " + functions.version() + " ('" + functions.path +
                       "') does not work with this driver and GPU: " +
                       functions.getStatusName(status));
  return library;
}

BlasLibrary::~BlasLibrary() {
  if (blas)
    functions.destroy(blas);
}

static bool present(const proto::Place &place) {
  return place.space() != proto::Place::NONE;
}

static std::string typeName(proto::ElementType type) {
  return plan::elementName(plan::elementType(type));
}

/// "gemm 512x1152x4608 bf16 x bf16 -> f32"
static std::string describe(const proto::Gemm &gemm) {
  std::string text = "gemm " + std::to_string(gemm.m()) + "x" +
                     std::to_string(gemm.n()) + "x" + std::to_string(gemm.k());
  if (gemm.batch() > 1)
    text += " x" + std::to_string(gemm.batch());
  return text + " " + typeName(gemm.a_type()) + " x " +
         typeName(gemm.b_type()) + " -> " + typeName(gemm.c_type());
}

static std::optional<BlasType> blasType(proto::ElementType type) {
  switch (plan::elementType(type)) {
  case ElementType::F32:
    return BlasF32;
  case ElementType::F16:
    return BlasF16;
  case ElementType::BF16:
    return BlasBF16;
  default:
    return std::nullopt;
  }
}

/// What of an instruction cuBLASLt cannot do; empty where it can do all.
static std::string unsupportedPart(const proto::Gemm &gemm) {
  bool types = blasType(gemm.a_type()) && gemm.a_type() == gemm.b_type() &&
               (gemm.c_type() == gemm.a_type() || gemm.c_type() == proto::F32);
  if (!types)
    return "these types";
  if (gemm.has_packed())
    return "a packed B (packed layouts are for CPUs)";
  if (present(gemm.bias()) && gemm.bias_type() != gemm.c_type())
    return "a bias of " + typeName(gemm.bias_type()) +
           " (it must have the type of C)";
  if (gemm.activation() == proto::Gemm::GELU_ERF)
    return "the activation gelu (erf form)";
  if (gemm.activation() == proto::Gemm::SILU)
    return "the activation silu";
  if (present(gemm.gate()))
    return "a gate";
  bool activated = gemm.activation() != proto::Gemm::IDENTITY;
  if (activated && (present(gemm.residual()) || gemm.beta() != 0))
    return "a sum after an activation";
  if (present(gemm.residual()) && gemm.beta() != 0)
    return "a residual and beta at once";
  return "";
}

namespace {

/// An object of cuBLASLt that is destroyed with its owner.
template <typename T>
struct Destroy {
  BlasStatus (*destroy)(T);
  void operator()(T object) const { destroy(object); }
};
template <typename T>
using Object = std::unique_ptr<std::remove_pointer_t<T>, Destroy<T>>;

/// A product with its descriptors, algorithm and addresses.
class GemmCommand : public CudaCommand {
public:
  GemmCommand(const proto::Gemm &gemm, const CudaAddresses &addresses,
              std::shared_ptr<BlasLibrary> library);

  /// Makes the descriptors and chooses the algorithm.
  llvm::Error prepare(const proto::Gemm &gemm);

  llvm::Error enqueue(const CudaContext &context) override;
  std::string name() const override { return title; }

private:
  llvm::Error makeDescriptor(const proto::Gemm &gemm);
  llvm::Error makeLayouts(const proto::Gemm &gemm);
  llvm::Error chooseAlgorithm();
  llvm::Error check(BlasStatus status, const char *what) const;
  llvm::Expected<Object<MatrixLayout>>
  makeLayout(proto::ElementType type, int64_t rows, int64_t columns,
             int64_t leadingDimension, int64_t batch, int64_t stride) const;

  std::shared_ptr<BlasLibrary> library;
  const CublasLtApi &api;
  std::string title;
  // Named as the plan names them; cuBLASLt's first operand is b.
  DevicePointer a, b, c, bias, addend, workspace;
  uint64_t workspaceBytes;
  float beta;
  Object<MatmulDesc> descriptor;
  Object<MatrixLayout> layoutA, layoutB, layoutC, layoutAddend;
  MatmulAlgorithm algorithm;
};

} // namespace

GemmCommand::GemmCommand(const proto::Gemm &gemm,
                         const CudaAddresses &addresses,
                         std::shared_ptr<BlasLibrary> library)
    : library(std::move(library)), api(this->library->api()),
      title(describe(gemm)), a(addresses(gemm.a())), b(addresses(gemm.b())),
      c(addresses(gemm.c())), bias(addresses(gemm.bias())),
      addend(present(gemm.residual()) ? addresses(gemm.residual()) : c),
      workspace(addresses(gemm.workspace())),
      workspaceBytes(workspace ? gemm.workspace().bytes() : 0),
      beta(present(gemm.residual()) ? 1 : gemm.beta()) {}

llvm::Error GemmCommand::check(BlasStatus status, const char *what) const {
  if (status == BlasSuccess)
    return llvm::Error::success();
  return failure(status == BlasNotSupported ? Exit::Unsupported
                                            : Exit::Internal,
                 title + ": cuBLASLt " + api.version() + ", " + what + ": " +
                     api.getStatusName(status));
}

llvm::Error GemmCommand::makeDescriptor(const proto::Gemm &gemm) {
  MatmulDesc made = nullptr;
  if (llvm::Error error = check(
          api.matmulDescCreate(&made, BlasCompute32F, BlasF32), "descriptor"))
    return error;
  descriptor = {made, {api.matmulDescDestroy}};
  auto set = [&](MatmulAttribute attribute, const auto &value) {
    return check(
        api.matmulDescSetAttribute(made, attribute, &value, sizeof(value)),
        "attribute");
  };
  BlasOperation first = gemm.transpose_b() ? BlasTransposed : BlasNormal;
  BlasOperation second = gemm.transpose_a() ? BlasTransposed : BlasNormal;
  int epilogue = gemm.activation() == proto::Gemm::GELU_TANH ? EpilogueGelu : 0;
  if (bias)
    epilogue |= EpilogueBias;
  BlasEpilogue chosen =
      epilogue ? static_cast<BlasEpilogue>(epilogue) : EpilogueDefault;
  if (llvm::Error error = set(MatmulTransA, first))
    return error;
  if (llvm::Error error = set(MatmulTransB, second))
    return error;
  if (llvm::Error error = set(MatmulEpilogue, chosen))
    return error;
  if (!bias)
    return llvm::Error::success();
  if (llvm::Error error = set(MatmulBiasType, *blasType(gemm.bias_type())))
    return error;
  return set(MatmulBiasPointer, bias);
}

llvm::Expected<Object<MatrixLayout>>
GemmCommand::makeLayout(proto::ElementType type, int64_t rows, int64_t columns,
                        int64_t leadingDimension, int64_t batch,
                        int64_t stride) const {
  MatrixLayout made = nullptr;
  if (llvm::Error error = check(api.layoutCreate(&made, *blasType(type), rows,
                                                 columns, leadingDimension),
                                "layout"))
    return std::move(error);
  Object<MatrixLayout> layout(made, {api.layoutDestroy});
  if (batch == 1)
    return layout;
  int32_t count = static_cast<int32_t>(batch);
  if (llvm::Error error = check(
          api.layoutSetAttribute(made, LayoutBatchCount, &count, sizeof(count)),
          "batch"))
    return std::move(error);
  if (llvm::Error error = check(api.layoutSetAttribute(made, LayoutBatchStride,
                                                       &stride, sizeof(stride)),
                                "batch stride"))
    return std::move(error);
  return layout;
}

llvm::Error GemmCommand::makeLayouts(const proto::Gemm &gemm) {
  int64_t m = gemm.m(), n = gemm.n(), k = gemm.k();
  auto keep = [](Object<MatrixLayout> &slot,
                 llvm::Expected<Object<MatrixLayout>> made) -> llvm::Error {
    if (!made)
      return made.takeError();
    slot = std::move(*made);
    return llvm::Error::success();
  };
  if (llvm::Error error =
          keep(layoutB, makeLayout(gemm.b_type(), gemm.transpose_b() ? k : n,
                                   gemm.transpose_b() ? n : k, gemm.ldb(),
                                   gemm.batch(), gemm.stride_b())))
    return error;
  if (llvm::Error error =
          keep(layoutA, makeLayout(gemm.a_type(), gemm.transpose_a() ? m : k,
                                   gemm.transpose_a() ? k : m, gemm.lda(),
                                   gemm.batch(), gemm.stride_a())))
    return error;
  if (llvm::Error error =
          keep(layoutC, makeLayout(gemm.c_type(), n, m, gemm.ldc(),
                                   gemm.batch(), gemm.stride_c())))
    return error;
  int64_t leading =
      present(gemm.residual()) ? gemm.residual_stride() : gemm.ldc();
  return keep(layoutAddend, makeLayout(gemm.c_type(), n, m, leading,
                                       gemm.batch(), gemm.stride_c()));
}

/// The largest power of two, at most 256, that divides an address.
static uint32_t alignmentOf(DevicePointer address) {
  return address ? std::min<DevicePointer>(address & -address, 256) : 256;
}

llvm::Error GemmCommand::chooseAlgorithm() {
  MatmulPreference made = nullptr;
  if (llvm::Error error = check(api.preferenceCreate(&made), "preference"))
    return error;
  Object<MatmulPreference> preference(made, {api.preferenceDestroy});
  auto set = [&](PreferenceAttribute attribute, auto value) {
    return check(
        api.preferenceSetAttribute(made, attribute, &value, sizeof(value)),
        "preference");
  };
  if (llvm::Error error = set(PreferWorkspaceBytes, workspaceBytes))
    return error;
  for (auto [attribute, address] :
       {std::pair(PreferAlignmentA, b), std::pair(PreferAlignmentB, a),
        std::pair(PreferAlignmentC, addend), std::pair(PreferAlignmentD, c)})
    if (llvm::Error error = set(attribute, alignmentOf(address)))
      return error;
  HeuristicResult result;
  int found = 0;
  BlasStatus status = api.getHeuristic(
      library->handle(), descriptor.get(), layoutB.get(), layoutA.get(),
      layoutAddend.get(), layoutC.get(), made, 1, &result, &found);
  if (status == BlasNotSupported || found == 0)
    return failure(Exit::Unsupported,
                   title + ": cuBLASLt " + api.version() +
                       " has no algorithm for it with a workspace of " +
                       llvm::Twine(workspaceBytes) + " bytes");
  if (llvm::Error error = check(status, "choice of an algorithm"))
    return error;
  if (llvm::Error error = check(result.state, "choice of an algorithm"))
    return error;
  algorithm = result.algorithm;
  return llvm::Error::success();
}

llvm::Error GemmCommand::prepare(const proto::Gemm &gemm) {
  if (llvm::Error error = makeDescriptor(gemm))
    return error;
  if (llvm::Error error = makeLayouts(gemm))
    return error;
  return chooseAlgorithm();
}

llvm::Error GemmCommand::enqueue(const CudaContext &context) {
  const float one = 1;
  return check(api.matmul(library->handle(), descriptor.get(), &one,
                          asPointer(b), layoutB.get(), asPointer(a),
                          layoutA.get(), &beta, asPointer(addend),
                          layoutAddend.get(), asPointer(c), layoutC.get(),
                          &algorithm, asPointer(workspace), workspaceBytes,
                          context.stream()),
               "matmul");
}

llvm::Expected<std::unique_ptr<CudaCommand>>
dit::runtime::cuda::createGemm(const proto::Gemm &gemm,
                               const CudaAddresses &addresses,
                               std::shared_ptr<BlasLibrary> library) {
  if (std::string part = unsupportedPart(gemm); !part.empty())
    return failure(Exit::Unsupported,
                   describe(gemm) + ": cuBLASLt does not support " + part);
  auto command =
      std::make_unique<GemmCommand>(gemm, addresses, std::move(library));
  if (llvm::Error error = command->prepare(gemm))
    return std::move(error);
  return command;
}
