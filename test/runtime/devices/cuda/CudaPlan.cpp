//===- CudaPlan.cpp - Plans for a GPU made by hand ------------------------===//

#include "test/runtime/devices/cuda/CudaPlan.h"

#include "runtime/devices/cuda/CudaApi.h"
#include "runtime/devices/cuda/CudaContext.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"
#include "runtime/plan/Validate.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace dit;
using namespace dit::test;
using dit::plan::ElementType;
using dit::runtime::Executor;

CudaPlan::CudaPlan() {
  proto::Plan &plan = view.metadata;
  plan.set_mode("forward");
  plan.set_precision("bf16");
  plan.set_model("hand");
  plan.mutable_target()->set_kind("cuda");
  plan.mutable_target()->set_cpu("sm_80");
  plan.mutable_target()->set_world_size(1);
  proto::Function *forward = plan.add_functions();
  forward->set_name("forward");
  forward->set_step("forward");
}

static void setType(proto::Global &global, ElementType type,
                    llvm::ArrayRef<int64_t> shape) {
  global.mutable_type()->set_type(static_cast<proto::ElementType>(type));
  for (int64_t extent : shape)
    global.mutable_type()->add_shape(extent);
}

unsigned CudaPlan::addGlobal(llvm::StringRef name, ElementType type,
                             llvm::ArrayRef<int64_t> shape,
                             proto::Global::Role role) {
  proto::Plan &plan = view.metadata;
  proto::Global *global = plan.add_globals();
  global->set_name(name.str());
  global->set_role(role);
  setType(*global, type, shape);
  global->set_bytes(*plan::tensorBytes(global->type()));
  global->set_offset(llvm::alignTo(plan.globals_bytes(), 256));
  plan.set_globals_bytes(global->offset() + global->bytes());
  if (role == proto::Global::INPUT || role == proto::Global::OUTPUT) {
    proto::Interface *entry =
        role == proto::Global::INPUT ? plan.add_inputs() : plan.add_outputs();
    entry->set_name(name.str());
    entry->set_global(name.str());
  }
  return plan.globals_size() - 1;
}

unsigned CudaPlan::addDrawn(llvm::StringRef name, ElementType type,
                            llvm::ArrayRef<int64_t> shape, double deviation) {
  unsigned index = addGlobal(name, type, shape, proto::Global::PARAMETER);
  proto::Piece *piece = view.metadata.mutable_globals(index)->add_pieces();
  piece->set_name(name.str());
  piece->mutable_file()->set_type(proto::F32);
  for (size_t i = 0; i != shape.size(); ++i) {
    piece->mutable_file()->add_shape(shape[i]);
    piece->add_view(shape[i]);
    piece->add_target_view(shape[i]);
    piece->add_permutation(i);
    piece->add_target_offset(0);
  }
  proto::Init *init = piece->mutable_init();
  init->set_kind(proto::Init::NORMAL);
  init->set_value(deviation);
  init->set_stream(index);
  return index;
}

unsigned CudaPlan::addMapped(llvm::StringRef name,
                             llvm::ArrayRef<uint8_t> bytes) {
  proto::Global *global = view.metadata.add_globals();
  global->set_name(name.str());
  global->set_role(proto::Global::CONSTANT);
  setType(*global, ElementType::U8, {static_cast<int64_t>(bytes.size())});
  global->set_mapped(true);
  weights.resize(llvm::alignTo(weights.size(), 256));
  global->set_offset(weights.size());
  global->set_bytes(bytes.size());
  weights.insert(weights.end(), bytes.begin(), bytes.end());
  return view.metadata.globals_size() - 1;
}

proto::Place CudaPlan::place(unsigned index, int64_t element) const {
  const proto::Global &global = view.metadata.globals(index);
  proto::Place place;
  place.set_space(proto::Place::GLOBAL);
  place.set_global(index);
  place.set_offset(element *
                   plan::elementBytes(plan::elementType(global.type().type())));
  place.set_bytes(global.bytes() - place.offset());
  return place;
}

proto::Place CudaPlan::arena(uint64_t bytes) {
  proto::Plan &plan = view.metadata;
  proto::Place place;
  place.set_space(proto::Place::ARENA);
  place.set_offset(llvm::alignTo(plan.arena_bytes(), 256));
  place.set_bytes(bytes);
  plan.set_arena_bytes(place.offset() + bytes);
  plan.mutable_functions(0)->set_arena_bytes(plan.arena_bytes());
  return place;
}

void CudaPlan::setPtx(llvm::StringRef text, llvm::StringRef arch,
                      llvm::StringRef part) {
  code.assign(text.begin(), text.end());
  proto::Image *image = view.metadata.add_images();
  image->set_kind(proto::Image::PTX);
  image->set_arch(arch.str());
  image->set_bytes(code.size());
  image->set_part(part.str());
}

unsigned CudaPlan::addKernel(llvm::StringRef symbol, int64_t threads,
                             int64_t sharedBytes) {
  proto::Kernel *kernel = view.metadata.add_kernels();
  kernel->set_symbol(symbol.str());
  kernel->set_description("by hand");
  kernel->set_threads(threads);
  kernel->set_shared_bytes(sharedBytes);
  return view.metadata.kernels_size() - 1;
}

proto::Instruction &CudaPlan::add() {
  proto::Instruction *added =
      view.metadata.mutable_functions(0)->add_instructions();
  added->set_location("test");
  return *added;
}

void CudaPlan::addLaunch(unsigned kernel, int64_t blocks,
                         std::vector<proto::Place> operands) {
  proto::Launch *launch = add().mutable_launch();
  launch->set_kernel(kernel);
  launch->set_blocks(blocks);
  for (const proto::Place &place : operands)
    *launch->add_operands() = place;
}

const plan::PlanView &CudaPlan::finish() {
  view.code = code;
  view.weights = weights;
  return view;
}

llvm::Expected<Executor *> CudaPlan::load(const runtime::CudaOptions &options) {
  executor = nullptr;
  finish();
  if (llvm::Error error =
          plan::validate(view.metadata, code.size(), weights.size()))
    return std::move(error);
  device = runtime::createCudaDevice(options);
  llvm::Expected<std::unique_ptr<Executor>> made =
      Executor::create(view, *device);
  if (!made)
    return made.takeError();
  executor = std::move(*made);
  return executor.get();
}

bool dit::test::hasGpu() {
  llvm::Expected<runtime::cuda::CudaApi> api = runtime::cuda::CudaApi::load();
  if (api)
    return true;
  llvm::consumeError(api.takeError());
  return false;
}

bool dit::test::isHopper() {
  auto context = runtime::cuda::CudaContext::create();
  if (context)
    return (*context)->gpu().sm == 90;
  llvm::consumeError(context.takeError());
  return false;
}

std::vector<uint8_t> dit::test::toBytes(ElementType type,
                                        llvm::ArrayRef<float> values) {
  std::vector<uint8_t> bytes(values.size() * plan::elementBytes(type));
  plan::convertFloats(ElementType::F32, values.data(), type, bytes.data(),
                      values.size());
  return bytes;
}

std::vector<float> dit::test::toFloats(ElementType type,
                                       llvm::ArrayRef<uint8_t> bytes) {
  std::vector<float> values(bytes.size() / plan::elementBytes(type));
  plan::convertFloats(type, bytes.data(), ElementType::F32, values.data(),
                      values.size());
  return values;
}

std::vector<float> dit::test::randomValues(ElementType type, int64_t count,
                                           uint64_t seed, float deviation) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(engine);
  return toFloats(type, toBytes(type, values));
}

static ElementType typeOf(Executor &executor, unsigned global) {
  return plan::elementType(executor.metadata().globals(global).type().type());
}

/// Fails the test with an error's text.
static void expectNone(llvm::Error error) {
  if (error)
    FAIL() << plan::describe(std::move(error)).second;
}

void dit::test::writeValues(Executor &executor, unsigned global,
                            llvm::ArrayRef<float> values) {
  expectNone(executor.write(global, toBytes(typeOf(executor, global), values)));
}

void dit::test::poison(Executor &executor, unsigned global) {
  std::vector<float> values(
      *plan::elementCount(
          plan::dimensions(executor.metadata().globals(global).type().shape())),
      NAN);
  writeValues(executor, global, values);
}

std::vector<float> dit::test::readValues(Executor &executor, unsigned global) {
  llvm::Expected<std::vector<uint8_t>> bytes = executor.read(global);
  if (!bytes) {
    ADD_FAILURE() << plan::describe(bytes.takeError()).second;
    return {};
  }
  return toFloats(typeOf(executor, global), *bytes);
}

void dit::test::runForward(Executor &executor) {
  expectNone(executor.run(*executor.findStep("forward")));
}

proto::Gemm dit::test::makeGemm(ElementType type, ElementType resultType,
                                int64_t m, int64_t n, int64_t k) {
  proto::Gemm gemm;
  gemm.set_m(m);
  gemm.set_n(n);
  gemm.set_k(k);
  gemm.set_batch(1);
  gemm.set_a_type(static_cast<proto::ElementType>(type));
  gemm.set_b_type(static_cast<proto::ElementType>(type));
  gemm.set_c_type(static_cast<proto::ElementType>(resultType));
  gemm.set_bias_type(static_cast<proto::ElementType>(resultType));
  gemm.set_transpose_b(true);
  gemm.set_lda(k);
  gemm.set_ldb(k);
  gemm.set_ldc(n);
  return gemm;
}

proto::Attention dit::test::makeAttention(ElementType type, int64_t batch,
                                          int64_t heads, int64_t queries,
                                          int64_t keys, int64_t dim,
                                          int64_t group) {
  proto::Attention attention;
  attention.set_batch(batch);
  attention.set_heads(heads);
  attention.set_query_tokens(queries);
  attention.set_key_tokens(keys);
  attention.set_head_dim(dim);
  attention.set_value_dim(dim);
  attention.set_key_head_group(group);
  attention.set_scale(1 / std::sqrt(dim));
  attention.set_type(static_cast<proto::ElementType>(type));
  return attention;
}

proto::Attention::Operand dit::test::makeOperand(proto::Place place,
                                                 int64_t tokens, int64_t parts,
                                                 int64_t heads, int64_t dim) {
  proto::Attention::Operand operand;
  *operand.mutable_place() = std::move(place);
  operand.set_batch_stride(tokens * parts * heads * dim);
  operand.set_token_stride(parts * heads * dim);
  operand.set_head_stride(dim);
  return operand;
}
