//===- Options.cpp - ditrun's command line, taken apart -------------------===//
//
// One table has every flag: its spelling, its value's name, its help and what
// it sets. Help and the nearest-name search read the same table.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/ditrun/Options.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"

#include <cmath>
#include <functional>
#include <limits>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

static llvm::Error usage(const llvm::Twine &message) {
  return failure(Exit::Usage, message + "; ditrun --help lists the flags");
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// A whole number in [least, most].
template <typename T>
static llvm::Error takeInteger(llvm::StringRef flag, llvm::StringRef text,
                               T least, T most, T &value) {
  if (!text.getAsInteger(10, value) && value >= least && value <= most)
    return llvm::Error::success();
  std::string range =
      most == std::numeric_limits<T>::max()
          ? "of at least " + std::to_string(least)
          : "from " + std::to_string(least) + " to " + std::to_string(most);
  return usage(flag + " '" + plan::escaped(text) +
               "': must be a whole number " + range);
}

/// A finite number in [least, most].
static llvm::Error takeNumber(llvm::StringRef flag, llvm::StringRef text,
                              double least, double most, double &value) {
  if (!text.getAsDouble(value) && std::isfinite(value) && value >= least &&
      value <= most)
    return llvm::Error::success();
  std::string range;
  llvm::raw_string_ostream(range)
      << (most == HUGE_VAL ? llvm::format("of at least %g", least)
                           : llvm::format("from %g", least));
  if (most != HUGE_VAL)
    llvm::raw_string_ostream(range) << llvm::format(" to %g", most);
  return usage(flag + " '" + plan::escaped(text) + "': must be a number " +
               (least == -HUGE_VAL ? std::string("that is finite") : range));
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {

enum class Group { What, How, Where, Forward, Inside, Machine };

/// One flag. `value` is empty for flags without one.
struct Flag {
  const char *name;
  const char *value;
  Group group;
  const char *help;
  std::function<llvm::Error(Options &options, llvm::StringRef text)> set;
};

} // namespace

static constexpr int64_t anyInteger = std::numeric_limits<int64_t>::max();

/// A flag that keeps its text.
static std::function<llvm::Error(Options &, llvm::StringRef)>
text(std::optional<std::string> Options::*member) {
  return [member](Options &options, llvm::StringRef value) {
    options.*member = value.str();
    return llvm::Error::success();
  };
}

/// A flag with a whole number of at least `least`.
static std::function<llvm::Error(Options &, llvm::StringRef)>
integer(const char *name, std::optional<int64_t> Options::*member,
        int64_t least) {
  return [=](Options &options, llvm::StringRef value) {
    return takeInteger<int64_t>(name, value, least, anyInteger,
                                (options.*member).emplace());
  };
}

/// A flag with a number in [least, most].
static std::function<llvm::Error(Options &, llvm::StringRef)>
number(const char *name, std::optional<double> Options::*member, double least,
       double most) {
  return [=](Options &options, llvm::StringRef value) {
    return takeNumber(name, value, least, most, (options.*member).emplace());
  };
}

static llvm::Error setSampler(Options &options, llvm::StringRef value) {
  if (value == "ddim")
    options.sampler = Sampler::Ddim;
  else if (value == "ddpm")
    options.sampler = Sampler::Ddpm;
  else
    return usage("--sampler '" + plan::escaped(value) +
                 "': must be ddim or ddpm");
  return llvm::Error::success();
}

static llvm::Error setGuidedChannels(Options &options, llvm::StringRef value) {
  if (value == "all") {
    options.guidedChannels = -1;
    return llvm::Error::success();
  }
  return takeInteger<int64_t>("--cfg-channels", value, 1, anyInteger,
                              options.guidedChannels.emplace());
}

static llvm::Error setRanks(Options &, llvm::StringRef value) {
  int64_t ranks;
  if (llvm::Error error =
          takeInteger<int64_t>("--nproc", value, 1, anyInteger, ranks))
    return error;
  if (ranks == 1)
    return llvm::Error::success();
  return failure(Exit::Unsupported,
                 "--nproc " + value + ": this ditrun runs one rank");
}

static const std::vector<Flag> &flagTable() {
  using O = Options;
  static const std::vector<Flag> table = {
      {"--labels", "LIST", Group::What,
       "classes: 0,1,2 or @FILE (text, .npy) or all", text(&O::labels)},
      {"--num", "N", Group::What,
       "pictures in all, spread evenly over the labels, in their order",
       integer("--num", &O::count, 1)},
      {"--sampler", "NAME", Group::How, "ddim (default) or ddpm", setSampler},
      {"--steps", "N", Group::How, "steps of the sampler (50)",
       integer("--steps", &O::steps, 1)},
      {"--cfg", "S", Group::How,
       "scale of classifier-free guidance (4); 1 runs the model once a step",
       number("--cfg", &O::guidance, 0, 1e6)},
      {"--cfg-channels", "N", Group::How,
       "guide the first N channels, or all (the plan's default)",
       setGuidedChannels},
      {"--eta", "E", Group::How, "noise of ddim, 0 (default) to 1",
       number("--eta", &O::eta, 0, 1)},
      {"--seed", "N", Group::How,
       "the noise of picture i depends on (seed, i) alone (0)",
       [](O &options, llvm::StringRef value) {
         return takeInteger<uint64_t>("--seed", value, 0, ~uint64_t(0),
                                      options.seed.emplace());
       }},
      {"--init-noise", "FILE", Group::How,
       "x_T [pictures, C, H, W]: .npy, or x_T of a .npz",
       text(&O::initialNoise)},
      {"--noise", "FILE", Group::How,
       "noise of each step [steps, pictures, C, H, W], largest t first: .npy, "
       "or z of a .npz",
       text(&O::stepNoise)},
      {"-o", "DIR", Group::Where, "folder for numbered PNG files",
       text(&O::folder)},
      {"--grid", "COLUMNS", Group::Where,
       "columns of the grid picture DIR-grid.png (10)",
       integer("--grid", &O::gridColumns, 1)},
      {"--save-npy", "FILE", Group::Where,
       "all pictures as fp32 [pictures, C, H, W]", text(&O::savedArray)},
      {"--input", "NAME=FILE", Group::Forward,
       "an input: .npy; FILE.npz alone gives all, as in_NAME or NAME",
       [](O &options, llvm::StringRef value) {
         options.inputs.push_back(value.str());
         return llvm::Error::success();
       }},
      {"--output", "NAME=FILE", Group::Forward, "write an output as .npy",
       [](O &options, llvm::StringRef value) {
         options.outputs.push_back(value.str());
         return llvm::Error::success();
       }},
      {"--expect", "FILE", Group::Forward,
       "compare outputs with out_NAME or NAME (pictures: x_0); exit 1 past "
       "tolerance",
       text(&O::expected)},
      {"--atol", "X", Group::Forward, "absolute tolerance (1e-4)",
       number("--atol", &O::absoluteTolerance, 0, HUGE_VAL)},
      {"--rtol", "X", Group::Forward, "relative tolerance (0)",
       number("--rtol", &O::relativeTolerance, 0, HUGE_VAL)},
      {"--bench", "SECONDS", Group::Inside,
       "time the plan: min, median, p99, throughput, FLOP/s, what bounds it",
       number("--bench", &O::benchSeconds, 0.001, 1e6)},
      {"--trace", "FILE", Group::Inside,
       "write a Chrome/Perfetto trace (JSON) of every instruction",
       text(&O::trace)},
      {"--threads", "N", Group::Machine, "threads (all cores)",
       [](O &options, llvm::StringRef value) {
         return takeInteger<unsigned>("--threads", value, 1, 1024,
                                      options.threads);
       }},
      {"--tune", "", Group::Machine,
       "on a GPU: measure the algorithms of matrix products and keep the "
       "fastest in PLAN.tuning for later runs",
       [](O &options, llvm::StringRef) {
         options.tune = true;
         return llvm::Error::success();
       }},
      {"--nproc", "N", Group::Machine, "ranks (1)", setRanks},
      {"-q", "", Group::Machine, "errors and results only",
       [](O &options, llvm::StringRef) {
         options.quiet = true;
         return llvm::Error::success();
       }},
      {"-v", "", Group::Machine, "more about what is done",
       [](O &options, llvm::StringRef) {
         options.verbose = true;
         return llvm::Error::success();
       }},
      {"--version", "", Group::Machine, "print the version",
       [](O &options, llvm::StringRef) {
         options.task = Task::Version;
         return llvm::Error::success();
       }},
      {"--help", "", Group::Machine, "print this",
       [](O &options, llvm::StringRef) {
         options.task = Task::Help;
         return llvm::Error::success();
       }}};
  return table;
}

/// Flags of train plans, which this ditrun does not run.
static constexpr llvm::StringLiteral trainingFlags[] = {
    "--data",       "--dataset",       "--train-steps",  "--lr",
    "--warmup",     "--global-batch",  "--save-every",   "--keep",
    "--resume",     "--log-every",     "--sample-every", "--eval-every",
    "--batch-file", "--save-gradients"};

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

static llvm::Error unknownFlag(llvm::StringRef name) {
  std::string nearest;
  unsigned best = 4; // further away is no misspelling
  for (const Flag &flag : flagTable()) {
    unsigned distance = name.edit_distance(flag.name, true, best);
    if (distance < best) {
      best = distance;
      nearest = flag.name;
    }
  }
  return usage("unknown flag '" + plan::escaped(name) + "'" +
               (nearest.empty() ? "" : ": did you mean " + nearest + "?"));
}

static llvm::Error parseFlag(Options &options, llvm::StringRef name,
                             std::optional<llvm::StringRef> attached,
                             llvm::ArrayRef<llvm::StringRef> &rest) {
  if (llvm::is_contained(trainingFlags, name))
    return failure(Exit::Unsupported,
                   name + " belongs to train plans, which this ditrun does "
                          "not run; it runs forward and sample plans");
  if (name == "-h")
    name = "--help";
  auto flag = llvm::find_if(
      flagTable(), [&](const Flag &flag) { return name == flag.name; });
  if (flag == flagTable().end())
    return unknownFlag(name);
  options.given.push_back(name.str());
  if (!*flag->value) {
    if (attached)
      return usage(name + " takes no value");
    return flag->set(options, "");
  }
  if (!attached) {
    if (rest.empty())
      return usage(name + " needs a value: " + name + " " + flag->value);
    attached = rest.front();
    rest = rest.drop_front();
  }
  if (attached->empty())
    return usage(name + " needs a value: " + name + " " + flag->value);
  return flag->set(options, *attached);
}

llvm::Expected<Options>
dit::runtime::parseOptions(llvm::ArrayRef<llvm::StringRef> arguments) {
  Options options;
  std::vector<std::string> names;
  llvm::ArrayRef<llvm::StringRef> rest = arguments;
  while (!rest.empty()) {
    llvm::StringRef argument = rest.front();
    rest = rest.drop_front();
    if (!argument.starts_with("-") || argument == "-") {
      names.push_back(argument.str());
      continue;
    }
    std::optional<llvm::StringRef> attached;
    if (size_t equal = argument.find('='); equal != llvm::StringRef::npos) {
      attached = argument.drop_front(equal + 1);
      argument = argument.take_front(equal);
    }
    if (llvm::Error error = parseFlag(options, argument, attached, rest))
      return std::move(error);
  }
  if (options.task != Task::Run)
    return options;
  if (!names.empty()) {
    Task task = llvm::StringSwitch<Task>(names[0])
                    .Case("inspect", Task::Inspect)
                    .Case("verify", Task::Verify)
                    .Case("doctor", Task::Doctor)
                    .Case("help", Task::Help)
                    .Default(Task::Run);
    if (task != Task::Run)
      names.erase(names.begin());
    options.task = task;
  }
  if (options.task == Task::Doctor || options.task == Task::Help)
    return options;
  if (names.empty())
    return usage("which plan? ditrun PLAN");
  if (names.size() > 1)
    return usage("one plan at a time: '" + plan::escaped(names[1]) +
                 "' is one too many");
  options.plan = names[0];
  return options;
}

//===----------------------------------------------------------------------===//
// Help
//===----------------------------------------------------------------------===//

std::string dit::runtime::helpText() {
  struct Section {
    Group group;
    const char *title;
    const char *example;
  };
  static constexpr Section sections[] = {
      {Group::What, "What to sample",
       "ditrun plan.bin --labels 0,1,2 --num 30 -o samples"},
      {Group::How, "How to sample",
       "ditrun plan.bin --labels all --sampler ddpm --steps 250 --cfg 1.5 -o "
       "s"},
      {Group::Where, "Where pictures go",
       "ditrun plan.bin --labels all -o samples --grid 5 --save-npy x.npy"},
      {Group::Forward, "Forward plans and comparing",
       "ditrun plan.bin --input x=x.npy --output y=y.npy --expect good.npz"},
      {Group::Inside, "Looking inside",
       "ditrun plan.bin --bench 5 --trace trace.json"},
      {Group::Machine, "Machine and messages",
       "ditrun plan.bin --labels 7 -o seven --threads 4 -q"}};
  std::string help;
  llvm::raw_string_ostream os(help);
  os << "ditrun runs a plan that ditc made: samples pictures, or runs a model "
        "once.\n\n"
        "  ditrun PLAN [flags]       run it\n"
        "  ditrun inspect PLAN       print it as text\n"
        "  ditrun verify PLAN        check that it is whole\n"
        "  ditrun doctor             what this machine has\n";
  for (const Section &section : sections) {
    os << "\n" << section.title << "\n  e.g. " << section.example << "\n";
    for (const Flag &flag : flagTable()) {
      if (flag.group != section.group)
        continue;
      std::string spelling = std::string(flag.name) + " " + flag.value;
      os << llvm::format("  %-20s ", spelling.c_str()) << flag.help << "\n";
    }
  }
  os << "\nA plan contains code: run only plans that you trust.\n"
        "Exit codes: 0 done, 1 differs, 3 not finite, 64 usage, 65 malformed, "
        "66 missing,\n69 unsupported, 71 out of memory, 73 cannot create, 74 "
        "I/O, 75 stopped, 77 refused,\n78 contradiction.\n";
  return help;
}
