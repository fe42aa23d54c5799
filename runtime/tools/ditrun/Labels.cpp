//===- Labels.cpp - What --labels and --num mean --------------------------===//

#include "runtime/tools/ditrun/Labels.h"

#include "runtime/data/Npy.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Reader.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"

#include <numeric>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

/// Whole numbers separated by commas or blanks.
static llvm::Expected<std::vector<int64_t>>
parseList(llvm::StringRef text, Exit code, const llvm::Twine &where) {
  std::vector<int64_t> labels;
  while (true) {
    text = text.ltrim(", \t\r\n");
    if (text.empty())
      return labels;
    llvm::StringRef word = text.take_until(
        [](char c) { return llvm::StringRef(", \t\r\n").contains(c); });
    text = text.drop_front(word.size());
    if (word.getAsInteger(10, labels.emplace_back()))
      return failure(code, where + ": '" + plan::escaped(word) +
                               "' is no class number");
  }
}

static llvm::Expected<std::vector<int64_t>> readLabels(llvm::StringRef path) {
  if (!path.ends_with(".npy") && !path.ends_with(".npz")) {
    llvm::Expected<plan::MappedFile> file = plan::MappedFile::open(path);
    if (!file)
      return file.takeError();
    llvm::StringRef text(reinterpret_cast<const char *>(file->bytes().data()),
                         file->bytes().size());
    return parseList(text, Exit::Malformed, "'" + plan::escaped(path) + "'");
  }
  llvm::Expected<Array> array = readArray(path, {"labels"});
  if (!array)
    return array.takeError();
  bool lossy = false;
  std::vector<int64_t> labels;
  for (double value :
       arrayValues(convertArray(*array, plan::ElementType::I64, lossy)))
    labels.push_back(static_cast<int64_t>(value));
  if (lossy)
    return failure(Exit::Malformed, "'" + plan::escaped(path) +
                                        "' has labels that are not "
                                        "whole numbers");
  return labels;
}

static llvm::Expected<std::vector<int64_t>> takeList(llvm::StringRef list,
                                                     int64_t classes) {
  if (list != "all")
    return list.starts_with("@") ? readLabels(list.drop_front())
                                 : parseList(list, Exit::Usage, "--labels");
  std::vector<int64_t> labels(std::max<int64_t>(classes, 1));
  std::iota(labels.begin(), labels.end(), 0);
  return labels;
}

llvm::Expected<std::vector<int64_t>>
dit::runtime::pictureLabels(const std::optional<std::string> &list,
                            std::optional<int64_t> count, int64_t classes,
                            int64_t batch) {
  if (list && classes == 0)
    return failure(Exit::Contradiction,
                   "--labels: this model has no classes; use --num");
  llvm::Expected<std::vector<int64_t>> labels =
      takeList(list.value_or("all"), classes);
  if (!labels)
    return labels.takeError();
  if (labels->empty())
    return failure(Exit::Usage, "--labels names no class");
  if (!count && list)
    return labels;
  int64_t pictures = count.value_or(batch);
  constexpr int64_t most = 100'000'000;
  if (pictures > most)
    return failure(Exit::Usage, "--num " + llvm::Twine(pictures) +
                                    ": more than " + llvm::Twine(most));
  std::vector<int64_t> spread(pictures);
  for (int64_t i = 0; i != pictures; ++i)
    spread[i] = (*labels)[i * labels->size() / pictures];
  return spread;
}
