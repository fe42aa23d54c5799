//===- SampleListTest.cpp - Lists of samples, good and bad ----------------===//

#include "runtime/data/SampleList.h"

#include "runtime/plan/Failure.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;

namespace {

struct Read {
  Exit code = Exit::Done;
  std::string message;
  bool hasLabels = false;
  std::vector<std::pair<std::string, int64_t>> samples;
};

} // namespace

static Read read(llvm::StringRef text) {
  Read result;
  llvm::Expected<bool> hasLabels =
      readSampleList(text, [&](llvm::StringRef path, int64_t label) {
        result.samples.emplace_back(path, label);
        return label == 13 ? plan::failure(Exit::Contradiction, "unlucky")
                           : llvm::Error::success();
      });
  if (hasLabels)
    result.hasLabels = *hasLabels;
  else
    std::tie(result.code, result.message) =
        plan::describe(hasLabels.takeError());
  return result;
}

TEST(SampleListTest, PairsInTheirOrder) {
  using Samples = std::vector<std::pair<std::string, int64_t>>;
  Read list = read("{\"labels\": [[\"b/1.npy\", 3], [\"a/2.npy\", 0]]}");
  EXPECT_EQ(list.code, Exit::Done) << list.message;
  EXPECT_TRUE(list.hasLabels);
  EXPECT_EQ(list.samples, (Samples{{"b/1.npy", 3}, {"a/2.npy", 0}}));
  // Blanks, escapes, brackets and quotes in strings, members beside the labels.
  list =
      read("\n{ \"a\":{\"labels\":[[1,{}],[\"]}\"]]}, \"b\" :[ ], \"c\":-1e5,"
           "\"d\":null , \"label\\u0073\" : [ [\"x\\\"],\\u00e9\",2.0]\t,"
           "[\"\\\\\",-7]],\"e\":\"\\\\\"}\r\n");
  EXPECT_EQ(list.code, Exit::Done) << list.message;
  EXPECT_EQ(list.samples, (Samples{{"x\"],\xc3\xa9", 2}, {"\\", -7}}));
}

TEST(SampleListTest, WithoutLabels) {
  for (const char *text : {"{}", "{\"labels\": null}",
                           "{\"labels\":null,\"a\":[1]}", "{\"a\":1}"}) {
    Read list = read(text);
    EXPECT_EQ(list.code, Exit::Done) << text << ": " << list.message;
    EXPECT_FALSE(list.hasLabels) << text;
  }
  Read list = read("{\"labels\": []}");
  EXPECT_TRUE(list.hasLabels);
  EXPECT_TRUE(list.samples.empty());
}

TEST(SampleListTest, TextsThatAreWrong) {
  std::string good =
      "{\"a\": [{}, 5], \"labels\": [[\"x\\\"\", 1], [\"y\", 2]]}";
  ASSERT_EQ(read(good).code, Exit::Done);
  for (size_t size = 0; size != good.size(); ++size)
    EXPECT_EQ(read(llvm::StringRef(good).take_front(size)).code,
              Exit::Malformed)
        << size;
  std::string deep = "{\"labels\": [" + std::string(1'000'000, '[');
  std::string balanced = deep + std::string(1'000'001, ']') + "}";
  std::string longPair =
      "{\"labels\": [[\"" + std::string(70'000, 'x') + "\", 1]]}";
  for (const std::string &text :
       {good + "}",
        good + good,
        std::string("[]"),
        std::string("null"),
        std::string("{\"labels\": 5}"),
        std::string("{\"labels\": {}}"),
        std::string("{\"labels\": [1]}"),
        std::string("{\"labels\": [[]]}"),
        std::string("{\"labels\": [[\"x\"]]}"),
        std::string("{\"labels\": [[\"x\", 1, 2]]}"),
        std::string("{\"labels\": [[1, \"x\"]]}"),
        std::string("{\"labels\": [[\"x\", null]]}"),
        std::string("{\"labels\": [[\"x\", 1.5]]}"),
        std::string("{\"labels\": [[\"x\", 1e30]]}"),
        std::string("{\"labels\": [[\"x\", 1}]}"),
        std::string("{\"labels\": [[\"x\", 1],]}"),
        std::string("{\"labels\": [[\"x\" 1]]}"),
        std::string("{\"labels\": [[\"\xff\", 1]]}"),
        std::string("{\"labels\": [], \"labels\": []}"),
        std::string("{\"a\":}"),
        std::string("{5: 1}"),
        std::string("{\"a\"}"),
        deep,
        balanced,
        longPair})
    EXPECT_EQ(read(text).code, Exit::Malformed)
        << llvm::StringRef(text).take_front(60).str();
  EXPECT_EQ(read("{\"labels\": [[\"x\" 1]]}").message,
            "byte 12: no JSON: Expected , or ] after array element; expected "
            "{\"labels\": [[\"PATH\", CLASS], ...]}");
  EXPECT_NE(read("{\"labels\": [[\"x\", 1],\n [\"y\"]]}")
                .message.find("byte 23: this is no pair of a path and a class"),
            std::string::npos);
}

TEST(SampleListTest, ErrorsNameThePair) {
  Read list = read("{\"labels\": [[\"a\", 1], [\"b\\n\", 13], [\"c\", 2]]}");
  EXPECT_EQ(list.code, Exit::Contradiction);
  EXPECT_EQ(list.message, "byte 22, 'b\\x0A': unlucky");
  EXPECT_EQ(list.samples.size(), 2u);
  list = read("{\"labels\": [[\"a\", [0.0, 1.0]]]}");
  EXPECT_EQ(list.code, Exit::Unsupported);
  EXPECT_NE(list.message.find("'a' has a vector as its label"),
            std::string::npos);
}

/// Sixty times what one pair may be long.
TEST(SampleListTest, LongLists) {
  std::string text = "{\"labels\": [";
  for (int i = 0; i != 100'000; ++i)
    text += (i ? ", [\"00000/img-mean-std-" : "[\"00000/img-mean-std-") +
            std::to_string(10'000'000 + i) + ".npy\", " +
            std::to_string(i % 1000 == 13 ? 14 : i % 1000) + "]";
  text += "]}";
  int64_t count = 0, sum = 0;
  llvm::Expected<bool> hasLabels =
      readSampleList(text, [&](llvm::StringRef, int64_t label) {
        ++count;
        sum += label;
        return llvm::Error::success();
      });
  ASSERT_TRUE(bool(hasLabels));
  EXPECT_EQ(count, 100'000);
  EXPECT_EQ(sum, 100 * (999 * 1000 / 2 + 1));
}
