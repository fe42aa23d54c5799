//===- Options.cpp - ditrun's command line, taken apart -------------------===//
//
// One table has every flag: its spelling, its value's name, its help and what
// it sets. Help and the nearest-name search read the same table.
//
//===----------------------------------------------------------------------===//

#include "runtime/tools/ditrun/Flags.h"

#include "runtime/plan/Failure.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace dit;
using namespace dit::runtime;
using dit::plan::Exit;
using dit::plan::failure;

/// A flag that keeps its text.
static FlagSetter text(std::optional<std::string> Options::*member) {
  return [member](Options &options, llvm::StringRef value) {
    options.*member = value.str();
    return llvm::Error::success();
  };
}

/// A flag with a whole number of at least `least`.
static FlagSetter integer(const char *name,
                          std::optional<int64_t> Options::*member,
                          int64_t least) {
  return [=](Options &options, llvm::StringRef value) {
    return takeInteger(name, value, least, anyInteger,
                       (options.*member).emplace());
  };
}

/// A flag with a number in [least, most].
static FlagSetter number(const char *name,
                         std::optional<double> Options::*member, double least,
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
  else if (value == "euler")
    options.sampler = Sampler::Euler;
  else
    return usage("--sampler '" + plan::escaped(value) +
                 "': must be ddim, ddpm or euler");
  return llvm::Error::success();
}

static llvm::Error setGuidedChannels(Options &options, llvm::StringRef value) {
  if (value == "all") {
    options.guidedChannels = -1;
    return llvm::Error::success();
  }
  return takeInteger("--cfg-channels", value, 1, anyInteger,
                     options.guidedChannels.emplace());
}

static llvm::Error setRanks(Options &, llvm::StringRef value) {
  int64_t ranks;
  if (llvm::Error error = takeInteger("--nproc", value, 1, anyInteger, ranks))
    return error;
  if (ranks == 1)
    return llvm::Error::success();
  return failure(Exit::Unsupported,
                 "--nproc " + value + ": this ditrun runs one rank");
}

/// The flags that are not about training.
static std::vector<Flag> generalFlags() {
  using O = Options;
  return {
      {"--labels", "LIST", FlagGroup::What,
       "classes: 0,1,2 or @FILE (text, .npy) or all", text(&O::labels)},
      {"--num", "N", FlagGroup::What,
       "pictures in all, spread evenly over the labels, in their order",
       integer("--num", &O::count, 1)},
      {"--sampler", "NAME", FlagGroup::How,
       "ddim (default) or ddpm; of flows euler", setSampler},
      {"--steps", "N", FlagGroup::How, "steps of the sampler (50)",
       integer("--steps", &O::steps, 1)},
      {"--cfg", "S", FlagGroup::How,
       "scale of classifier-free guidance (4); 1 runs the model once a step",
       number("--cfg", &O::guidance, 0, 1e6)},
      {"--cfg-channels", "N", FlagGroup::How,
       "guide the first N channels, or all (the plan's default)",
       setGuidedChannels},
      {"--eta", "E", FlagGroup::How, "noise of ddim, 0 (default) to 1",
       number("--eta", &O::eta, 0, 1)},
      {"--shift", "S", FlagGroup::How,
       "euler's times are S t / (1 + (S - 1) t), 1 (default): evenly spread",
       number("--shift", &O::shift, 0.01, 100)},
      {"--seed", "N", FlagGroup::How,
       "the noise of picture i depends on (seed, i) alone (0)",
       [](O &options, llvm::StringRef value) {
         return takeSeed("--seed", value, options.seed.emplace());
       }},
      {"--init-noise", "FILE", FlagGroup::How,
       "x_T [pictures, C, H, W]: .npy, or x_T of a .npz",
       text(&O::initialNoise)},
      {"--noise", "FILE", FlagGroup::How,
       "noise of each step [steps, pictures, C, H, W], largest t first: .npy, "
       "or z of a .npz",
       text(&O::stepNoise)},
      {"-o", "DIR", FlagGroup::Where,
       "folder for numbered PNG files, or for a training run",
       text(&O::folder)},
      {"--grid", "COLUMNS", FlagGroup::Where,
       "columns of the grid picture DIR-grid.png (10)",
       integer("--grid", &O::gridColumns, 1)},
      {"--save-npy", "FILE", FlagGroup::Where,
       "all pictures as fp32 [pictures, C, H, W]", text(&O::savedArray)},
      {"--input", "NAME=FILE", FlagGroup::Forward,
       "an input: .npy; FILE.npz alone gives all, as in_NAME or NAME",
       [](O &options, llvm::StringRef value) {
         options.inputs.push_back(value.str());
         return llvm::Error::success();
       }},
      {"--output", "NAME=FILE", FlagGroup::Forward, "write an output as .npy",
       [](O &options, llvm::StringRef value) {
         options.outputs.push_back(value.str());
         return llvm::Error::success();
       }},
      {"--expect", "FILE", FlagGroup::Forward,
       "compare outputs with out_NAME or NAME (pictures: x_0); exit 1 past "
       "tolerance",
       text(&O::expected)},
      {"--atol", "X", FlagGroup::Forward, "absolute tolerance (1e-4)",
       number("--atol", &O::absoluteTolerance, 0, HUGE_VAL)},
      {"--rtol", "X", FlagGroup::Forward, "relative tolerance (0)",
       number("--rtol", &O::relativeTolerance, 0, HUGE_VAL)},
      {"--bench", "SECONDS", FlagGroup::Inside,
       "time the plan: min, median, p99, throughput, FLOP/s, what bounds it",
       number("--bench", &O::benchSeconds, 0.001, 1e6)},
      {"--trace", "FILE", FlagGroup::Inside,
       "write a Chrome/Perfetto trace (JSON) of every instruction",
       text(&O::trace)},
      {"--weights", "PATH", FlagGroup::Machine,
       "a .safetensors file, or a folder with one: values for the parameters; "
       "of a checkpoint the averaged ones",
       text(&O::weights)},
      {"--threads", "N", FlagGroup::Machine, "threads (all cores)",
       [](O &options, llvm::StringRef value) {
         int64_t threads = 0;
         llvm::Error error = takeInteger("--threads", value, 1, 1024, threads);
         options.threads = threads;
         return error;
       }},
      {"--tune", "", FlagGroup::Machine,
       "on a GPU: measure the algorithms of matrix products and keep the "
       "fastest in PLAN.tuning for later runs",
       [](O &options, llvm::StringRef) {
         options.tune = true;
         return llvm::Error::success();
       }},
      {"--nproc", "N", FlagGroup::Machine, "ranks (1)", setRanks},
      {"-q", "", FlagGroup::Machine, "errors and results only",
       [](O &options, llvm::StringRef) {
         options.quiet = true;
         return llvm::Error::success();
       }},
      {"-v", "", FlagGroup::Machine, "more about what is done",
       [](O &options, llvm::StringRef) {
         options.verbose = true;
         return llvm::Error::success();
       }},
      {"--version", "", FlagGroup::Machine, "print the version",
       [](O &options, llvm::StringRef) {
         options.task = Task::Version;
         return llvm::Error::success();
       }},
      {"--help", "", FlagGroup::Machine, "print this",
       [](O &options, llvm::StringRef) {
         options.task = Task::Help;
         return llvm::Error::success();
       }}};
}

static const std::vector<Flag> &flagTable() {
  static const std::vector<Flag> table = [] {
    std::vector<Flag> flags = generalFlags();
    llvm::append_range(flags, trainingFlags());
    return flags;
  }();
  return table;
}

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
    FlagGroup group;
    const char *title;
    const char *example;
  };
  static constexpr Section sections[] = {
      {FlagGroup::What, "What to sample",
       "ditrun plan.bin --labels 0,1,2 --num 30 -o samples"},
      {FlagGroup::How, "How to sample",
       "ditrun plan.bin --labels all --sampler ddpm --steps 250 --cfg 1.5 -o "
       "s"},
      {FlagGroup::Where, "Where pictures go",
       "ditrun plan.bin --labels all -o samples --grid 5 --save-npy x.npy"},
      {FlagGroup::Training, "Training",
       "ditrun plan.bin --data DIR --train-steps 1000 --lr 1e-4 -o run"},
      {FlagGroup::Checkpoints, "Checkpoints of a training run",
       "ditrun plan.bin --data DIR --train-steps 9000 -o run --resume auto"},
      {FlagGroup::Watching, "Watching a training run",
       "ditrun plan.bin --data DIR --train-steps 9000 -o run --eval-every 500"},
      {FlagGroup::Forward, "Forward plans and comparing",
       "ditrun plan.bin --input x=x.npy --output y=y.npy --expect good.npz"},
      {FlagGroup::Inside, "Looking inside",
       "ditrun plan.bin --bench 5 --trace trace.json"},
      {FlagGroup::Machine, "Machine and messages",
       "ditrun plan.bin --labels 7 -o seven --threads 4 -q"}};
  std::string help;
  llvm::raw_string_ostream os(help);
  os << "ditrun runs a plan that ditc made: samples pictures, trains, or runs "
        "a "
        "model once.\n\n"
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
