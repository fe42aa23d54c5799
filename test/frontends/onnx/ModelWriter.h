//===- ModelWriter.h - ONNX files in a few words, for tests -----*- C++ -*-===//
//
// Messages of onnx.proto as byte strings, right or wrong as the test wants.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_TEST_FRONTENDS_ONNX_MODELWRITER_H
#define DIT_TEST_FRONTENDS_ONNX_MODELWRITER_H

#include "frontends/onnx/Model.h"
#include <cstring>
#include <string>
#include <vector>

namespace dit::onnx::test {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7)
    bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
inline std::string number(unsigned field, uint64_t value) {
  return varint(field << 3) + varint(value);
}
inline std::string bytes(unsigned field, const std::string &content) {
  return varint(field << 3 | 2) + varint(content.size()) + content;
}
inline std::string real(unsigned field, float value) {
  std::string bits(4, 0);
  std::memcpy(bits.data(), &value, 4);
  return varint(field << 3 | 5) + bits;
}

// AttributeProto, as a field of NodeProto.
inline std::string integerAttribute(const std::string &name, int64_t value) {
  return bytes(5, bytes(1, name) + number(3, value) + number(20, 2));
}
inline std::string realAttribute(const std::string &name, float value) {
  return bytes(5, bytes(1, name) + real(2, value) + number(20, 1));
}
inline std::string textAttribute(const std::string &name,
                                 const std::string &value) {
  return bytes(5, bytes(1, name) + bytes(4, value) + number(20, 3));
}
inline std::string integersAttribute(const std::string &name,
                                     const std::vector<int64_t> &values) {
  std::string content = bytes(1, name) + number(20, 7);
  for (int64_t value : values)
    content += number(8, value);
  return bytes(5, content);
}

using Names = std::vector<std::string>;

/// A NodeProto; `rest` holds attributes or other fields.
inline std::string node(const std::string &type, const Names &inputs,
                        const Names &outputs, const std::string &rest = "",
                        const std::string &name = "") {
  std::string content;
  for (const std::string &input : inputs)
    content += bytes(1, input);
  for (const std::string &output : outputs)
    content += bytes(2, output);
  if (!name.empty())
    content += bytes(3, name);
  return content + bytes(4, type) + rest;
}

/// A TensorProto without data.
inline std::string tensorHead(const std::string &name, ElementType type,
                              const std::vector<int64_t> &dims) {
  std::string content;
  for (int64_t dim : dims)
    content += number(1, dim);
  return content + number(2, static_cast<uint64_t>(type)) + bytes(8, name);
}
template <typename T>
std::string rawBytes(const std::vector<T> &values) {
  return std::string(reinterpret_cast<const char *>(values.data()),
                     values.size() * sizeof(T));
}
inline std::string floats(const std::string &name,
                          const std::vector<int64_t> &dims,
                          const std::vector<float> &values) {
  return tensorHead(name, ElementType::Float, dims) +
         bytes(9, rawBytes(values));
}
inline std::string integers(const std::string &name,
                            const std::vector<int64_t> &dims,
                            const std::vector<int64_t> &values) {
  return tensorHead(name, ElementType::Int64, dims) +
         bytes(9, rawBytes(values));
}
inline std::string booleans(const std::string &name,
                            const std::vector<int64_t> &dims,
                            const std::vector<char> &values) {
  return tensorHead(name, ElementType::Bool, dims) + bytes(9, rawBytes(values));
}
/// A tensor whose data is elsewhere.
inline std::string externalTensor(const std::string &name,
                                  const std::vector<int64_t> &dims,
                                  const std::string &location,
                                  const std::string &offset = "",
                                  const std::string &length = "") {
  auto entry = [](const std::string &key, const std::string &value) {
    return bytes(13, bytes(1, key) + bytes(2, value));
  };
  std::string content = tensorHead(name, ElementType::Float, dims) +
                        entry("location", location) + number(14, 1);
  if (!offset.empty())
    content += entry("offset", offset);
  if (!length.empty())
    content += entry("length", length);
  return content;
}

/// A ValueInfoProto; a dim is a size or a symbol, "" is neither.
inline std::string value(const std::string &name, ElementType type,
                         const Names &dims) {
  std::string shape;
  for (const std::string &dim : dims) {
    if (dim.empty())
      shape += bytes(1, "");
    else if (isdigit(dim[0]) || dim[0] == '-')
      shape += bytes(1, number(1, std::stoll(dim)));
    else
      shape += bytes(1, bytes(2, dim));
  }
  return bytes(1, name) +
         bytes(2, bytes(1, number(1, static_cast<uint64_t>(type)) +
                               bytes(2, shape)));
}

/// A graph under construction.
struct GraphWriter {
  std::string content;

  GraphWriter &node(const std::string &message) { return add(1, message); }
  GraphWriter &initializer(const std::string &message) {
    return add(5, message);
  }
  GraphWriter &input(const std::string &message) { return add(11, message); }
  GraphWriter &output(const std::string &message) { return add(12, message); }
  /// An output of unknown type.
  GraphWriter &result(const std::string &name) {
    return add(12, bytes(1, name));
  }
  GraphWriter &add(unsigned field, const std::string &message) {
    content += bytes(field, message);
    return *this;
  }
};

inline std::string opsetImport(int64_t version,
                               const std::string &domain = "") {
  return bytes(8, bytes(1, domain) + number(2, version));
}

/// A ModelProto around the graph.
inline std::string model(const GraphWriter &graph, int64_t opset = 18) {
  return number(1, 8) + bytes(7, graph.content) + opsetImport(opset);
}

/// in [2, 3] → Relu → out: the smallest model that is right.
inline GraphWriter reluGraph() {
  GraphWriter graph;
  graph.input(value("in", ElementType::Float, {"2", "3"}))
      .node(node("Relu", {"in"}, {"out"}))
      .output(value("out", ElementType::Float, {"2", "3"}));
  return graph;
}

} // namespace dit::onnx::test

#endif // DIT_TEST_FRONTENDS_ONNX_MODELWRITER_H
