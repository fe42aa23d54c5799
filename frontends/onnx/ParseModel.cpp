//===- ParseModel.cpp - From the wire format to the model's structs -------===//

#include "frontends/onnx/Parser.h"
#include "llvm/Support/Endian.h"

namespace dit::onnx {

/// Graphs inside of graphs (If in If …) end here.
static constexpr unsigned deepestGraph = 16;

//===----------------------------------------------------------------------===//
// Inputs and outputs
//===----------------------------------------------------------------------===//

llvm::Error ModelParser::parseTensorType(llvm::StringRef type,
                                         ValueInfo &info) {
  return each(type, [&](Field field) -> llvm::Error {
    if (field.number == 1) {
      int64_t element;
      if (llvm::Error error = integer(field, "an element type", element))
        return error;
      info.type = static_cast<ElementType>(static_cast<int32_t>(element));
    }
    if (field.number != 2)
      return llvm::Error::success();
    if (llvm::Error error = expect(field, WireType::Bytes, "a shape"))
      return error;
    info.shape.emplace();
    return each(field.bytes, [&](Field dim) -> llvm::Error {
      if (dim.number != 1)
        return llvm::Error::success();
      if (llvm::Error error = expect(dim, WireType::Bytes, "a dimension"))
        return error;
      llvm::Expected<Dimension *> dimension = append(dim, *info.shape);
      if (!dimension)
        return dimension.takeError();
      return each(dim.bytes, [&](Field inner) -> llvm::Error {
        if (inner.number == 1) {
          (*dimension)->size.emplace();
          return integer(inner, "a dimension's value", *(*dimension)->size);
        }
        if (inner.number == 2)
          return text(inner, "a dimension's name", (*dimension)->symbol);
        return llvm::Error::success();
      });
    });
  });
}

llvm::Error ModelParser::parseValueInfo(Field field, ValueInfo &info) {
  if (llvm::Error error = expect(field, WireType::Bytes, "an input or output"))
    return error;
  llvm::Error failed = each(field.bytes, [&](Field inner) -> llvm::Error {
    if (inner.number == 1)
      return text(inner, "a value's name", info.name);
    if (inner.number == 4)
      return parseProperty(inner, info.metadata);
    if (inner.number != 2)
      return llvm::Error::success();
    if (llvm::Error error = expect(inner, WireType::Bytes, "a type"))
      return error;
    return each(inner.bytes, [&](Field type) -> llvm::Error {
      if (type.number !=
          1) // sequences, maps, optionals: the type stays Undefined
        return llvm::Error::success();
      if (llvm::Error error = expect(type, WireType::Bytes, "a tensor type"))
        return error;
      return parseTensorType(type.bytes, info);
    });
  });
  if (failed)
    return failed;
  uint64_t count = 1;
  for (const Dimension &dimension :
       info.shape.value_or(std::vector<Dimension>())) {
    int64_t size = dimension.size.value_or(1);
    if (size < 0 ||
        __builtin_mul_overflow(
            count, static_cast<uint64_t>(std::max<int64_t>(size, 1)), &count) ||
        count >> 48)
      return malformedAt(
          field.offset,
          quote(info.name) +
              " has a negative or overflowing dimension: " + llvm::Twine(size));
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Nodes and graphs
//===----------------------------------------------------------------------===//

llvm::Error ModelParser::parseAttribute(Field field, NodeAttribute &attribute,
                                        unsigned depth) {
  if (llvm::Error error = expect(field, WireType::Bytes, "an attribute"))
    return error;
  int64_t type = 0;
  AttributeType found = AttributeType::Undefined;
  llvm::Error failed = each(field.bytes, [&](Field inner) -> llvm::Error {
    switch (inner.number) {
    case 1:
      return text(inner, "an attribute's name", attribute.name);
    case 2:
      found = AttributeType::Float;
      attribute.number =
          llvm::bit_cast<float>(static_cast<uint32_t>(inner.value));
      return expect(inner, WireType::Fixed32, "a float attribute");
    case 3:
      found = AttributeType::Int;
      return integer(inner, "an integer attribute", attribute.integer);
    case 4:
      found = AttributeType::String;
      return text(inner, "a string attribute", attribute.text);
    case 5:
      found = AttributeType::Tensor;
      attribute.tensor = std::make_shared<Tensor>();
      if (llvm::Error error = charge(inner, sizeof(Tensor)))
        return error;
      return parseTensor(inner, *attribute.tensor);
    case 6:
      found = AttributeType::Graph;
      attribute.graph = std::make_shared<Graph>();
      if (llvm::Error error = charge(inner, sizeof(Graph)))
        return error;
      return parseGraph(inner, *attribute.graph, depth + 1);
    case 7: {
      found = AttributeType::Floats;
      if (inner.type == WireType::Varint || inner.bytes.size() % 4)
        return malformedAt(inner.offset,
                           "a list of floats is not made of 4-byte values");
      if (llvm::Error error = charge(inner, inner.bytes.size()))
        return error;
      for (size_t i = 0; i < inner.bytes.size(); i += 4)
        attribute.numbers.push_back(llvm::bit_cast<float>(
            llvm::support::endian::read32le(inner.bytes.data() + i)));
      return llvm::Error::success();
    }
    case 8:
      found = AttributeType::Ints;
      return parseIntegers(inner, attribute.integers);
    case 9:
      found = AttributeType::Strings;
      return appendText(inner, "a string", attribute.texts);
    case 10:
    case 11:
    case 14:
    case 15:
    case 21:
    case 22:
    case 23:
      found = AttributeType::Other;
      return llvm::Error::success();
    case 20:
      return integer(inner, "an attribute's type", type);
    default:
      return llvm::Error::success();
    }
  });
  if (failed)
    return failed;
  // Proto3 writers leave zeros and empty lists out: then `type` alone tells.
  attribute.type =
      type > 0 && type < 11 ? static_cast<AttributeType>(type) : found;
  bool otherMember =
      found != AttributeType::Undefined && found != attribute.type;
  bool noMember =
      (attribute.type == AttributeType::Tensor && !attribute.tensor) ||
      (attribute.type == AttributeType::Graph && !attribute.graph);
  if (otherMember || noMember)
    return malformedAt(field.offset,
                       "the attribute " + quote(attribute.name) +
                           " has another value than its type says");
  return llvm::Error::success();
}

llvm::Error ModelParser::parseNode(Field field, Node &node, unsigned depth) {
  if (llvm::Error error = expect(field, WireType::Bytes, "a node"))
    return error;
  node.offset = field.offset;
  llvm::Error failed = each(field.bytes, [&](Field inner) -> llvm::Error {
    switch (inner.number) {
    case 1:
      return appendText(inner, "a node's input", node.inputs);
    case 2:
      return appendText(inner, "a node's output", node.outputs);
    case 3:
      return text(inner, "a node's name", node.name);
    case 4:
      return text(inner, "a node's op_type", node.opType);
    case 5: {
      llvm::Expected<NodeAttribute *> attribute =
          append(inner, node.attributes);
      return attribute ? parseAttribute(inner, **attribute, depth)
                       : attribute.takeError();
    }
    case 7:
      return text(inner, "a node's domain", node.domain);
    case 9:
      return parseProperty(inner, node.metadata);
    default:
      return llvm::Error::success();
    }
  });
  if (!failed && node.opType.empty())
    return malformedAt(field.offset, "a node has no op_type");
  if (node.domain == "ai.onnx")
    node.domain = "";
  return failed;
}

llvm::Error ModelParser::parseGraph(Field field, Graph &graph, unsigned depth) {
  if (llvm::Error error = expect(field, WireType::Bytes, "a graph"))
    return error;
  if (depth > deepestGraph)
    return malformedAt(field.offset, "graphs are nested more than " +
                                         llvm::Twine(deepestGraph) + " deep");
  return each(field.bytes, [&](Field inner) -> llvm::Error {
    switch (inner.number) {
    case 1: {
      llvm::Expected<Node *> node = append(inner, graph.nodes);
      return node ? parseNode(inner, **node, depth) : node.takeError();
    }
    case 2:
      return text(inner, "a graph's name", graph.name);
    case 5: {
      llvm::Expected<Tensor *> tensor = append(inner, graph.initializers, 32);
      return tensor ? parseTensor(inner, **tensor) : tensor.takeError();
    }
    case 11:
    case 12: {
      llvm::Expected<ValueInfo *> info =
          append(inner, inner.number == 11 ? graph.inputs : graph.outputs, 32);
      return info ? parseValueInfo(inner, **info) : info.takeError();
    }
    case 15:
      return makeError(ErrorKind::Unsupported,
                       "byte " + llvm::Twine(inner.offset) +
                           ": sparse initializers are not supported; store the "
                           "weight dense");
    case 13: {
      // Every type is inferred by the importer; only this is news.
      ValueInfo info;
      uint64_t left = budget;
      if (llvm::Error error = parseValueInfo(inner, info))
        return error;
      budget = left;
      std::optional<llvm::StringRef> kind =
          findProperty(info.metadata, kindKey);
      if (!kind)
        return llvm::Error::success();
      llvm::Expected<Property *> entry = append(inner, graph.kinds);
      if (entry)
        **entry = {info.name, *kind};
      return entry.takeError();
    }
    default:
      return llvm::Error::success();
    }
  });
}

llvm::Error ModelParser::parseModel(ModelContents &model) {
  unsigned graphs = 0;
  llvm::Error failed = each(file, [&](Field field) -> llvm::Error {
    switch (field.number) {
    case 1:
      return integer(field, "ir_version", model.irVersion);
    case 2:
      return text(field, "producer_name", model.producer);
    case 3:
      return text(field, "producer_version", model.producerVersion);
    case 7:
      if (++graphs > 1)
        return malformedAt(field.offset, "the file has a second graph");
      return parseGraph(field, model.graph, 0);
    case 8: {
      if (llvm::Error error = expect(field, WireType::Bytes, "opset_import"))
        return error;
      llvm::Expected<OperatorSet *> set = append(field, model.operatorSets);
      if (!set)
        return set.takeError();
      return each(field.bytes, [&](Field inner) -> llvm::Error {
        if (inner.number == 1)
          return text(inner, "an operator set's domain", (*set)->domain);
        if (inner.number == 2)
          return integer(inner, "an operator set's version", (*set)->version);
        return llvm::Error::success();
      });
    }
    case 14:
      return parseProperty(field, model.metadata);
    case 25: {
      if (llvm::Error error = expect(field, WireType::Bytes, "a function"))
        return error;
      llvm::Expected<llvm::StringRef *> name = append(field, model.functions);
      if (!name)
        return name.takeError();
      return each(field.bytes, [&](Field inner) -> llvm::Error {
        return inner.number == 1 ? text(inner, "a function's name", **name)
                                 : llvm::Error::success();
      });
    }
    default:
      return llvm::Error::success();
    }
  });
  if (!failed && !graphs)
    return makeError(ErrorKind::Malformed,
                     "the file has no graph; it is not an ONNX model");
  return failed;
}

llvm::Error parseModel(llvm::StringRef file, std::shared_ptr<const void> owner,
                       ExternalFiles *external, ModelContents &model) {
  return ModelParser(file, std::move(owner), external).parseModel(model);
}

} // namespace dit::onnx
