//===- DitConfig.h - Which DiT to build -------------------------*- C++ -*-===//
#ifndef FRONTENDS_BUILDER_DITCONFIG_H
#define FRONTENDS_BUILDER_DITCONFIG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>

namespace dit {

/// The sizes of a class-conditional DiT (Peebles & Xie, 2023).
struct DitConfig {
  std::string name = "DiT"; ///< for people: DiT-XL/2
  int64_t depth = 0;        ///< blocks
  int64_t hidden = 0;       ///< D; heads divide it, and so does 4
  int64_t heads = 0;
  int64_t patch = 0;      ///< divides size
  int64_t size = 32;      ///< height and width of the latent
  int64_t channels = 4;   ///< of the latent
  int64_t classes = 1000; ///< the table has one more row: no label
  int64_t mlpRatio = 4;
  bool learnedSigma = true; ///< the result has twice the channels
  bool realTime = false;    ///< t is a real number, as a flow needs it

  int64_t grid() const { return size / patch; }
  int64_t tokens() const { return grid() * grid(); }
  int64_t outChannels() const { return learnedSigma ? 2 * channels : channels; }
};

/// The configuration that `spec` spells (without `dit:`): one of DiT-S, -B, -L,
/// -XL with /2, /4, /8, or a list like
/// `depth=12,hidden=384,heads=6,patch=2,size=32,channels=4,classes=1000,mlp=4,sigma=1`,
/// or a name followed by such a list. `imageSize` are pixels, 8 a latent; 0
/// leaves the size. An error says what is wrong and what would be right.
llvm::Expected<DitConfig> parseDitConfig(llvm::StringRef spec,
                                         int64_t imageSize = 0);

} // namespace dit

#endif // FRONTENDS_BUILDER_DITCONFIG_H
