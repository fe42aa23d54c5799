//===- SamplePrologue.cpp - Conditioning of many steps at once ------------===//
#include "passes/program/SamplePrologue.h"

#include "dialects/dit/Builders.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace dit;

static Denoiser halved(Denoiser denoiser) {
  denoiser.batch /= 2;
  return denoiser;
}

SamplePrologue::SamplePrologue(StepBuilder &steps, const Denoiser &denoiser,
                               const Inputs &inputs, func::FuncOp model,
                               func::FuncOp single)
    : steps(steps), builder(steps.getBuilder()), loc(steps.getLoc()),
      denoiser(denoiser), inputs(inputs), model(model), guided(model, denoiser),
      pictures(denoiser.batch / 2) {
  if (single)
    unguided.emplace(single, halved(denoiser));
}

int64_t SamplePrologue::chooseSteps(int64_t rows) const {
  constexpr int64_t most = 64;
  uint64_t wanted = llvm::divideCeil(rows, pictures + 1);
  int64_t chosen = std::min<int64_t>(llvm::PowerOf2Ceil(wanted), most);
  return isPossible() && chosen > 2 ? chosen : 0;
}

/// What the model is told at this step and those after it, [K]. Rows that the
/// table does not have are like its last, and never used.
Value SamplePrologue::readTimesteps(Type element) {
  auto type = RankedTensorType::get({count}, builder.getI64Type());
  SmallVector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  Value later = arith::ConstantOp::create(
      builder, loc, DenseIntElementsAttr::get(type, ArrayRef(numbers)));
  Value at =
      createNumpyBroadcast(builder, loc, steps.read(inputs.step), {count});
  Value told = GatherOp::create(builder, loc, steps.read(inputs.timesteps),
                                arith::AddIOp::create(builder, loc, at, later));
  return createCast(builder, loc, told, element);
}

/// The pictures' labels, and that of no label.
Value SamplePrologue::readLabels(Type element) {
  auto one = RankedTensorType::get({1}, builder.getI64Type());
  Value none =
      createSplat(builder, loc, one, static_cast<double>(inputs.noLabel));
  Value all = tensor::ConcatOp::create(
      builder, loc, 0, ValueRange{steps.read(inputs.labels), none});
  return createCast(builder, loc, all, element);
}

/// A table for each value that is made, which is written to it. The model at
/// the pictures alone reads the same tables; it has none of its own: where it
/// is not like the other, it computes its conditioning step by step.
void SamplePrologue::addTables(ArrayRef<Value> made) {
  for (auto [value, now] : llvm::zip_equal(guided.getStored(), made)) {
    GlobalOp table =
        steps.addGlobal("conditioning", Role::State, getTensorType(now));
    steps.write(now, table);
    tables[value] = table;
  }
  if (!unguided)
    return;
  for (Value value : unguided->getStored()) {
    Value twin = unguided->findTwin(value, guided);
    if (!twin) {
      unguided.reset();
      isSingleApart = true;
      return;
    }
    tables[value] = tables.lookup(twin);
  }
}

/// 446.1 MB, 480 FLOP.
static std::string printScaled(int64_t amount, StringRef unit) {
  auto value = static_cast<double>(amount);
  if (value < 1000)
    return llvm::formatv("{0} {1}", amount, unit);
  for (StringRef prefix : {"k", "M", "G"})
    if ((value /= 1000) < 1000)
      return llvm::formatv("{0:f1} {1}{2}", value, prefix, unit);
  return llvm::formatv("{0:f1} T{1}", value / 1000, unit);
}

void SamplePrologue::report(func::FuncOp prologue) {
  int64_t bytes = 0, ahead = 0;
  for (Value value : guided.getStored())
    bytes += countBytes(tables[value].getTensorType());
  for (auto matmul : prologue.getOps<MatmulOp>()) {
    MatmulOp::Sizes sizes = matmul.getSizes();
    ahead += 2 * sizes.m * sizes.n * sizes.k * sizes.batch;
  }
  StringRef alone =
      !isSingleApart ? "" : "; steps without guidance compute their own";
  model.emitRemark(
      llvm::formatv("what depends on timestep and label alone is computed for "
                    "{0} steps at once: {1} of weights are read every {0} "
                    "steps, not every step; {2} a step, not {3}, for {4} "
                    "different rows of {5}; tables of {6}{7}",
                    count, printScaled(guided.getWeightBytes(), "B"),
                    printScaled(ahead / count, "FLOP"),
                    printScaled(guided.getFlops(), "FLOP"), pictures + 1,
                    denoiser.batch, printScaled(bytes, "B"), alone)
          .str());
}

void SamplePrologue::build(int64_t wanted) {
  count = wanted;
  func::FuncOp prologue = steps.beginStep("prologue", "prologue");
  auto elementOf = [&](unsigned argument) {
    return getTensorType(model.getArgument(argument)).getElementType();
  };
  Value told = readTimesteps(elementOf(denoiser.timestep));
  Value labels = readLabels(elementOf(denoiser.label));
  addTables(guided.build(builder, told, labels));
  report(prologue);
}

DenseMap<Value, Value> SamplePrologue::restore(func::FuncOp function,
                                               Value at) {
  DenseMap<Value, Value> given;
  if (!count || (function != model && !unguided))
    return given;
  const Conditioning &conditioning = function == model ? guided : *unguided;
  int64_t rows = function == model ? denoiser.batch : pictures;
  SmallVector<int64_t> rowOf;
  for (int64_t row = 0; row < rows; ++row)
    rowOf.push_back(std::min(row, pictures));
  Value row = arith::RemSIOp::create(
      builder, loc, at,
      createSplat(builder, loc, getTensorType(at), static_cast<double>(count)));
  for (Value stored : conditioning.getStored())
    given[stored] = conditioning.restore(
        builder, stored, steps.read(tables.lookup(stored)), row, rowOf);
  return given;
}
