//===- HandPlan.h - Small plans made by hand ------------------------------===//
#ifndef DIT_TEST_RUNTIME_HANDPLAN_H
#define DIT_TEST_RUNTIME_HANDPLAN_H

#include "runtime/plan/plan.pb.h"

#include "llvm/ADT/ArrayRef.h"

#include <string>
#include <vector>

namespace dit::test {

/// What a plan file is made of.
struct HandPlan {
  proto::Plan metadata;
  std::vector<uint8_t> code;
  std::vector<uint8_t> weights;

  /// The bytes of its plan.bin.
  std::vector<uint8_t> encode() const;
};

/// The bytes of the object file of HandKernels.cpp.
std::vector<uint8_t> handKernels();

/// y[2, 8] = (2 x + 1) W^T + b for x[2, 16], with W[o, i] = (o + 1) / (i + 1)
/// and b[o] = o, both in the weights section; instructions: fill, launch,
/// gemm, copy. Inputs x and label (i64[2], unused), outputs y and label_copy.
HandPlan makeForwardPlan();

/// Pictures [batch 2, 1, 8, 8] of the model in HandKernels.cpp; 4 classes and
/// learned sigma. Steps sample_step and sample_step_single, here the same.
HandPlan makeSamplePlan();

/// Trains eps_hat = w x_t + b (HandKernels.cpp) on pictures [batch 2, 1, 8, 8]
/// of 4 classes. The model's file has w as [4, 16], of which the plan has the
/// transpose, and b as [64]; both begin as zeros. A frozen parameter `table`
/// [3] is in the weights section.
HandPlan makeTrainPlan();

/// Gives the sample plan the parameters of the train plan, which its model does
/// not look at: so that it takes the weights of training.
void addTrainedWeights(HandPlan &hand);

/// A parameter @w of this shape, drawn by an init: for tests of Initialise.
proto::Global makeDrawnGlobal(llvm::ArrayRef<int64_t> shape, proto::Init init);

/// Makes the forward plan's x and y one-dimensional, of these many elements,
/// and takes its launch out, so that its third instruction can be another.
void resizeInput(HandPlan &hand, int64_t xElements, int64_t yElements);

/// Elements [begin, begin + count) of the forward plan's x.
void setInput(proto::Place &place, int64_t begin, int64_t count);

/// Whole tensors as pieces of themselves: view and target are the shape.
void setIdentityPiece(proto::Piece &piece, llvm::StringRef name,
                      llvm::ArrayRef<int64_t> shape);

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_HANDPLAN_H
