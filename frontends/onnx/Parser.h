//===- Parser.h - The parser of the model's messages ------------*- C++ -*-===//
//
// Private to ParseModel.cpp and ParseTensor.cpp: one function a message of
// onnx.proto, each a switch over field numbers; fields that we have no use for
// are skipped unread. Data stays where it is: a Tensor refers to the file, but
// for varints and lists in several pieces, which are decoded.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_FRONTENDS_ONNX_PARSER_H
#define DIT_FRONTENDS_ONNX_PARSER_H

#include "frontends/onnx/ImportError.h"
#include "frontends/onnx/Model.h"
#include "frontends/onnx/WireReader.h"

namespace dit::onnx {

/// Elements that came as typed fields rather than raw_data.
struct TypedData {
  /// The one packed list, as long as there is only one.
  llvm::StringRef whole;
  /// Everything, if there were several pieces or varints.
  std::vector<char> floats;
  std::vector<uint64_t> integers;
  unsigned pieces = 0, field = 0;
};

/// Where a tensor's data is outside of the file.
struct ExternalLocation {
  std::optional<llvm::StringRef> location;
  std::optional<uint64_t> offset, length;
};

class ModelParser {
public:
  ModelParser(llvm::StringRef file, std::shared_ptr<const void> owner,
              ExternalFiles *external)
      : file(file), owner(std::move(owner)), external(external),
        budget(file.size() + (32u << 20)) {}

  llvm::Error parseModel(ModelContents &model);

private:
  using Field = const WireField &;

  llvm::Error parseGraph(Field field, Graph &graph, unsigned depth);
  llvm::Error parseNode(Field field, Node &node, unsigned depth);
  llvm::Error parseAttribute(Field field, NodeAttribute &attribute,
                             unsigned depth);
  llvm::Error parseValueInfo(Field field, ValueInfo &info);
  llvm::Error parseTensorType(llvm::StringRef type, ValueInfo &info);
  llvm::Error parseTensor(Field field, Tensor &tensor);
  llvm::Error parseTyped(Field field, TypedData &typed);
  llvm::Error finishTensor(Tensor &tensor, TypedData &typed,
                           std::optional<llvm::StringRef> raw,
                           const ExternalLocation *outside);
  llvm::Error finishTyped(Tensor &tensor, TypedData &typed, uint64_t count);
  llvm::Error mapExternal(Tensor &tensor, const ExternalLocation &outside,
                          uint64_t size);
  llvm::Error parseExternal(Field field, ExternalLocation &outside);
  llvm::Error parseProperty(Field field, std::vector<Property> &properties);
  llvm::Error parseIntegers(Field field, std::vector<int64_t> &integers);

  llvm::Error each(llvm::StringRef message,
                   llvm::function_ref<llvm::Error(Field)> handle) {
    return forEachField(message, file, handle);
  }
  llvm::Error expect(Field field, WireType type, llvm::StringRef what) {
    if (field.type == type)
      return llvm::Error::success();
    return malformedAt(field.offset, what + " has the wrong wire type");
  }
  llvm::Error text(Field field, llvm::StringRef what, llvm::StringRef &result) {
    result = field.bytes;
    return expect(field, WireType::Bytes, what);
  }
  llvm::Error integer(Field field, llvm::StringRef what, int64_t &result) {
    result = field.value;
    return expect(field, WireType::Varint, what);
  }
  /// Counts memory of ours against what a file of this size may take. Lists
  /// grow by doubling, hence twice.
  llvm::Error charge(Field field, uint64_t bytes) {
    if (bytes * 2 > budget)
      return malformedAt(field.offset, "the file describes more nodes, names "
                                       "or typed values than its size allows");
    budget -= bytes * 2;
    return llvm::Error::success();
  }
  /// Appends an element of `list`, charged.
  template <typename T>
  llvm::Expected<T *> append(Field field, std::vector<T> &list,
                             uint64_t extra = 0) {
    if (llvm::Error error = charge(field, sizeof(T) + extra))
      return error;
    return &list.emplace_back();
  }
  llvm::Error appendText(Field field, llvm::StringRef what,
                         std::vector<llvm::StringRef> &list) {
    // 32 more for the entry that names will have in the tables of checkModel.
    llvm::Expected<llvm::StringRef *> entry = append(field, list, 32);
    return entry ? text(field, what, **entry) : entry.takeError();
  }

  llvm::StringRef file;
  std::shared_ptr<const void> owner;
  ExternalFiles *external;
  uint64_t budget;
};

} // namespace dit::onnx

#endif
