//===- MetricsFileTest.cpp - Lines of metrics.jsonl -----------------------===//

#include "runtime/training/MetricsFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace dit::runtime;

TEST(MetricsFileTest, OneObjectALine) {
  StepMetrics metrics;
  metrics.step = 20;
  metrics.mse = 0.1;
  metrics.vb = 0.0625;
  metrics.gradientNorm = 1.0 / 3;
  metrics.learningRate = 1e-4;
  metrics.memoryBytes = uint64_t(1) << 40;
  metrics.byTime.add(0, 1000, 2);
  metrics.byTime.add(99, 1000, 4);
  metrics.byTime.add(999, 1000, 5);
  std::string text = encodeMetrics(metrics);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(text.rfind("{\"step\":20,\"loss\":", 0), 0u) << text;
  llvm::json::Value value = llvm::cantFail(llvm::json::parse(text));
  const llvm::json::Object &object = *value.getAsObject();
  EXPECT_EQ(object.getNumber("loss"), 0.1 + 0.0625);
  EXPECT_EQ(object.getNumber("grad_norm"), 1.0 / 3); // every bit
  EXPECT_EQ(object.getInteger("memory_bytes"), int64_t(1) << 40);
  EXPECT_FALSE(object.get("loss_scale"));
  const llvm::json::Array &byTime = *object.getArray("loss_by_t");
  ASSERT_EQ(byTime.size(), 10u);
  EXPECT_EQ(byTime[0].getAsNumber(), 3);
  EXPECT_EQ(byTime[1].getAsNull(), nullptr);
  EXPECT_EQ(byTime[9].getAsNumber(), 5);
  metrics.mse = NAN;
  metrics.lossScale = 65536;
  text = encodeMetrics(metrics);
  EXPECT_NE(text.find("\"loss\":null"), std::string::npos);
  EXPECT_NE(text.find("\"loss_scale\":65536"), std::string::npos);
}

// What a run wrote past its last checkpoint is not there after going on.
TEST(MetricsFileTest, CutsWhatIsDoneAgain) {
  llvm::SmallString<128> folder;
  llvm::cantFail(llvm::errorCodeToError(
      llvm::sys::fs::createUniqueDirectory("metrics", folder)));
  std::string path = (folder + "/metrics.jsonl").str();
  auto contents = [&] {
    return llvm::cantFail(llvm::errorOrToExpected(
                              llvm::MemoryBuffer::getFile(path, false, false)))
        ->getBuffer()
        .str();
  };
  {
    MetricsFile file = llvm::cantFail(MetricsFile::open(folder, 0));
    for (int step : {10, 20, 30})
      llvm::cantFail(file.add("{\"step\":" + std::to_string(step) + "}"));
  }
  {
    // Killed in the middle of a line.
    std::error_code error;
    llvm::raw_fd_ostream(path, error, llvm::sys::fs::OF_Append)
        << "{\"step\":40,\"lo";
  }
  {
    MetricsFile file = llvm::cantFail(MetricsFile::open(folder, 35));
    EXPECT_EQ(contents(), "{\"step\":10}\n{\"step\":20}\n{\"step\":30}\n");
  }
  {
    MetricsFile file = llvm::cantFail(MetricsFile::open(folder, 20));
    llvm::cantFail(file.add("{\"step\":25}"));
    EXPECT_EQ(contents(), "{\"step\":10}\n{\"step\":20}\n{\"step\":25}\n");
  }
  llvm::sys::fs::remove_directories(folder);
}
