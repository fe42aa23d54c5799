//===- ModelTensors.cpp - A plan's parameters under PyTorch's names -------===//

#include "runtime/checkpoint/ModelTensors.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Format.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"

#include <set>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

/// The number of view dimensions that make up the first dimension of a matrix;
/// nothing where the view does not split there.
static std::optional<int> rowDimensions(const proto::Piece &piece) {
  int64_t rows = piece.file().shape(0), product = 1;
  int count = 0;
  while (count != piece.view_size() && product < rows)
    product *= piece.view(count++);
  if (product != rows)
    return std::nullopt;
  return count;
}

/// Whether all columns come before all rows in the global.
static bool rowsComeLast(const proto::Piece &piece, int rowCount) {
  bool sawRow = false, sawColumn = false;
  for (int64_t dimension : piece.permutation()) {
    if (piece.view(dimension) == 1)
      continue;
    bool row = dimension < rowCount;
    if (!row && sawRow)
      return false;
    (row ? sawRow : sawColumn) = true;
  }
  return sawRow && sawColumn;
}

proto::Piece dit::runtime::torchPiece(const proto::Piece &piece) {
  proto::Piece result = piece;
  if (plan::isFloat(plan::elementType(piece.file().type())))
    result.mutable_file()->set_type(proto::F32);
  if (piece.file().shape_size() != 2)
    return result;
  std::optional<int> rows = rowDimensions(piece);
  if (!rows || !rowsComeLast(piece, *rows))
    return result;
  int rank = piece.view_size();
  result.mutable_file()->mutable_shape()->SwapElements(0, 1);
  for (int i = 0; i != rank; ++i) {
    result.set_view(i, piece.view((i + *rows) % rank));
    result.set_permutation(i, (piece.permutation(i) + rank - *rows) % rank);
  }
  return result;
}

std::vector<ModelTensor>
dit::runtime::modelTensors(const proto::Plan &plan,
                           llvm::ArrayRef<unsigned> excluded) {
  std::vector<ModelTensor> tensors;
  for (int i = 0; i != plan.globals_size(); ++i) {
    const proto::Global &global = plan.globals(i);
    if (global.role() != proto::Global::PARAMETER ||
        llvm::is_contained(excluded, static_cast<unsigned>(i)))
      continue;
    for (const proto::Piece &piece : global.pieces())
      tensors.push_back({torchPiece(piece), static_cast<unsigned>(i)});
  }
  return tensors;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static std::string describe(const Safetensors::Tensor &tensor) {
  return std::string(plan::elementName(tensor.type)) +
         plan::printShape(tensor.shape);
}

static bool fits(const ModelTensor &wanted, const Safetensors::Tensor &given) {
  return llvm::ArrayRef(given.shape) ==
             plan::dimensions(wanted.piece.file().shape()) &&
         (plan::isFloat(given.type) ||
          given.type == plan::elementType(wanted.piece.file().type()));
}

/// Drops the tensors that the model can do without: position tables, which may
/// be constants of its program, and copies of tensors that it has.
static void dropSpare(std::vector<const Safetensors::Tensor *> &unexpected,
                      const Safetensors &file, const llvm::StringSet<> &names) {
  llvm::erase_if(unexpected, [](const Safetensors::Tensor *tensor) {
    llvm::StringRef name = tensor->name;
    return name == "pos_embed" || name.ends_with(".pos_embed");
  });
  if (unexpected.empty())
    return;
  std::set<plan::Hash> known;
  for (const Safetensors::Tensor &tensor : file.tensors())
    if (names.contains(tensor.name))
      known.insert(plan::hashBytes(tensor.bytes));
  llvm::erase_if(unexpected, [&](const Safetensors::Tensor *tensor) {
    return known.contains(plan::hashBytes(tensor->bytes));
  });
}

llvm::Error dit::runtime::checkTensors(llvm::ArrayRef<ModelTensor> tensors,
                                       const Safetensors &file) {
  std::vector<std::string> missing, excess, misshaped;
  std::vector<const Safetensors::Tensor *> unexpected;
  llvm::StringSet<> names;
  for (const ModelTensor &tensor : tensors) {
    names.insert(tensor.name());
    std::string quoted = "'" + plan::escaped(tensor.name()) + "'";
    const Safetensors::Tensor *given = file.find(tensor.name());
    if (!given)
      missing.push_back(quoted);
    else if (!fits(tensor, *given))
      misshaped.push_back(quoted + " is " + describe(*given) +
                          ", the model's is " +
                          plan::printTensor(tensor.piece.file()));
  }
  for (const Safetensors::Tensor &tensor : file.tensors())
    if (!names.contains(tensor.name))
      unexpected.push_back(&tensor);
  dropSpare(unexpected, file, names);
  for (const Safetensors::Tensor *tensor : unexpected)
    excess.push_back("'" + plan::escaped(tensor->name) + "'");
  std::string text;
  auto list = [&](llvm::StringRef what, llvm::ArrayRef<std::string> entries) {
    constexpr size_t most = 20;
    if (entries.empty())
      return;
    text +=
        "\n  " + what.str() + ": " + llvm::join(entries.take_front(most), ", ");
    if (entries.size() > most)
      text += " and " + std::to_string(entries.size() - most) + " more";
  };
  list("parameters of the model without a tensor", missing);
  list("tensors without a parameter", excess);
  list("other shapes or types", misshaped);
  if (text.empty())
    return llvm::Error::success();
  return failure(Exit::Contradiction,
                 "the tensors do not fit the plan's model:" + text +
                     "\n(ditc --weights also knows the names that diffusers "
                     "and the original DiT give)");
}

llvm::Error
dit::runtime::placeTensor(const ModelTensor &tensor,
                          const proto::Global &global, const Safetensors &file,
                          llvm::MutableArrayRef<uint8_t> globalTensor) {
  const Safetensors::Tensor &given = *file.find(tensor.name());
  proto::Piece piece = tensor.piece;
  piece.mutable_file()->set_type(static_cast<proto::ElementType>(given.type));
  // A foreign file's tensors may lie at any byte.
  llvm::ArrayRef<uint8_t> bytes = given.bytes;
  std::vector<uint64_t> aligned;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % 8 != 0) {
    aligned.resize((bytes.size() + 7) / 8);
    uint8_t *copy = reinterpret_cast<uint8_t *>(aligned.data());
    llvm::copy(bytes, copy);
    bytes = {copy, bytes.size()};
  }
  return plan::placePiece(piece, global, bytes, globalTensor);
}
