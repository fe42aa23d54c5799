//===- FlatParameters.cpp - Where a train plan's parameters are -----------===//

#include "runtime/training/FlatParameters.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static constexpr uint64_t floatBytes = 4;

/// Every element of a parameter is in one tensor with a name of its own.
static llvm::Error checkTensorsOf(const proto::Plan &plan,
                                  llvm::ArrayRef<ModelTensor> tensors) {
  llvm::StringSet<> names;
  std::vector<int64_t> covered(plan.globals_size());
  for (const ModelTensor &tensor : tensors) {
    covered[tensor.global] +=
        *plan::elementCount(plan::dimensions(tensor.piece.file().shape()));
    if (tensor.name().empty() || !names.insert(tensor.name()).second)
      return failure(Exit::Unsupported,
                     "two tensors of the model are named '" +
                         plan::escaped(tensor.name()) +
                         "', or one has no name: no checkpoint could hold "
                         "them");
  }
  for (const ModelTensor &tensor : tensors) {
    const proto::Global &global = plan.globals(tensor.global);
    if (covered[tensor.global] !=
        *plan::elementCount(plan::dimensions(global.type().shape())))
      return failure(Exit::Unsupported,
                     "parameter '" + plan::escaped(global.name()) +
                         "' has values that are in no tensor of the model's "
                         "file: no checkpoint could hold them");
  }
  return llvm::Error::success();
}

llvm::Expected<FlatParameters> FlatParameters::find(const proto::Plan &plan) {
  auto flat = llvm::find_if(plan.globals(), [&](const proto::Global &global) {
    return global.name() == plan.training().masters();
  });
  unsigned masters = flat - plan.globals().begin();
  std::vector<ModelTensor> tensors = modelTensors(plan, {masters});
  if (llvm::Error error = checkTensorsOf(plan, tensors))
    return std::move(error);
  FlatParameters result;
  for (ModelTensor &tensor : tensors) {
    const proto::Global &global = plan.globals(tensor.global);
    if (global.mapped() || global.offset() < flat->offset() ||
        global.offset() + global.bytes() > flat->offset() + flat->bytes()) {
      result.others.push_back(std::move(tensor));
      continue;
    }
    uint64_t elements =
        *plan::elementCount(plan::dimensions(global.type().shape()));
    result.members.push_back({std::move(tensor),
                              (global.offset() - flat->offset()) / floatBytes,
                              elements});
  }
  return result;
}

std::vector<ModelTensor> FlatParameters::all() const {
  std::vector<ModelTensor> tensors;
  for (const Member &member : members)
    tensors.push_back(member.tensor);
  llvm::append_range(tensors, others);
  return tensors;
}

llvm::Error
FlatParameters::extract(const proto::Plan &plan, const Member &member,
                        llvm::ArrayRef<uint8_t> flat,
                        llvm::MutableArrayRef<uint8_t> values) const {
  return plan::extractPiece(
      member.tensor.piece, plan.globals(member.tensor.global),
      flat.slice(member.at * floatBytes, member.elements * floatBytes), values);
}

llvm::Error FlatParameters::place(const proto::Plan &plan, const Member &member,
                                  const Safetensors &file, llvm::StringRef name,
                                  llvm::MutableArrayRef<uint8_t> flat) const {
  ModelTensor tensor = member.tensor;
  tensor.piece.set_name(name.str());
  return placeTensor(
      tensor, plan.globals(tensor.global), file,
      flat.slice(member.at * floatBytes, member.elements * floatBytes));
}
