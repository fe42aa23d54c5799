//===- Model.h - An ONNX file as it stands on disk --------------*- C++ -*-===//
//
// The file's structure as views into its mapping: names and weights are spans,
// only the lists of nodes, attributes and tensors are memory of ours. Knows
// nothing of MLIR and nothing of what an op means.
//
// After OnnxModel::open every name resolves, is defined once, nodes are in an
// order in which each follows its inputs, and every tensor's data has the size
// that its type and dims ask for.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_MODEL_H
#define DIT_FRONTENDS_ONNX_MODEL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dit::onnx {

class FileMapping;

/// TensorProto.DataType; other values may come from files and are Unsupported.
enum class ElementType : int32_t {
  Undefined = 0,
  Float = 1,
  Uint8 = 2,
  Int8 = 3,
  Uint16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  Uint32 = 12,
  Uint64 = 13,
  BFloat16 = 16,
};

/// "float32", "int64", …, or "type 17" for those that we do not know.
std::string nameOf(ElementType type);
/// Bytes of one element; 0 for strings and types that we cannot hold.
unsigned sizeOf(ElementType type);
/// True for fp64, fp32, fp16 and bf16.
bool isFloat(ElementType type);

/// A key and a value of metadata_props.
struct Property {
  llvm::StringRef key, value;
};

/// The key under which dynamo says what an initializer was to PyTorch.
inline constexpr llvm::StringLiteral kindKey =
    "pkg.torch.export.graph_signature.InputSpec.kind";

/// The value of `key`, or nothing.
std::optional<llvm::StringRef> findProperty(llvm::ArrayRef<Property> properties,
                                            llvm::StringRef key);

/// A constant tensor: an initializer or an attribute.
struct Tensor {
  llvm::StringRef name;
  ElementType type = ElementType::Undefined;
  std::vector<int64_t> dims;
  /// The elements, row-major, little-endian, not aligned.
  llvm::StringRef data;
  /// Keeps `data` alive: the mapping, or decoded memory.
  std::shared_ptr<const void> owner;
  std::vector<Property> metadata;
  /// Where the tensor stands in the model's file.
  uint64_t offset = 0;

  /// Number of elements; dims were checked not to overflow.
  int64_t size() const;
};

struct Graph;

/// AttributeProto.AttributeType.
enum class AttributeType : int32_t {
  Undefined = 0,
  Float = 1,
  Int = 2,
  String = 3,
  Tensor = 4,
  Graph = 5,
  Floats = 6,
  Ints = 7,
  Strings = 8,
  Tensors = 9,
  Graphs = 10,
  Other = 11,
};

/// One attribute of a node; the member that `type` names is set.
struct NodeAttribute {
  llvm::StringRef name;
  AttributeType type = AttributeType::Undefined;
  float number = 0;
  int64_t integer = 0;
  llvm::StringRef text;
  std::vector<float> numbers;
  std::vector<int64_t> integers;
  std::vector<llvm::StringRef> texts;
  std::shared_ptr<Tensor> tensor;
  std::shared_ptr<Graph> graph;
};

/// One operation.
struct Node {
  llvm::StringRef name, opType, domain;
  /// Value names; '' is an optional input or output that is left out.
  std::vector<llvm::StringRef> inputs, outputs;
  std::vector<NodeAttribute> attributes;
  std::vector<Property> metadata;
  /// Where the node stands in the file.
  uint64_t offset = 0;

  /// The attribute called `attribute`, or null.
  const NodeAttribute *find(llvm::StringRef attribute) const;
  /// "Reshape node 'node_view_13'", escaped, for messages.
  std::string label() const;
};

/// A dimension of an input or output: a number, a symbol, or neither.
struct Dimension {
  std::optional<int64_t> size;
  llvm::StringRef symbol;
};

/// The name and type of a graph's input or output.
struct ValueInfo {
  llvm::StringRef name;
  /// Undefined where the file has no tensor type.
  ElementType type = ElementType::Undefined;
  /// Nothing where the file gives no shape.
  std::optional<std::vector<Dimension>> shape;
  std::vector<Property> metadata;
};

/// A graph: the model's, or a branch of an If.
struct Graph {
  llvm::StringRef name;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  /// Without those that only repeat an initializer.
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  /// Of the file's value_info those that say what an initializer was to
  /// PyTorch: PARAMETER, BUFFER, …
  std::vector<Property> kinds;
};

/// An operator set that the file imports.
struct OperatorSet {
  llvm::StringRef domain;
  int64_t version = 0;
};

/// What the parser finds; OnnxModel makes sure that it holds together.
struct ModelContents {
  int64_t irVersion = 0;
  llvm::StringRef producer, producerVersion;
  std::vector<OperatorSet> operatorSets;
  std::vector<llvm::StringRef> functions;
  std::vector<Property> metadata;
  Graph graph;
};

/// A model file, mapped and checked.
class OnnxModel {
public:
  /// Opens and checks the model at `path`, maps its external data. Errors are
  /// ImportErrors and name the file and the byte or node.
  static llvm::Expected<std::unique_ptr<OnnxModel>> open(llvm::StringRef path);

  /// The same for a model in memory, which must outlive the result and
  /// everything imported from it. External data is Refused.
  static llvm::Expected<std::unique_ptr<OnnxModel>> parse(llvm::StringRef bytes,
                                                          llvm::StringRef name);

  const ModelContents &contents() const { return model; }
  const Graph &graph() const { return model.graph; }
  /// Path or name, as given.
  llvm::StringRef name() const { return fileName; }
  /// Version of the default operator set, 13 to 25.
  int64_t opset() const;
  /// The file's mapping; null for a model parsed from memory.
  std::shared_ptr<const FileMapping> mapping() const { return file; }

private:
  OnnxModel() = default;

  std::string fileName;
  std::shared_ptr<FileMapping> file;
  ModelContents model;
};

class ExternalFiles;

/// Reads the wire format of `file` into `model`. External data comes from
/// `external`, or is Refused where that is null. `owner` keeps `file` alive.
/// Memory taken is at most the file's size plus 32 MiB, else Malformed.
llvm::Error parseModel(llvm::StringRef file, std::shared_ptr<const void> owner,
                       ExternalFiles *external, ModelContents &model);

/// Checks operator sets, names and order; sorts nodes that stand before their
/// inputs, drops graph inputs that repeat an initializer.
llvm::Error checkModel(ModelContents &model);

} // namespace dit::onnx

#endif
