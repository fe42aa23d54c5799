//===- ReaderTest.cpp - Plans written and read back -----------------------===//

#include "runtime/plan/Reader.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"
#include "runtime/plan/Memory.h"
#include "runtime/plan/Print.h"
#include "runtime/plan/Writer.h"
#include "test/runtime/HandPlan.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace dit;
using namespace dit::plan;
using namespace dit::test;

/// The text and code of an error that must be there.
template <typename T>
static std::pair<Exit, std::string> failureOf(llvm::Expected<T> result) {
  if (result)
    return {Exit::Done, ""};
  return describe(result.takeError());
}

/// A folder that goes away with the test.
class ReaderTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("reader", folder));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }
  std::string path(llvm::StringRef name) {
    return (llvm::Twine(folder) + "/" + name).str();
  }

  llvm::SmallString<128> folder;
};

TEST_F(ReaderTest, WhatWasWrittenIsRead) {
  HandPlan hand = makeForwardPlan();
  ASSERT_FALSE(writePlan(path("p"), hand.metadata, hand.code, hand.weights));
  auto file = PlanFile::open(path("p"));
  ASSERT_TRUE(bool(file)) << llvm::toString(file.takeError());
  EXPECT_EQ(file->metadata().SerializeAsString(),
            hand.metadata.SerializeAsString());
  EXPECT_EQ(file->view().code.vec(), hand.code);
  EXPECT_EQ(file->view().weights.vec(), hand.weights);
  EXPECT_EQ(file->view().hash.size(), 32u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file->view().weights.data()) % 4096,
            0u);
}

TEST_F(ReaderTest, EqualPlansAreEqualBytes) {
  EXPECT_EQ(makeForwardPlan().encode(), makeForwardPlan().encode());
}

TEST_F(ReaderTest, StreamedWeightsAreTheSame) {
  HandPlan hand = makeForwardPlan();
  uint64_t calls = 0;
  ASSERT_FALSE(writePlan(path("p"), hand.metadata, hand.code,
                         hand.weights.size(),
                         [&](WeightSink sink) -> llvm::Error {
                           for (uint8_t byte : hand.weights) {
                             ++calls;
                             if (llvm::Error error = sink(byte))
                               return error;
                           }
                           return llvm::Error::success();
                         }));
  EXPECT_EQ(calls, hand.weights.size());
  auto bytes = llvm::MemoryBuffer::getFile(path("p"));
  ASSERT_TRUE(bool(bytes));
  std::vector<uint8_t> whole = hand.encode();
  EXPECT_EQ(
      (*bytes)->getBuffer(),
      llvm::StringRef(reinterpret_cast<char *>(whole.data()), whole.size()));
}

TEST_F(ReaderTest, WrongAmountOfWeightsIsRefusedAndLeavesNothing) {
  HandPlan hand = makeForwardPlan();
  for (size_t streamed : {hand.weights.size() - 1, hand.weights.size() + 1}) {
    std::vector<uint8_t> bytes(streamed);
    llvm::Error error =
        writePlan(path("p"), hand.metadata, hand.code, hand.weights.size(),
                  [&](WeightSink sink) { return sink(bytes); });
    auto [code, text] = describe(std::move(error));
    EXPECT_EQ(code, Exit::Internal);
    EXPECT_NE(text.find("announced"), std::string::npos) << text;
    std::error_code status;
    llvm::sys::fs::directory_iterator it(folder, status), end;
    EXPECT_TRUE(it == end) << "left behind: " << it->path();
  }
}

TEST_F(ReaderTest, AFailingSourceLeavesTheOldPlan) {
  HandPlan hand = makeForwardPlan();
  ASSERT_FALSE(writePlan(path("p"), hand.metadata, hand.code, hand.weights));
  llvm::Error error = writePlan(
      path("p"), hand.metadata, hand.code, hand.weights.size(),
      [&](WeightSink) { return failure(Exit::InputOutput, "the disk died"); });
  EXPECT_EQ(describe(std::move(error)).first, Exit::InputOutput);
  EXPECT_TRUE(bool(PlanFile::open(path("p"))));
}

TEST_F(ReaderTest, AnInvalidPlanIsNotWritten) {
  HandPlan hand = makeForwardPlan();
  hand.metadata.set_mode("dance");
  auto [code, text] =
      describe(writePlan(path("p"), hand.metadata, hand.code, hand.weights));
  EXPECT_EQ(code, Exit::Internal);
  EXPECT_NE(text.find("'dance'"), std::string::npos);
  EXPECT_FALSE(llvm::sys::fs::exists(path("p")));
}

TEST_F(ReaderTest, NamesThatAreNotUtf8AreNotWritten) {
  HandPlan hand = makeForwardPlan();
  hand.metadata.mutable_functions(0)->mutable_instructions(0)->set_location(
      "\xff\xfe");
  testing::internal::CaptureStderr();
  auto [code, text] =
      describe(writePlan(path("p"), hand.metadata, hand.code, hand.weights));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(code, Exit::Internal);
  EXPECT_NE(text.find("UTF-8"), std::string::npos);
}

TEST_F(ReaderTest, PlacesThatCannotBeWritten) {
  HandPlan hand = makeForwardPlan();
  for (std::string target : {path("no/folder/p"), std::string(folder)}) {
    auto [code, text] =
        describe(writePlan(target, hand.metadata, hand.code, hand.weights));
    EXPECT_EQ(code, Exit::CannotCreate) << text;
    EXPECT_NE(text.find("cannot create"), std::string::npos) << text;
  }
}

/// No file may grow past a limit while this lives, as on a full disk.
class FileSizeLimit {
public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    rlimit limit{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }

private:
  rlimit before;
  void (*handler)(int);
};

TEST_F(ReaderTest, ADiskThatIsFullAnywhere) {
  HandPlan hand = makeForwardPlan();
  size_t size = hand.encode().size();
  for (size_t bytes : {size_t(0), size_t(100), size_t(500), size_t(4000),
                       size_t(5000), size - 1}) {
    FileSizeLimit limit(bytes);
    auto [code, text] =
        describe(writePlan(path("p"), hand.metadata, hand.code, hand.weights));
    EXPECT_EQ(code, Exit::InputOutput) << bytes;
    EXPECT_NE(text.find("cannot write"), std::string::npos) << text;
    std::error_code status;
    EXPECT_TRUE(llvm::sys::fs::directory_iterator(folder, status) ==
                llvm::sys::fs::directory_iterator());
  }
}

TEST_F(ReaderTest, FilesThatAreNoPlans) {
  auto [missing, missingText] = failureOf(PlanFile::open(path("nowhere")));
  EXPECT_EQ(missing, Exit::Missing);
  EXPECT_NE(missingText.find("No such file"), std::string::npos);
  auto [directory, directoryText] = failureOf(PlanFile::open(folder));
  EXPECT_EQ(directory, Exit::Missing);
  EXPECT_NE(directoryText.find("directory"), std::string::npos);
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(failureOf(PlanFile::open(path("fifo"))).first, Exit::Missing);
  int descriptor;
  ASSERT_FALSE(llvm::sys::fs::openFileForWrite(path("empty"), descriptor));
  llvm::raw_fd_ostream(descriptor, true);
  auto [empty, emptyText] = failureOf(PlanFile::open(path("empty")));
  EXPECT_EQ(empty, Exit::Malformed);
  EXPECT_NE(emptyText.find("is empty"), std::string::npos);
  const uint8_t text[] = "version https://git-lfs.github.com/spec/v1";
  auto [other, otherText] = failureOf(decodePlan(text));
  EXPECT_EQ(other, Exit::Malformed);
  EXPECT_NE(otherText.find("not a plan"), std::string::npos);
}

/// A plan with a changed header whose hash is right.
static std::vector<uint8_t> withHeader(size_t offset, uint8_t value) {
  std::vector<uint8_t> bytes = makeForwardPlan().encode();
  bytes[offset] = value;
  Hash hash = hashBytes(llvm::ArrayRef(bytes).take_front(144));
  std::copy(hash.begin(), hash.end(), bytes.begin() + 144);
  return bytes;
}

TEST_F(ReaderTest, HeadersThatLie) {
  auto [version, versionText] = failureOf(decodePlan(withHeader(8, 2)));
  EXPECT_EQ(version, Exit::Unsupported);
  EXPECT_NE(versionText.find("version 2"), std::string::npos);
  struct Lie {
    size_t offset;
    uint8_t value;
    const char *text;
  };
  for (Lie lie :
       {Lie{12, 4, "section table"}, Lie{16, 1, "its header says"},
        Lie{24, 9, "section table"}, Lie{28, 1, "section table"},
        Lie{33, 77, "metadata section is at byte"},
        Lie{46, 200, "larger than the file"}, Lie{120, 1, "do not add up"}}) {
    auto [code, text] =
        failureOf(decodePlan(withHeader(lie.offset, lie.value)));
    EXPECT_EQ(code, Exit::Malformed) << lie.offset;
    EXPECT_NE(text.find(lie.text), std::string::npos) << text;
  }
}

TEST_F(ReaderTest, MetadataThatAreNoMessage) {
  // A well-hashed file around bytes that protobuf cannot read.
  std::vector<uint8_t> text(300, 0xff);
  Header header;
  header.sections[MetadataSection] = {0, text.size(), hashBytes(text)};
  header.sections[CodeSection].hash = hashBytes({});
  header.sections[WeightsSection].hash = hashBytes({});
  placeSections(header);
  auto start = encodeHeader(header);
  std::vector<uint8_t> file(start.begin(), start.end());
  file.insert(file.end(), text.begin(), text.end());
  auto [code, message] = failureOf(decodePlan(file));
  EXPECT_EQ(code, Exit::Malformed);
  EXPECT_NE(message.find("metadata section: not a protobuf"),
            std::string::npos);
}

TEST_F(ReaderTest, PrintNamesEverything) {
  std::vector<uint8_t> bytes = makeForwardPlan().encode();
  auto view = decodePlan(bytes);
  ASSERT_TRUE(bool(view));
  view->metadata.mutable_globals(0)->set_name("bad\x1b[31mname");
  std::string text;
  llvm::raw_string_ostream os(text);
  printPlan(*view, os);
  for (const char *part :
       {"plan ", "mode forward", "memory", "total", "@w parameter f32[8, 16]",
        "launch twice_plus_one blocks 8", "gemm 2x8x16", "bias f32 @b[0, +32]",
        "copy @label[0, +16] to @label_copy[0, +16]",
        "fill @arena[0, +128] with 255", "input 'x' @x",
        "@bad\\x1B[31mname input"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST_F(ReaderTest, PrintOfASamplePlan) {
  HandPlan hand = makeSamplePlan();
  proto::Global &drawn = *hand.metadata.add_globals();
  proto::Init init;
  init.set_kind(proto::Init::XAVIER_UNIFORM);
  init.set_fan_in(4);
  init.set_fan_out(8);
  drawn = makeDrawnGlobal({8, 4}, init);
  drawn.mutable_packed()->set_columns(32);
  drawn.mutable_packed()->set_vnni(1);
  proto::Attention &attention = *hand.metadata.mutable_functions(0)
                                     ->add_instructions()
                                     ->mutable_attention();
  attention.set_batch(2);
  attention.set_heads(3);
  attention.set_key_head_group(3);
  attention.mutable_mask()->set_space(proto::Place::ARENA);
  attention.mutable_log_sum_exp()->set_space(proto::Place::ARENA);
  attention.mutable_workspace()->set_space(proto::Place::ARENA);
  proto::AttentionGrad &gradient = *hand.metadata.mutable_functions(0)
                                        ->add_instructions()
                                        ->mutable_attention_grad();
  gradient.mutable_forward()->set_query_tokens(5);
  gradient.mutable_forward()->set_key_tokens(7);
  gradient.mutable_key_grad()->set_token_stride(9);
  gradient.mutable_workspace()->set_space(proto::Place::ARENA);
  gradient.mutable_workspace()->set_offset(11);
  proto::Gemm &gemm =
      *hand.metadata.mutable_functions(0)->add_instructions()->mutable_gemm();
  gemm.set_batch(2);
  gemm.set_beta(1);
  gemm.mutable_packed()->set_columns(32);
  gemm.set_activation(proto::Gemm::SILU);
  for (proto::Place *place :
       {gemm.mutable_gate(), gemm.mutable_residual(), gemm.mutable_workspace()})
    place->set_space(proto::Place::ARENA);
  proto::Gemm &gradientGemm =
      *hand.metadata.mutable_functions(0)->add_instructions()->mutable_gemm();
  gradientGemm.set_activation(proto::Gemm::GELU_TANH_GRAD);
  gradientGemm.mutable_aux()->set_space(proto::Place::ARENA);
  gradientGemm.set_aux_stride(13);
  hand.metadata.mutable_functions(0)->add_instructions();
  std::string text;
  llvm::raw_string_ostream os(text);
  printPlan({hand.metadata, {}, {}, "00"}, os);
  for (const char *part :
       {"sampling", "2 pictures of 1 x 8 x 8, 4 classes, prediction eps",
        "latent @latent", "init xavier_uniform(4, 8) seed 0 stream 0",
        "packed 32/1", "queries a key head 3", "mask @arena", "log_sum_exp",
        "gradient of attention", "tokens 5x7", "strides 0,9,0 value_grad",
        "workspace @arena[11", "silu gate", "residual @arena", "beta 1",
        "workspace", "batch 2", "gelu_tanh_grad aux @arena", "ld 13"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
}

TEST_F(ReaderTest, MemoryAddsUp) {
  HandPlan hand = makeForwardPlan();
  MemoryUse use = memoryUse(hand.metadata);
  // x 128, label 16, y 64, label_copy 16 in slots of 64; w 512 and b 32.
  EXPECT_EQ(use.inputsOutputs, 128u + 16 + 64 + 16);
  EXPECT_EQ(use.gaps, 48u + 48);
  EXPECT_EQ(use.mappedWeights, 512u + 32);
  EXPECT_EQ(use.arena, 128u);
  EXPECT_EQ(use.total(), 320u + 544 + 128);
  EXPECT_NE(printMemoryTable(hand.metadata).find("992 bytes"),
            std::string::npos);
  EXPECT_EQ(printBytes(999), "999 B");
  EXPECT_EQ(printBytes(17385626), "17.39 MB");
}

TEST_F(ReaderTest, MembersTakeNoMemory) {
  HandPlan hand = makeTrainPlan();
  MemoryUse use = memoryUse(hand.metadata);
  EXPECT_EQ(use.weights, 512u) << "masters, not their members";
  EXPECT_EQ(use.gradients, 512u);
  EXPECT_EQ(use.optimizer, 2 * 512u);
  EXPECT_EQ(use.averages, 512u);
  EXPECT_EQ(use.total() - use.mappedWeights - use.arena,
            hand.metadata.globals_bytes());
  EXPECT_NE(printMemoryTable(hand.metadata).find("optimizer: moments"),
            std::string::npos);
  // The table of 3 numbers alone.
  EXPECT_EQ(mappedEnd(hand.metadata), 12u);
}

TEST_F(ReaderTest, EscapedNamesAreShortAndPlain) {
  EXPECT_EQ(escaped("blocks.0\n\xff\\"), "blocks.0\\x0A\\xFF\\x5C");
  EXPECT_EQ(escaped(std::string(300, 'a')), std::string(200, 'a') + "...");
}

TEST_F(ReaderTest, ErrorsKeepTheirCodeGoingUp) {
  llvm::Error error = within(failure(Exit::Missing, "gone"), "'f'");
  auto [code, text] = describe(llvm::joinErrors(
      std::move(error), failure(Exit::Malformed, "and broken")));
  EXPECT_EQ(code, Exit::Missing);
  EXPECT_EQ(text, "'f': gone\nand broken");
  EXPECT_FALSE(within(llvm::Error::success(), "nothing"));
  llvm::Error other =
      llvm::createStringError(llvm::inconvertibleErrorCode(), "odd");
  EXPECT_EQ(describe(std::move(other)).first, Exit::Internal);
}
