//===- Validate.cpp - What must hold of a plan's metadata -----------------===//
//
// Globals, their pieces, the interface, the contracts of sampling and training;
// instructions are in ValidateInstructions.cpp.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Validate.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"

using namespace dit::plan;
namespace proto = dit::proto;

static llvm::Error malformed(const llvm::Twine &message) {
  return failure(Exit::Malformed, message);
}

static std::string quoted(llvm::StringRef name) {
  return "'" + escaped(name) + "'";
}

/// begin + bytes <= limit, without overflow.
static bool lies(uint64_t begin, uint64_t bytes, uint64_t limit) {
  return begin <= limit && bytes <= limit - begin;
}

static llvm::Error checkInit(const proto::Init &init) {
  switch (init.kind()) {
  case proto::Init::ZEROS:
  case proto::Init::CONSTANT:
  case proto::Init::NORMAL:
  case proto::Init::SINCOS_2D:
    return llvm::Error::success();
  case proto::Init::XAVIER_UNIFORM:
    if (init.fan_in() < 0 || init.fan_out() < 0 ||
        init.fan_in() > largestExtent || init.fan_out() > largestExtent ||
        init.fan_in() + init.fan_out() == 0)
      return malformed("its fans are out of range");
    return llvm::Error::success();
  default:
    return malformed("unknown kind of init " + llvm::Twine(init.kind()));
  }
}

/// A piece's file tensor, seen as `view` and permuted, fits into the global
/// seen as `target_view` at `target_offset`.
static llvm::Error checkPiece(const proto::Piece &piece,
                              int64_t globalElements) {
  std::optional<int64_t> bytes = tensorBytes(piece.file());
  if (!bytes)
    return malformed("its type or shape is invalid");
  llvm::ArrayRef<int64_t> view = dimensions(piece.view());
  llvm::ArrayRef<int64_t> target = dimensions(piece.target_view());
  if (elementCount(view) != elementCount(dimensions(piece.file().shape())))
    return malformed("its view " + printShape(view) +
                     " has not the elements of " + printTensor(piece.file()));
  if (elementCount(target) != globalElements)
    return malformed("its target view " + printShape(target) +
                     " has not the elements of the global");
  size_t rank = view.size();
  if (static_cast<size_t>(piece.permutation_size()) != rank ||
      target.size() != rank ||
      static_cast<size_t>(piece.target_offset_size()) != rank)
    return malformed("view, permutation and target differ in rank");
  llvm::SmallVector<bool> seen(rank);
  for (size_t i = 0; i != rank; ++i) {
    int64_t source = piece.permutation(i);
    if (source < 0 || source >= static_cast<int64_t>(rank) || seen[source])
      return malformed("its permutation is none");
    seen[source] = true;
  }
  for (size_t i = 0; i != rank; ++i) {
    int64_t source = piece.permutation(i);
    int64_t offset = piece.target_offset(i);
    if (offset < 0 || offset > target[i] || view[source] > target[i] - offset)
      return malformed("it reaches past its target in dimension " +
                       llvm::Twine(i));
  }
  if (piece.has_init())
    return within(checkInit(piece.init()), "init");
  return llvm::Error::success();
}

/// The bytes a global needs for its values.
static llvm::Expected<uint64_t> neededBytes(const proto::Global &global) {
  std::optional<int64_t> bytes = tensorBytes(global.type());
  if (!bytes)
    return malformed("its type or shape is invalid");
  if (!global.has_packed())
    return static_cast<uint64_t>(*bytes);
  const proto::PackedLayout &layout = global.packed();
  if (layout.columns() < 1 || layout.columns() > 4096 || layout.vnni() < 1 ||
      layout.vnni() > 8)
    return malformed("its packed layout is out of range");
  if (global.type().shape_size() != 2)
    return malformed("it is packed but not a matrix");
  if (!isFloat(elementType(global.type().type())))
    return malformed("it is packed but not of floats");
  ElementType type = elementType(global.type().type());
  return packedElements(panelLayout(layout), global.type().shape(0),
                        global.type().shape(1)) *
         elementBytes(type);
}

static llvm::Error checkGlobal(const proto::Plan &plan,
                               const proto::Global &global,
                               uint64_t weightBytes) {
  if (global.role() <= proto::Global::ROLE_UNSPECIFIED ||
      global.role() > proto::Global::TABLE)
    return malformed("its role is unknown");
  llvm::Expected<uint64_t> needed = neededBytes(global);
  if (!needed)
    return needed.takeError();
  if (global.bytes() < *needed)
    return malformed("it has " + llvm::Twine(global.bytes()) + " bytes for " +
                     printTensor(global.type()) + ", which needs " +
                     llvm::Twine(*needed));
  if (global.offset() % 64 != 0)
    return malformed("its offset is not a multiple of 64");
  if (global.mapped()) {
    if (global.role() != proto::Global::PARAMETER &&
        global.role() != proto::Global::CONSTANT)
      return malformed("only parameters and constants can be mapped");
    if (!lies(global.offset(), global.bytes(), weightBytes))
      return malformed("it reaches past the weights section");
  } else if (!lies(global.offset(), global.bytes(), plan.globals_bytes())) {
    return malformed("it reaches past globals_bytes");
  }
  if (global.has_initial()) {
    if (global.mapped() || global.initial() % 64 != 0)
      return malformed("it has first values, but is mapped, or they do not "
                       "begin at a multiple of 64");
    if (!lies(global.initial(), global.bytes(), weightBytes))
      return malformed("its first values reach past the weights section");
  }
  std::optional<int64_t> elements =
      elementCount(dimensions(global.type().shape()));
  for (const proto::Piece &piece : global.pieces())
    if (llvm::Error error = checkPiece(piece, *elements))
      return within(std::move(error), "piece " + quoted(piece.name()));
  return llvm::Error::success();
}

/// A global that the host uses, looked up by name.
static const proto::Global *find(const proto::Plan &plan,
                                 llvm::StringRef name) {
  for (const proto::Global &global : plan.globals())
    if (global.name() == name)
      return &global;
  return nullptr;
}

/// A member lies in its flat, at a multiple of 64 elements.
static llvm::Error checkMember(const proto::Plan &plan,
                               const proto::Global &global) {
  if (global.flat().empty())
    return llvm::Error::success();
  const proto::Global *flat = find(plan, global.flat());
  if (!flat)
    return malformed("there is no flat global " + quoted(global.flat()));
  if (global.mapped() || flat->mapped() || global.has_packed() ||
      !flat->flat().empty() || flat->type().shape_size() != 1 ||
      flat->type().type() != global.type().type())
    return malformed("it cannot be a member of " + quoted(global.flat()) +
                     ", " + printTensor(flat->type()));
  uint64_t step = 64 * elementBytes(elementType(global.type().type()));
  if (global.offset() < flat->offset() ||
      !lies(global.offset() - flat->offset(), global.bytes(), flat->bytes()) ||
      (global.offset() - flat->offset()) % step != 0)
    return malformed("it is not in " + quoted(global.flat()) +
                     " at a multiple of 64 elements");
  return llvm::Error::success();
}

/// Globals that are sorted here have no byte in common.
static llvm::Error
checkOverlap(llvm::SmallVectorImpl<const proto::Global *> &globals) {
  llvm::sort(globals, [](const proto::Global *a, const proto::Global *b) {
    return a->offset() < b->offset();
  });
  for (size_t i = 1; i < globals.size(); ++i)
    if (globals[i - 1]->offset() + globals[i - 1]->bytes() >
        globals[i]->offset())
      return malformed("globals " + quoted(globals[i - 1]->name()) + " and " +
                       quoted(globals[i]->name()) + " overlap");
  return llvm::Error::success();
}

static llvm::Error checkGlobals(const proto::Plan &plan, uint64_t weightBytes) {
  llvm::StringSet<> names;
  llvm::SmallVector<const proto::Global *> allocated, members, ofModel;
  for (const proto::Global &global : plan.globals()) {
    if (global.name().empty() || !names.insert(global.name()).second)
      return malformed("the name of global " + quoted(global.name()) +
                       " is empty or taken");
    if (llvm::Error error = checkGlobal(plan, global, weightBytes))
      return within(std::move(error), "global " + quoted(global.name()));
    if (!global.mapped() && global.bytes())
      (global.flat().empty() ? allocated : members).push_back(&global);
  }
  // A member is looked up by name, once all types and names are known.
  for (const proto::Global *member : members) {
    if (llvm::Error error = checkMember(plan, *member))
      return within(std::move(error), "global " + quoted(member->name()));
    if (member->pieces_size())
      ofModel.push_back(member);
  }
  if (llvm::Error error = checkOverlap(allocated))
    return error;
  // Others may: ranges of a flat are members too.
  return checkOverlap(ofModel);
}

static llvm::Error checkInterface(const proto::Plan &plan) {
  for (bool output : {false, true})
    for (const proto::Interface &entry :
         output ? plan.outputs() : plan.inputs()) {
      const proto::Global *global = find(plan, entry.global());
      std::string what = (output ? "output " : "input ") + quoted(entry.name());
      if (!global)
        return malformed(what + ": there is no global " +
                         quoted(entry.global()));
      if (global->mapped() || global->has_packed())
        return malformed(what + ": global " + quoted(entry.global()) +
                         " is a weight");
    }
  return llvm::Error::success();
}

namespace {
/// A global that a mode's contract names; the name may be empty where optional.
struct Contract {
  llvm::StringRef field;
  const std::string &name;
  bool optional;
  std::optional<proto::ElementType> type;
  llvm::ArrayRef<int64_t> shape;
};
} // namespace

static llvm::Error checkContract(const proto::Plan &plan,
                                 const Contract &contract) {
  auto wrong = [&](const llvm::Twine &why) {
    return malformed(plan.mode() == "train"
                         ? "training." + contract.field + why
                         : "sampling." + contract.field + why);
  };
  if (contract.name.empty())
    return contract.optional ? llvm::Error::success() : wrong(" is not set");
  const proto::Global *global = find(plan, contract.name);
  std::string name = quoted(contract.name);
  if (!global)
    return wrong(": there is no global " + name);
  if (global->mapped() || global->has_packed() || !global->flat().empty())
    return wrong(": global " + name + " is a weight");
  if ((contract.type && global->type().type() != *contract.type) ||
      dimensions(global->type().shape()) != contract.shape)
    return wrong(": global " + name + " is " + printTensor(global->type()) +
                 ", expected " + (contract.type ? "" : "any type ") +
                 printShape(contract.shape));
  return llvm::Error::success();
}

static llvm::Error checkSampling(const proto::Plan &plan) {
  const proto::Sampling &sampling = plan.sampling();
  for (int64_t size : {sampling.batch(), sampling.channels(), sampling.height(),
                       sampling.width(), sampling.max_steps()})
    if (size < 1 || size > largestExtent)
      return malformed("sampling: batch, picture and steps must be at least 1");
  if (sampling.classes() < 0 || sampling.default_cfg_channels() < 0 ||
      sampling.default_cfg_channels() > sampling.channels())
    return malformed("sampling: classes or cfg channels are out of range");
  if (sampling.hoist_steps() < 0 || sampling.hoist_steps() > largestExtent)
    return malformed("sampling.hoist_steps is out of range");
  const int64_t batch[] = {sampling.batch()};
  const int64_t one[] = {1};
  const int64_t channels[] = {sampling.channels()};
  const int64_t steps[] = {sampling.max_steps()};
  const int64_t rows[] = {sampling.max_steps(), 8};
  const int64_t picture[] = {sampling.batch(), sampling.channels(),
                             sampling.height(), sampling.width()};
  const Contract contracts[] = {
      {"latent", sampling.latent(), false, proto::F32, picture},
      {"labels", sampling.labels(), sampling.classes() == 0, proto::I64, batch},
      {"pictures", sampling.pictures(), false, proto::I64, batch},
      {"seed", sampling.seed(), false, proto::I64, one},
      {"step", sampling.step(), false, proto::I64, one},
      {"timesteps", sampling.timesteps(), false, std::nullopt, steps},
      {"coefficients", sampling.coefficients(), false, proto::F32, rows},
      {"guidance", sampling.guidance(), true, proto::F32, channels},
      {"noise", sampling.noise(), true, proto::F32, picture},
      {"use_noise", sampling.use_noise(), true, proto::I64, one}};
  for (const Contract &c : contracts)
    if (llvm::Error error = checkContract(plan, c))
      return error;
  if (!sampling.model_output().empty() && !find(plan, sampling.model_output()))
    return malformed("sampling.model_output: there is no global " +
                     quoted(sampling.model_output()));
  return llvm::Error::success();
}

/// Numbers that a run takes from the plan where nobody says otherwise.
static llvm::Error checkDefaults(const proto::Training &training) {
  for (double value :
       {training.learning_rate(), training.beta1(), training.beta2(),
        training.epsilon(), training.weight_decay(), training.clip(),
        training.ema_decay(), training.label_dropout(), training.min_snr()})
    if (!(value >= 0 && value <= 1e30))
      return malformed("training: a default is negative or not finite");
  return llvm::Error::success();
}

static llvm::Error checkTraining(const proto::Plan &plan) {
  const proto::Training &t = plan.training();
  for (int64_t size :
       {t.batch(), t.channels(), t.height(), t.width(), t.timesteps()})
    if (size < 1 || size > largestExtent)
      return malformed("training: batch, picture and timesteps must be at "
                       "least 1");
  if (t.classes() < 0 || t.classes() > largestExtent)
    return malformed("training.classes is out of range");
  const proto::Global *masters = find(plan, t.masters());
  if (!masters || masters->type().shape_size() != 1)
    return malformed("training.masters: there is no flat global " +
                     quoted(t.masters()));
  const int64_t one[] = {1};
  const int64_t batch[] = {t.batch()};
  const int64_t picture[] = {t.batch(), t.channels(), t.height(), t.width()};
  const int64_t rows[] = {t.timesteps(), 5};
  const int64_t hyper[] = {8};
  llvm::ArrayRef<int64_t> flat = dimensions(masters->type().shape());
  const bool isFlow = t.schedule() == "flow";
  const proto::ElementType time = isFlow ? proto::F32 : proto::I64;
  const Contract contracts[] = {
      {"pictures", t.pictures(), false, proto::F32, picture},
      {"labels", t.labels(), t.classes() == 0, proto::I64, batch},
      {"samples", t.samples(), false, proto::I64, batch},
      {"seed", t.seed(), false, proto::I64, one},
      {"step", t.step(), false, proto::I64, one},
      {"noise", t.noise(), false, proto::F32, picture},
      {"given_t", t.given_t(), false, time, batch},
      {"use_given", t.use_given(), false, proto::I64, one},
      {"drop", t.drop(), t.classes() == 0, proto::F32, one},
      {"diffusion", t.diffusion(), isFlow, proto::F32, rows},
      {"mse", t.mse(), false, proto::F32, batch},
      {"vb", t.vb(), !t.learned_sigma(), proto::F32, batch},
      {"t", t.t(), false, time, batch},
      {"hyper", t.hyper(), false, proto::F32, hyper},
      {"loss_scale", t.loss_scale(), false, proto::F32, one},
      {"good_steps", t.good_steps(), false, proto::I64, one},
      {"applied", t.applied(), false, proto::I64, one},
      {"skipped", t.skipped(), false, proto::I64, one},
      {"gradient_norm", t.gradient_norm(), false, proto::F32, one},
      {"masters", t.masters(), false, proto::F32, flat},
      {"gradients", t.gradients(), false, proto::F32, flat},
      {"moment1", t.moment1(), false, proto::F32, flat},
      {"moment2", t.moment2(), false, proto::F32, flat},
      {"ema", t.ema(), false, proto::F32, flat},
      {"weights", t.weights(), true, std::nullopt, flat}};
  for (const Contract &c : contracts)
    if (llvm::Error error = checkContract(plan, c))
      return error;
  return checkDefaults(t);
}

static llvm::Error checkFunctions(const proto::Plan &plan) {
  llvm::StringSet<> names, steps;
  uint64_t largest = 0;
  for (const proto::Function &function : plan.functions()) {
    if (function.name().empty() || !names.insert(function.name()).second)
      return malformed("the name of function " + quoted(function.name()) +
                       " is empty or taken");
    if (!function.step().empty() && !steps.insert(function.step()).second)
      return malformed("two functions are step " + quoted(function.step()));
    if (function.arena_bytes() > plan.arena_bytes())
      return malformed("function " + quoted(function.name()) +
                       " needs a larger arena than the plan has");
    largest = std::max(largest, function.arena_bytes());
    if (llvm::Error error = validateFunction(plan, function))
      return within(std::move(error), "function " + quoted(function.name()));
  }
  if (largest != plan.arena_bytes())
    return malformed("arena_bytes is not the largest function's");
  if (plan.mode() == "forward" && !steps.contains("forward"))
    return malformed("a forward plan without a function for step 'forward'");
  if (plan.mode() == "sample" && !steps.contains("sample_step") &&
      !steps.contains("sample_step_single"))
    return malformed("a sample plan without a function for step 'sample_step' "
                     "or 'sample_step_single'");
  if (plan.mode() == "train")
    for (const char *step : {"train_init", "accumulate_first", "accumulate",
                             "prepare_update", "update"})
      if (!steps.contains(step))
        return malformed(llvm::Twine("a train plan without a function for "
                                     "step '") +
                         step + "'");
  if (plan.sampling().hoist_steps() && !steps.contains("prologue"))
    return malformed("sampling.hoist_steps without a function for step "
                     "'prologue'");
  return llvm::Error::success();
}

static llvm::Error checkImages(const proto::Plan &plan, uint64_t codeBytes) {
  for (const proto::Image &image : plan.images()) {
    if (image.kind() < proto::Image::OBJECT ||
        image.kind() > proto::Image::CUBIN)
      return malformed("unknown kind of code " + llvm::Twine(image.kind()));
    if (!lies(image.offset(), image.bytes(), codeBytes))
      return malformed("the code for " + quoted(image.arch()) +
                       " reaches past the code section");
  }
  return llvm::Error::success();
}

llvm::Error dit::plan::validate(const proto::Plan &plan, uint64_t codeBytes,
                                uint64_t weightBytes) {
  if (plan.mode() != "forward" && plan.mode() != "sample" &&
      plan.mode() != "train")
    return malformed("mode " + quoted(plan.mode()) +
                     " is none of forward, sample, train");
  constexpr uint64_t limit = uint64_t(largestExtent) * 8;
  if (plan.globals_bytes() > limit || plan.arena_bytes() > limit)
    return malformed("arena or globals are larger than any machine");
  if (llvm::Error error = checkGlobals(plan, weightBytes))
    return error;
  for (const proto::Kernel &kernel : plan.kernels())
    if (kernel.symbol().empty())
      return malformed("a kernel has no symbol");
  if (plan.kernels_size() && !codeBytes)
    return malformed("there are kernels, but the code section is empty");
  if (llvm::Error error = checkImages(plan, codeBytes))
    return error;
  if (llvm::Error error = checkInterface(plan))
    return error;
  if (plan.mode() == "sample")
    if (llvm::Error error = checkSampling(plan))
      return error;
  if (plan.mode() == "train")
    if (llvm::Error error = checkTraining(plan))
      return error;
  return checkFunctions(plan);
}
