//===- ModelTensors.h - A plan's parameters under PyTorch's names ---------===//
//
// A plan's pieces say which tensors of the model's file lie where in its
// globals. Checkpoints invert them: they have each tensor as PyTorch does, so
// that PyTorch, diffusers and ditc can load them. An ONNX file may have a
// Linear's weight as [in, out]; here it is [out, in] again.
//
//===----------------------------------------------------------------------===//
#ifndef DIT_RUNTIME_CHECKPOINT_MODELTENSORS_H
#define DIT_RUNTIME_CHECKPOINT_MODELTENSORS_H

#include "runtime/checkpoint/Safetensors.h"

namespace dit::runtime {

/// One tensor of the model.
struct ModelTensor {
  proto::Piece piece; // its file is what PyTorch has, in fp32
  unsigned global;    // the parameter that it is (a part of)

  const std::string &name() const { return piece.name(); }
};

/// The piece with its file's tensor as PyTorch has it. A matrix whose rows come
/// last in the global, where a Linear is [out, in], is an [in, out] of ONNX.
proto::Piece torchPiece(const proto::Piece &piece);

/// The tensors of all parameters, in the plan's order; not those of
/// `excluded` globals.
std::vector<ModelTensor> modelTensors(const proto::Plan &plan,
                                      llvm::ArrayRef<unsigned> excluded = {});

/// Exit::Contradiction lists all tensors that the file lacks, has beyond the
/// model's, or has in another shape or a type that is no float. A copy of a
/// tensor that the model has, and a position table, are not in excess: models
/// share them, or have them as constants.
llvm::Error checkTensors(llvm::ArrayRef<ModelTensor> tensors,
                         const Safetensors &file);

/// Puts the file's values into a global's row-major tensor, converted.
llvm::Error placeTensor(const ModelTensor &tensor, const proto::Global &global,
                        const Safetensors &file,
                        llvm::MutableArrayRef<uint8_t> globalTensor);

} // namespace dit::runtime

#endif // DIT_RUNTIME_CHECKPOINT_MODELTENSORS_H
