//===- Model.cpp - An ONNX file as it stands on disk ----------------------===//

#include "frontends/onnx/Model.h"
#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/ImportError.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"

namespace dit::onnx {

std::string nameOf(ElementType type) {
  switch (type) {
  case ElementType::Float:
    return "float32";
  case ElementType::Uint8:
    return "uint8";
  case ElementType::Int8:
    return "int8";
  case ElementType::Uint16:
    return "uint16";
  case ElementType::Int16:
    return "int16";
  case ElementType::Int32:
    return "int32";
  case ElementType::Int64:
    return "int64";
  case ElementType::String:
    return "string";
  case ElementType::Bool:
    return "bool";
  case ElementType::Float16:
    return "float16";
  case ElementType::Double:
    return "float64";
  case ElementType::Uint32:
    return "uint32";
  case ElementType::Uint64:
    return "uint64";
  case ElementType::BFloat16:
    return "bfloat16";
  case ElementType::Undefined:
    return "undefined";
  }
  return "type " + std::to_string(static_cast<int32_t>(type));
}

unsigned sizeOf(ElementType type) {
  switch (type) {
  case ElementType::Uint8:
  case ElementType::Int8:
  case ElementType::Bool:
    return 1;
  case ElementType::Uint16:
  case ElementType::Int16:
  case ElementType::Float16:
  case ElementType::BFloat16:
    return 2;
  case ElementType::Float:
  case ElementType::Int32:
  case ElementType::Uint32:
    return 4;
  case ElementType::Int64:
  case ElementType::Uint64:
  case ElementType::Double:
    return 8;
  case ElementType::String:
  case ElementType::Undefined:
    return 0;
  }
  return 0;
}

bool isFloat(ElementType type) {
  return type == ElementType::Float || type == ElementType::Double ||
         type == ElementType::Float16 || type == ElementType::BFloat16;
}

std::optional<llvm::StringRef> findProperty(llvm::ArrayRef<Property> properties,
                                            llvm::StringRef key) {
  for (const Property &property : properties)
    if (property.key == key)
      return property.value;
  return std::nullopt;
}

int64_t Tensor::size() const {
  int64_t count = 1;
  for (int64_t dim : dims)
    count *= dim;
  return count;
}

const NodeAttribute *Node::find(llvm::StringRef attribute) const {
  for (const NodeAttribute &candidate : attributes)
    if (candidate.name == attribute)
      return &candidate;
  return nullptr;
}

std::string Node::label() const {
  std::string text = domain.empty() ? "" : quote(domain) + " ";
  text += quote(opType);
  llvm::erase(text, '\'');
  if (!name.empty())
    return text + " node " + quote(name);
  return text + " node of " + quote(outputs.empty() ? "" : outputs.front());
}

/// Says so if the bytes are another kind of file that people mistake for ONNX.
static llvm::Error checkKind(llvm::StringRef bytes) {
  if (bytes.empty())
    return makeError(ErrorKind::Malformed, "the file is empty");
  if (bytes.starts_with("PK\x03\x04")) {
    if (bytes.take_front(4096).contains("data.pkl"))
      return makeError(
          ErrorKind::Refused,
          "this is a PyTorch file (.pt, .pth), not ONNX; it holds pickled "
          "Python, which "
          "is never run here. Export the model with torch.onnx.export");
    return makeError(ErrorKind::Malformed, "this is a zip archive, not ONNX");
  }
  if (bytes.size() > 1 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5)
    return makeError(ErrorKind::Refused,
                     "this is a Python pickle (an old .pt, .pth or .bin file), "
                     "not ONNX; it is never "
                     "run here. Export the model with torch.onnx.export");
  if (bytes.size() > 8 && bytes[8] == '{' &&
      llvm::support::endian::read64le(bytes.data()) <= bytes.size() - 8)
    return makeError(ErrorKind::Malformed,
                     "this is a safetensors file: weights without a graph, not "
                     "ONNX. Give it with "
                     "--weights beside a model");
  return llvm::Error::success();
}

static llvm::Error load(llvm::StringRef bytes,
                        std::shared_ptr<const void> owner,
                        ExternalFiles *external, ModelContents &contents) {
  if (llvm::Error error = checkKind(bytes))
    return error;
  if (llvm::Error error =
          parseModel(bytes, std::move(owner), external, contents))
    return error;
  return checkModel(contents);
}

llvm::Expected<std::unique_ptr<OnnxModel>>
OnnxModel::open(llvm::StringRef path) {
  llvm::Expected<std::shared_ptr<FileMapping>> mapping =
      FileMapping::open(path);
  if (!mapping)
    return mapping.takeError();
  std::unique_ptr<OnnxModel> model(new OnnxModel());
  model->fileName = path.str();
  model->file = *mapping;
  ExternalFiles external(path);
  if (llvm::Error error =
          load((*mapping)->bytes(), *mapping, &external, model->model))
    return addContext(std::move(error), quote(path));
  return model;
}

llvm::Expected<std::unique_ptr<OnnxModel>>
OnnxModel::parse(llvm::StringRef bytes, llvm::StringRef name) {
  std::unique_ptr<OnnxModel> model(new OnnxModel());
  model->fileName = name.str();
  if (llvm::Error error = load(bytes, nullptr, nullptr, model->model))
    return addContext(std::move(error), quote(name));
  return model;
}

int64_t OnnxModel::opset() const {
  for (const OperatorSet &set : model.operatorSets)
    if (set.domain.empty() || set.domain == "ai.onnx")
      return set.version;
  llvm_unreachable("checkModel wants a default operator set");
}

} // namespace dit::onnx
