//===- TrainingState.cpp - What a checkpoint of a run holds ---------------===//

#include "runtime/training/TrainingState.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <cstring>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

llvm::Expected<std::vector<uint8_t>>
dit::runtime::readWhole(Executor &executor, const std::string &global) {
  return executor.read(*executor.findGlobal(global));
}

static TensorEntry entryOf(const ModelTensor &tensor, std::string name) {
  const proto::Tensor &file = tensor.piece.file();
  return {std::move(name),
          plan::elementType(file.type()),
          {file.shape().begin(), file.shape().end()}};
}

std::vector<TrainingState::Scalar>
TrainingState::scalarsOf(const proto::Plan &plan) {
  const proto::Training &training = plan.training();
  std::vector<Scalar> scalars;
  for (const auto &[name, global] :
       {std::pair<const char *, const std::string &>{"loss_scale",
                                                     training.loss_scale()},
        {"good_steps", training.good_steps()},
        {"applied", training.applied()},
        {"skipped", training.skipped()}}) {
    if (global.empty())
      continue;
    auto found = llvm::find_if(plan.globals(), [&](const proto::Global &one) {
      return one.name() == global;
    });
    Array value{plan::elementType(found->type().type()),
                {found->type().shape().begin(), found->type().shape().end()},
                std::vector<uint8_t>(*plan::tensorBytes(found->type()))};
    scalars.push_back({name, global, std::move(value)});
  }
  return scalars;
}

//===----------------------------------------------------------------------===//
// The device
//===----------------------------------------------------------------------===//

llvm::Error TrainingState::copyFrozen(Executor &executor,
                                      const FlatParameters &parameters) {
  const proto::Plan &plan = executor.metadata();
  for (const ModelTensor &tensor : parameters.frozen()) {
    const proto::Global &global = plan.globals(tensor.global);
    std::vector<uint8_t> stored(global.bytes());
    if (llvm::Error error = executor.device().copyOut(tensor.global, 0, stored))
      return error;
    std::vector<uint8_t> &values =
        frozen.emplace_back(*plan::tensorBytes(tensor.piece.file()));
    if (llvm::Error error = plan::extractPiece(
            tensor.piece, global, plan::loadTensor(global, stored), values))
      return error;
  }
  return llvm::Error::success();
}

llvm::Expected<std::shared_ptr<const TrainingState>>
TrainingState::copy(Executor &executor, const FlatParameters &parameters) {
  const proto::Plan &plan = executor.metadata();
  const proto::Training &training = plan.training();
  auto state = std::make_shared<TrainingState>();
  for (auto [name, bytes] : {std::pair(&training.masters(), &state->masters),
                             {&training.ema(), &state->ema},
                             {&training.moment1(), &state->moment1},
                             {&training.moment2(), &state->moment2}}) {
    llvm::Expected<std::vector<uint8_t>> read = readWhole(executor, *name);
    if (!read)
      return read.takeError();
    *bytes = std::move(*read);
  }
  state->scalars = scalarsOf(plan);
  for (Scalar &scalar : state->scalars) {
    llvm::Expected<std::vector<uint8_t>> read =
        readWhole(executor, scalar.global);
    if (!read)
      return read.takeError();
    scalar.value.bytes = std::move(*read);
  }
  if (llvm::Error error = state->copyFrozen(executor, parameters))
    return std::move(error);
  return state;
}

llvm::Expected<TensorFile>
TrainingState::averages(Executor &executor, const FlatParameters &parameters) {
  const proto::Plan &plan = executor.metadata();
  auto state = std::make_shared<TrainingState>();
  llvm::Expected<std::vector<uint8_t>> ema =
      readWhole(executor, plan.training().ema());
  if (!ema)
    return ema.takeError();
  state->ema = std::move(*ema);
  if (llvm::Error error = state->copyFrozen(executor, parameters))
    return std::move(error);
  return std::move(files(std::move(state), plan, parameters)[1]);
}

llvm::Error
TrainingState::restore(Executor &executor,
                       llvm::function_ref<llvm::Error()> initialise) const {
  const proto::Training &training = executor.metadata().training();
  auto write = [&](const std::string &global, llvm::ArrayRef<uint8_t> bytes) {
    return executor.write(*executor.findGlobal(global), bytes);
  };
  if (llvm::Error error = write(training.masters(), masters))
    return error;
  if (llvm::Error error = initialise())
    return error;
  if (llvm::Error error = write(training.ema(), ema))
    return error;
  if (llvm::Error error = write(training.moment1(), moment1))
    return error;
  if (llvm::Error error = write(training.moment2(), moment2))
    return error;
  for (const Scalar &scalar : scalars)
    if (llvm::Error error = write(scalar.global, scalar.value.bytes))
      return error;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// Puts all trained tensors of a file into a flat; their names there end in
/// `suffix`.
static llvm::Error placeAll(const proto::Plan &plan,
                            const FlatParameters &parameters,
                            const Safetensors &file, llvm::StringRef suffix,
                            std::vector<uint8_t> &flat) {
  for (const FlatParameters::Member &member : parameters.trained())
    if (llvm::Error error = parameters.place(
            plan, member, file, member.tensor.name() + suffix.str(), flat))
      return error;
  return llvm::Error::success();
}

/// What optimizer.safetensors has of a plan's tensors.
static std::vector<ModelTensor> momentsOf(const FlatParameters &parameters) {
  std::vector<ModelTensor> tensors;
  for (const char *suffix : {".moment1", ".moment2"})
    for (const FlatParameters::Member &member : parameters.trained()) {
      tensors.push_back(member.tensor);
      tensors.back().piece.set_name(member.tensor.name() + suffix);
    }
  return tensors;
}

llvm::Expected<std::shared_ptr<const TrainingState>>
TrainingState::load(llvm::StringRef folder, const proto::Plan &plan,
                    const FlatParameters &parameters) {
  auto state = std::make_shared<TrainingState>();
  state->scalars = scalarsOf(plan);
  std::vector<ModelTensor> moments = momentsOf(parameters);
  for (const Scalar &scalar : state->scalars) {
    proto::Piece &piece = moments.emplace_back().piece;
    piece.set_name(scalar.name);
    piece.mutable_file()->set_type(
        static_cast<proto::ElementType>(scalar.value.type));
    for (int64_t size : scalar.value.shape)
      piece.mutable_file()->add_shape(size);
  }
  auto open =
      [&](llvm::StringRef name,
          llvm::ArrayRef<ModelTensor> tensors) -> llvm::Expected<Safetensors> {
    std::string path = (folder + "/" + name).str();
    llvm::Expected<Safetensors> file = Safetensors::open(path);
    if (!file)
      return file.takeError();
    if (llvm::Error error = checkTensors(tensors, *file))
      return plan::within(std::move(error), "'" + plan::escaped(path) + "'");
    return file;
  };
  llvm::Expected<Safetensors> model =
      open("model.safetensors", parameters.all());
  if (!model)
    return model.takeError();
  llvm::Expected<Safetensors> ema = open("ema.safetensors", parameters.all());
  if (!ema)
    return ema.takeError();
  llvm::Expected<Safetensors> optimizer =
      open("optimizer.safetensors", moments);
  if (!optimizer)
    return optimizer.takeError();

  const proto::Training &training = plan.training();
  auto flat = llvm::find_if(plan.globals(), [&](const proto::Global &global) {
    return global.name() == training.masters();
  });
  for (auto [file, suffix, bytes] :
       {std::tuple(&*model, "", &state->masters),
        {&*ema, "", &state->ema},
        {&*optimizer, ".moment1", &state->moment1},
        {&*optimizer, ".moment2", &state->moment2}}) {
    bytes->resize(*plan::tensorBytes(flat->type()));
    if (llvm::Error error = placeAll(plan, parameters, *file, suffix, *bytes))
      return std::move(error);
  }
  for (Scalar &scalar : state->scalars) {
    const Safetensors::Tensor &tensor = *optimizer->find(scalar.name);
    // checkTensors lets floats differ in type; these are what they are.
    if (tensor.bytes.size() != scalar.value.bytes.size())
      return failure(Exit::Malformed, "optimizer.safetensors: '" + scalar.name +
                                          "' has another type");
    scalar.value.bytes = tensor.bytes.vec();
  }
  return state;
}

TensorFile dit::runtime::flatFile(std::string name, std::vector<uint8_t> flat,
                                  float factor, const proto::Plan &plan,
                                  const FlatParameters &parameters) {
  TensorFile file;
  file.name = std::move(name);
  for (const FlatParameters::Member &member : parameters.trained())
    file.tensors.push_back(entryOf(member.tensor, member.tensor.name()));
  file.values = [flat = std::move(flat), factor, &plan, &parameters](
                    size_t index,
                    llvm::MutableArrayRef<uint8_t> bytes) -> llvm::Error {
    llvm::Error error =
        parameters.extract(plan, parameters.trained()[index], flat, bytes);
    float *values = reinterpret_cast<float *>(bytes.data());
    for (size_t i = 0; factor != 1 && i != bytes.size() / sizeof(float); ++i)
      values[i] *= factor;
    return error;
  };
  return file;
}

std::vector<TensorFile>
TrainingState::files(std::shared_ptr<const TrainingState> state,
                     const proto::Plan &plan,
                     const FlatParameters &parameters) {
  size_t trained = parameters.trained().size();
  auto model = [&](const char *name,
                   std::vector<uint8_t> TrainingState::*flat) {
    TensorFile file;
    file.name = name;
    for (const ModelTensor &tensor : parameters.all())
      file.tensors.push_back(entryOf(tensor, tensor.name()));
    file.values = [=, &plan, &parameters](
                      size_t index,
                      llvm::MutableArrayRef<uint8_t> bytes) -> llvm::Error {
      if (index < trained)
        return parameters.extract(plan, parameters.trained()[index],
                                  (*state).*flat, bytes);
      llvm::copy(state->frozen[index - trained], bytes.begin());
      return llvm::Error::success();
    };
    return file;
  };
  TensorFile optimizer;
  optimizer.name = "optimizer.safetensors";
  for (const ModelTensor &tensor : momentsOf(parameters))
    optimizer.tensors.push_back(entryOf(tensor, tensor.name()));
  for (const Scalar &scalar : state->scalars)
    optimizer.tensors.push_back(
        {scalar.name, scalar.value.type, scalar.value.shape});
  optimizer.values = [=, &plan, &parameters](
                         size_t index,
                         llvm::MutableArrayRef<uint8_t> bytes) -> llvm::Error {
    if (index < 2 * trained)
      return parameters.extract(
          plan, parameters.trained()[index % trained],
          index < trained ? state->moment1 : state->moment2, bytes);
    llvm::copy(state->scalars[index - 2 * trained].value.bytes, bytes.begin());
    return llvm::Error::success();
  };
  return {model("model.safetensors", &TrainingState::masters),
          model("ema.safetensors", &TrainingState::ema), std::move(optimizer)};
}
