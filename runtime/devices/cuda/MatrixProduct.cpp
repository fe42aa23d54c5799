//===- MatrixProduct.cpp - One product as cuBLASLt sees it ----------------===//

#include "runtime/devices/cuda/MatrixProduct.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/Support/raw_ostream.h"

#include <algorithm>
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

/// "gemm 512x1152x4608 bf16 x bf16 -> f32", and what is done with aux.
static std::string describe(const proto::Gemm &gemm) {
  std::string text = "gemm " + std::to_string(gemm.m()) + "x" +
                     std::to_string(gemm.n()) + "x" + std::to_string(gemm.k());
  if (gemm.batch() > 1)
    text += " x" + std::to_string(gemm.batch());
  return text + " " + typeName(gemm.a_type()) + " x " +
         typeName(gemm.b_type()) + " -> " + typeName(gemm.c_type()) +
         (!present(gemm.aux())                               ? ""
          : gemm.activation() == proto::Gemm::GELU_TANH_GRAD ? " gelu_grad"
                                                             : " gelu_aux");
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
  if (gemm.activation() == proto::Gemm::GELU_TANH_GRAD && present(gemm.bias()))
    return "a bias before the gradient of gelu";
  return "";
}

static BlasEpilogue epilogueOf(const proto::Gemm &gemm) {
  if (gemm.activation() == proto::Gemm::GELU_TANH_GRAD)
    return EpilogueGeluGrad;
  bool bias = present(gemm.bias());
  if (gemm.activation() != proto::Gemm::GELU_TANH)
    return bias ? EpilogueBias : EpilogueDefault;
  if (present(gemm.aux()))
    return bias ? EpilogueGeluAuxBias : EpilogueGeluAux;
  return bias ? EpilogueGeluBias : EpilogueGelu;
}

/// The largest power of two, at most 256, that divides an address.
static uint32_t alignmentOf(DevicePointer address) {
  return address ? std::min<DevicePointer>(address & -address, 256) : 256;
}

MatrixProduct::MatrixProduct(const proto::Gemm &gemm,
                             const CudaAddresses &addresses,
                             std::shared_ptr<BlasLibrary> library)
    : library(std::move(library)), title(describe(gemm)),
      a(addresses(gemm.a())), b(addresses(gemm.b())), c(addresses(gemm.c())),
      bias(addresses(gemm.bias())),
      addend(present(gemm.residual()) ? addresses(gemm.residual()) : c),
      workspace(addresses(gemm.workspace())), aux(addresses(gemm.aux())),
      workspaceBytes(workspace ? gemm.workspace().bytes() : 0),
      beta(present(gemm.residual()) ? 1 : gemm.beta()) {
  llvm::raw_string_ostream os(identity);
  os << title << (gemm.transpose_a() ? " ta" : "")
     << (gemm.transpose_b() ? " tb" : "") << " ld " << gemm.lda() << " "
     << gemm.ldb() << " " << gemm.ldc() << " " << gemm.residual_stride()
     << " strides " << gemm.stride_a() << " " << gemm.stride_b() << " "
     << gemm.stride_c() << " epilogue " << gemm.activation()
     << (bias ? " bias" : "") << (beta != 0 ? " sum" : "") << " align "
     << alignmentOf(a) << " " << alignmentOf(b) << " " << alignmentOf(c) << " "
     << alignmentOf(addend) << " workspace " << workspaceBytes;
  if (aux)
    os << " aux ld " << gemm.aux_stride() << " align " << alignmentOf(aux);
}

llvm::Error MatrixProduct::check(BlasStatus status, const char *what) const {
  if (status == BlasSuccess)
    return llvm::Error::success();
  return failure(status == BlasNotSupported ? Exit::Unsupported
                                            : Exit::Internal,
                 title + ": cuBLASLt " + library->api().version() + ", " +
                     what + ": " + library->api().getStatusName(status));
}

llvm::Error MatrixProduct::makeDescriptor(const proto::Gemm &gemm) {
  MatmulDesc made = nullptr;
  if (llvm::Error error =
          check(library->api().matmulDescCreate(&made, BlasCompute32F, BlasF32),
                "descriptor"))
    return error;
  descriptor = {made, {library->api().matmulDescDestroy}};
  auto set = [&](MatmulAttribute attribute, const auto &value) {
    return check(library->api().matmulDescSetAttribute(made, attribute, &value,
                                                       sizeof(value)),
                 "attribute");
  };
  BlasOperation first = gemm.transpose_b() ? BlasTransposed : BlasNormal;
  BlasOperation second = gemm.transpose_a() ? BlasTransposed : BlasNormal;
  BlasEpilogue epilogue = epilogueOf(gemm);
  if (llvm::Error error = set(MatmulTransA, first))
    return error;
  if (llvm::Error error = set(MatmulTransB, second))
    return error;
  if (llvm::Error error = set(MatmulEpilogue, epilogue))
    return error;
  if (aux)
    if (llvm::Error error = setAux(gemm))
      return error;
  if (!bias)
    return llvm::Error::success();
  if (llvm::Error error = set(MatmulBiasType, *blasType(gemm.bias_type())))
    return error;
  return set(MatmulBiasPointer, bias);
}

llvm::Error MatrixProduct::setAux(const proto::Gemm &gemm) {
  auto set = [&](MatmulAttribute attribute, auto value) {
    return check(library->api().matmulDescSetAttribute(
                     descriptor.get(), attribute, &value, sizeof(value)),
                 "aux");
  };
  if (llvm::Error error = set(MatmulAuxPointer, aux))
    return error;
  if (llvm::Error error = set(MatmulAuxType, *blasType(gemm.c_type())))
    return error;
  if (llvm::Error error =
          set(MatmulAuxLeading, static_cast<int64_t>(gemm.aux_stride())))
    return error;
  return set(MatmulAuxBatchStride,
             static_cast<int64_t>(gemm.batch() > 1 ? gemm.stride_c() : 0));
}

llvm::Expected<BlasObject<MatrixLayout>>
MatrixProduct::makeLayout(proto::ElementType type, int64_t rows,
                          int64_t columns, int64_t leadingDimension,
                          int64_t batch, int64_t stride) const {
  MatrixLayout made = nullptr;
  if (llvm::Error error =
          check(library->api().layoutCreate(&made, *blasType(type), rows,
                                            columns, leadingDimension),
                "layout"))
    return std::move(error);
  BlasObject<MatrixLayout> layout(made, {library->api().layoutDestroy});
  if (batch == 1)
    return layout;
  int32_t count = static_cast<int32_t>(batch);
  if (llvm::Error error =
          check(library->api().layoutSetAttribute(made, LayoutBatchCount,
                                                  &count, sizeof(count)),
                "batch"))
    return std::move(error);
  if (llvm::Error error =
          check(library->api().layoutSetAttribute(made, LayoutBatchStride,
                                                  &stride, sizeof(stride)),
                "batch stride"))
    return std::move(error);
  return layout;
}

llvm::Error MatrixProduct::makeLayouts(const proto::Gemm &gemm) {
  int64_t m = gemm.m(), n = gemm.n(), k = gemm.k();
  auto keep = [](BlasObject<MatrixLayout> &slot,
                 llvm::Expected<BlasObject<MatrixLayout>> made) -> llvm::Error {
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

llvm::Expected<std::vector<MatmulAlgorithm>>
MatrixProduct::candidates(int most) const {
  const CublasLtApi &api = library->api();
  MatmulPreference made = nullptr;
  if (llvm::Error error = check(api.preferenceCreate(&made), "preference"))
    return std::move(error);
  BlasObject<MatmulPreference> preference(made, {api.preferenceDestroy});
  auto set = [&](PreferenceAttribute attribute, auto value) {
    return check(
        api.preferenceSetAttribute(made, attribute, &value, sizeof(value)),
        "preference");
  };
  if (llvm::Error error = set(PreferWorkspaceBytes, workspaceBytes))
    return std::move(error);
  for (auto [attribute, address] :
       {std::pair(PreferAlignmentA, b), std::pair(PreferAlignmentB, a),
        std::pair(PreferAlignmentC, addend), std::pair(PreferAlignmentD, c)})
    if (llvm::Error error = set(attribute, alignmentOf(address)))
      return std::move(error);
  std::vector<HeuristicResult> results(most);
  int found = 0;
  BlasStatus status = api.getHeuristic(
      library->handle(), descriptor.get(), layoutB.get(), layoutA.get(),
      layoutAddend.get(), layoutC.get(), made, most, results.data(), &found);
  std::vector<MatmulAlgorithm> algorithms;
  for (int i = 0; i != found; ++i)
    if (results[i].state == BlasSuccess)
      algorithms.push_back(results[i].algorithm);
  if (status == BlasNotSupported || algorithms.empty())
    return failure(Exit::Unsupported,
                   title + ": cuBLASLt " + api.version() +
                       " has no algorithm for it with a workspace of " +
                       llvm::Twine(workspaceBytes) + " bytes");
  if (llvm::Error error = check(status, "choice of an algorithm"))
    return std::move(error);
  return algorithms;
}

std::optional<size_t>
MatrixProduct::workspaceOf(const MatmulAlgorithm &algorithm) const {
  HeuristicResult result;
  if (library->api().algorithmCheck(library->handle(), descriptor.get(),
                                    layoutB.get(), layoutA.get(),
                                    layoutAddend.get(), layoutC.get(),
                                    &algorithm, &result) != BlasSuccess)
    return std::nullopt;
  return result.workspaceBytes;
}

bool MatrixProduct::accepts(const MatmulAlgorithm &algorithm) const {
  std::optional<size_t> needed = workspaceOf(algorithm);
  return needed && *needed <= workspaceBytes;
}

bool MatrixProduct::usesWorkspace(const MatmulAlgorithm &algorithm) const {
  return workspaceOf(algorithm) != size_t(0);
}

llvm::Error MatrixProduct::enqueue(const MatmulAlgorithm &algorithm,
                                   Stream stream) const {
  const float one = 1;
  return check(library->api().matmul(
                   library->handle(), descriptor.get(), &one, asPointer(b),
                   layoutB.get(), asPointer(a), layoutA.get(), &beta,
                   asPointer(addend), layoutAddend.get(), asPointer(c),
                   layoutC.get(), &algorithm, asPointer(workspace),
                   workspaceBytes, stream),
               "matmul");
}

llvm::Expected<MatrixProduct>
MatrixProduct::create(const proto::Gemm &gemm, const CudaAddresses &addresses,
                      std::shared_ptr<BlasLibrary> library) {
  if (std::string part = unsupportedPart(gemm); !part.empty())
    return failure(Exit::Unsupported,
                   describe(gemm) + ": cuBLASLt does not support " + part);
  MatrixProduct product(gemm, addresses, std::move(library));
  if (llvm::Error error = product.makeDescriptor(gemm))
    return std::move(error);
  if (llvm::Error error = product.makeLayouts(gemm))
    return std::move(error);
  return product;
}
