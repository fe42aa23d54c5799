//===- FlagValues.cpp - What flags may be set to --------------------------===//
#include "compiler/tools/ditc/FlagValues.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using dit::plan::Exit;
using dit::plan::failure;

Expected<int64_t> dit::parseNumber(StringRef flag, StringRef text, int64_t low,
                                   int64_t high) {
  int64_t value;
  if (text.getAsInteger(10, value) || value < low || value > high)
    return failure(Exit::Usage, "--" + flag + " " + text +
                                    ": expected a whole number from " +
                                    Twine(low) + " to " + Twine(high));
  return value;
}

Expected<uint64_t> dit::parseSize(StringRef text) {
  StringRef digits =
      text.take_while([](char c) { return isDigit(c) || c == '.'; });
  double value;
  double unit = StringSwitch<double>(text.drop_front(digits.size()))
                    .Cases({"", "B"}, 1)
                    .Case("KB", 1e3)
                    .Case("MB", 1e6)
                    .Case("GB", 1e9)
                    .Case("KiB", 1024.0)
                    .Case("MiB", 1024.0 * 1024)
                    .Case("GiB", 1024.0 * 1024 * 1024)
                    .Default(0);
  if (digits.getAsDouble(value) || unit == 0 || value <= 0 ||
      value * unit > 1e18)
    return failure(Exit::Usage, "--memory " + text +
                                    ": expected a size such as 80GB or 512MiB");
  return static_cast<uint64_t>(value * unit);
}

Expected<std::string> dit::choose(StringRef flag, StringRef value,
                                  StringRef choices) {
  SmallVector<StringRef> all;
  choices.split(all, ' ');
  if (is_contained(all, value))
    return value.str();
  StringRef nearest = all.front();
  for (StringRef choice : all)
    if (choice.edit_distance(value) < nearest.edit_distance(value))
      nearest = choice;
  return failure(Exit::Usage, "--" + flag + " " + value + ": did you mean " +
                                  nearest + "? It may be " + join(all, ", "));
}

Expected<double> dit::parseReal(StringRef flag, StringRef text, double low,
                                double high) {
  double value;
  if (!text.getAsDouble(value) && value >= low && value <= high)
    return value;
  std::string range;
  raw_string_ostream(range) << format("%g to %g", low, high);
  return failure(Exit::Usage, "--" + flag + " " + text +
                                  ": expected a number from " + range);
}

Error dit::parseTimestepSampling(StringRef text,
                                 dit::TrainingOptions &training) {
  StringRef flag = "timestep-sampling";
  auto [name, numbers] = text.split(':');
  Expected<std::string> kind = choose(flag, name, "uniform logit-normal");
  if (!kind)
    return kind.takeError();
  training.timestepSampling = *kind;
  if (!text.contains(':'))
    return Error::success();
  auto [mean, deviation] = numbers.split(',');
  if (*kind == "uniform" || deviation.empty())
    return failure(Exit::Usage, "--timestep-sampling " + text +
                                    ": expected uniform or logit-normal, or "
                                    "logit-normal:MEAN,STD as in "
                                    "logit-normal:0,1");
  // Beyond these a float has no t but 0 and 1.
  Expected<double> first = parseReal(flag, mean, -15, 15);
  if (!first)
    return first.takeError();
  Expected<double> second = parseReal(flag, deviation, 0.001, 15);
  if (!second)
    return second.takeError();
  training.logitMean = *first;
  training.logitDeviation = *second;
  return Error::success();
}
