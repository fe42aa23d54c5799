//===- Reading.h - Reading models made in a test ----------------*- C++ -*-===//
#ifndef DIT_TEST_FRONTENDS_ONNX_READING_H
#define DIT_TEST_FRONTENDS_ONNX_READING_H

#include "frontends/onnx/FileMapping.h"
#include "frontends/onnx/ImportError.h"
#include "frontends/onnx/Model.h"
#include "test/frontends/onnx/ModelWriter.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dit::onnx::test {

/// What came of reading a model: 0 and "", or an exit code and a sentence.
struct Outcome {
  int code = 0;
  std::string text;
};

/// A folder that is gone after the test.
struct Folder {
  llvm::SmallString<128> path;
  Folder() {
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("onnx-test", path));
  }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  std::string at(const std::string &name) const {
    return (path + "/" + name).str();
  }
  std::string write(const std::string &name, const std::string &content) const {
    std::ofstream(at(name), std::ios::binary) << content;
    return at(name);
  }
};

inline Outcome outcomeOf(llvm::Expected<std::unique_ptr<OnnxModel>> model) {
  Outcome outcome;
  if (model)
    return outcome;
  llvm::handleAllErrors(model.takeError(), [&](const ImportError &error) {
    outcome = {error.exitCode(), error.getMessage().str()};
  });
  return outcome;
}
inline Outcome parse(const std::string &bytes) {
  return outcomeOf(OnnxModel::parse(bytes, "m"));
}
inline Outcome open(const std::string &path) {
  return outcomeOf(OnnxModel::open(path));
}

#define EXPECT_REFUSED(outcome, exit, part)                                    \
  do {                                                                         \
    Outcome result = outcome;                                                  \
    EXPECT_EQ(result.code, exit) << result.text;                               \
    EXPECT_NE(result.text.find(part), std::string::npos) << result.text;       \
  } while (false)

/// A graph with one weight, made of this TensorProto.
inline std::string withTensor(const std::string &tensor) {
  return model(reluGraph().initializer(tensor));
}

} // namespace dit::onnx::test

#endif // DIT_TEST_FRONTENDS_ONNX_READING_H
