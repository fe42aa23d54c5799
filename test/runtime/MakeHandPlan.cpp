//===- MakeHandPlan.cpp - Writes plans made by hand to files --------------===//

#include "test/runtime/HandPlan.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Writer.h"

#include "llvm/Support/raw_ostream.h"

using namespace dit;

/// usage: make-hand-plan forward|sample|train PLAN [CHANGE]
/// CHANGE: feature (needs one that no machine has), latent (4 channels),
/// trained (has the parameters of the train plan),
/// arena (needs more memory than there is), target (cuda).
int main(int argc, char **argv) {
  if (argc < 3)
    return 64;
  llvm::StringRef mode = argv[1], change = argc > 3 ? argv[3] : "";
  test::HandPlan hand = mode == "sample"  ? test::makeSamplePlan()
                        : mode == "train" ? test::makeTrainPlan()
                                          : test::makeForwardPlan();
  if (change == "feature")
    hand.metadata.mutable_target()->add_features("+avx1024");
  if (change == "target")
    hand.metadata.mutable_target()->set_kind("cuda");
  if (change == "arena") {
    hand.metadata.set_arena_bytes(uint64_t(1) << 44);
    hand.metadata.mutable_functions(0)->set_arena_bytes(uint64_t(1) << 44);
  }
  if (change == "trained")
    test::addTrainedWeights(hand);
  if (change == "latent") {
    // The same 64 values a picture, seen as four channels of 4 x 4.
    proto::Sampling &sampling = *hand.metadata.mutable_sampling();
    sampling.set_channels(4);
    sampling.set_height(4);
    sampling.set_width(4);
    for (proto::Global &global : *hand.metadata.mutable_globals()) {
      google::protobuf::RepeatedField<int64_t> &shape =
          *global.mutable_type()->mutable_shape();
      if (shape.size() == 4)
        for (int i = 1; i != 4; ++i)
          shape.Set(i, 4);
      if (global.name() == "guidance")
        shape.Set(0, 4), global.set_bytes(16);
    }
  }
  llvm::Error error =
      plan::writePlan(argv[2], hand.metadata, hand.code, hand.weights);
  if (!error)
    return 0;
  auto [code, text] = plan::describe(std::move(error));
  llvm::errs() << text << "\n";
  return static_cast<int>(code);
}
