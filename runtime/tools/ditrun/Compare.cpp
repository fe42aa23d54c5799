//===- Compare.cpp - Results against a file that says what is right -------===//

#include "runtime/data/Npy.h"
#include "runtime/plan/Shape.h"
#include "runtime/tools/ditrun/Modes.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

/// Where two arrays are furthest apart.
struct Difference {
  double largest = 0;
  size_t where = 0;
  size_t outside = 0; // elements past tolerance
};

} // namespace

static Difference differ(llvm::ArrayRef<double> actual,
                         llvm::ArrayRef<double> expected, double absolute,
                         double relative) {
  Difference result;
  for (size_t i = 0; i != actual.size(); ++i) {
    if (actual[i] == expected[i] ||
        (std::isnan(actual[i]) && std::isnan(expected[i])))
      continue;
    double distance = std::fabs(actual[i] - expected[i]);
    // A NaN on one side only is as far as can be.
    if (std::isnan(distance))
      distance = HUGE_VAL;
    if (!(distance <= absolute + relative * std::fabs(expected[i])))
      ++result.outside;
    if (distance > result.largest) {
      result.largest = distance;
      result.where = i;
    }
  }
  return result;
}

llvm::Expected<bool> dit::runtime::compareWith(const Options &options,
                                               llvm::StringRef name,
                                               const Array &actual) {
  std::string own = name.str();
  llvm::Expected<Array> expected =
      readArray(*options.expected, {"out_" + own, own});
  if (!expected)
    return expected.takeError();
  if (expected->shape != actual.shape)
    return failure(Exit::Contradiction,
                   "--expect: " + plan::escaped(name) + " is " +
                       plan::printShape(actual.shape) + ", '" +
                       plan::escaped(*options.expected) + "' has " +
                       plan::printShape(expected->shape));
  double absolute = options.absoluteTolerance.value_or(1e-4);
  double relative = options.relativeTolerance.value_or(0);
  std::vector<double> values = arrayValues(actual);
  std::vector<double> good = arrayValues(*expected);
  Difference difference = differ(values, good, absolute, relative);
  bool within = difference.outside == 0;
  llvm::outs() << plan::escaped(name)
               << llvm::formatv(": largest difference {0:e3}",
                                difference.largest);
  if (difference.largest > 0)
    llvm::outs() << llvm::formatv(" at element {0} ({1}, expected {2})",
                                  difference.where, values[difference.where],
                                  good[difference.where]);
  if (within)
    llvm::outs() << llvm::formatv(", within {0:e1}", absolute);
  else
    llvm::outs() << llvm::formatv(", {0} of {1} elements past {2:e1}",
                                  difference.outside, values.size(), absolute);
  if (relative > 0)
    llvm::outs() << llvm::formatv(" + {0:e1} relative", relative);
  llvm::outs() << "\n";
  return within;
}
