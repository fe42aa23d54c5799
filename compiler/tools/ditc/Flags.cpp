//===- Flags.cpp - ditc's command line ------------------------------------===//
#include "compiler/tools/ditc/Flags.h"

#include "compiler/codegen/gpu/GpuTarget.h"
#include "compiler/tools/ditc/FlagValues.h"
#include "runtime/plan/Failure.h"

#include "llvm/Option/ArgList.h"
#include "llvm/Option/OptTable.h"
#include "llvm/Option/Option.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace llvm::opt;
using dit::choose;
using dit::parseNumber;
using dit::parseReal;
using dit::parseSize;
using dit::parseTimestepSampling;
using dit::plan::Exit;
using dit::plan::failure;

namespace {

enum Id {
  OPT_INVALID = 0,
#define OPTION(...) LLVM_MAKE_OPT_ID(__VA_ARGS__),
#include "compiler/tools/ditc/Options.inc"
#undef OPTION
};

#define OPTTABLE_STR_TABLE_CODE
#include "compiler/tools/ditc/Options.inc"
#undef OPTTABLE_STR_TABLE_CODE

#define OPTTABLE_PREFIXES_TABLE_CODE
#include "compiler/tools/ditc/Options.inc"
#undef OPTTABLE_PREFIXES_TABLE_CODE

constexpr OptTable::Info infoTable[] = {
#define OPTION(...) LLVM_CONSTRUCT_OPT_INFO(__VA_ARGS__),
#include "compiler/tools/ditc/Options.inc"
#undef OPTION
};

struct DitcTable : GenericOptTable {
  DitcTable()
      : GenericOptTable(OptionStrTable, OptionPrefixesTable, infoTable) {}
};

constexpr const char *examples = R"(
examples:
  ditc model.onnx -o plan.bin                  a denoiser's plan that samples
  ditc model.onnx --batch 16 --precision bf16 -o plan.bin
  ditc dit:DiT-S/2 --image-size 256 -o plan.bin
  ditc model.onnx --train -o train.bin         a plan that trains it
  ditc model.onnx --dry-run                    memory, FLOPs and launches
  ditc model.onnx --compile-to fusion          the IR after a phase
)";

} // namespace

/// Refuses what the command line names but this version cannot do.
static Error checkImplemented(const InputArgList &arguments) {
  std::vector<std::string> missing;
  for (const Arg *argument : arguments) {
    Option group = argument->getOption().getGroup();
    if (group.isValid() && group.getID() == OPT_grp_later)
      missing.push_back(argument->getSpelling().rtrim('=').str());
  }
  if (arguments.getLastArgValue(OPT_precision) == "fp8")
    missing.push_back("--precision fp8");
  if (missing.empty())
    return Error::success();
  return failure(
      Exit::Unsupported,
      "not supported yet: " + join(missing, ", ") +
          ". This version makes sample, train and forward plans for one rank");
}

/// Reads --target, and what it decides.
static Error readTarget(const InputArgList &arguments, dit::Flags &flags) {
  dit::CompileOptions &compile = flags.compile;
  StringRef target = arguments.getLastArgValue(OPT_target, "cpu");
  if (target.consume_front("cuda")) {
    // cuda:sm_80,sm_90 or cuda:sm_80,cuda:sm_90
    SmallVector<StringRef> names;
    target.split(names, ',');
    for (StringRef name : names) {
      name.consume_front("cuda");
      name.consume_front(":");
      Expected<dit::codegen::GpuTarget> gpu =
          dit::codegen::GpuTarget::resolve(name);
      if (!gpu)
        return dit::plan::within(gpu.takeError(), "--target cuda:" + name);
      if (!is_contained(compile.gpus, gpu->arch))
        compile.gpus.push_back(gpu->arch);
    }
    if (arguments.hasArg(OPT_cpu))
      return failure(Exit::Contradiction,
                     "--cpu names a processor, but --target is a GPU");
  } else if (target != "cpu") {
    return failure(Exit::Usage,
                   "--target " + target + ": expected cpu or cuda:sm_90");
  }
  compile.pipeline.isForGpu = !compile.gpus.empty();
  compile.pipeline.isForSm90 =
      compile.gpus == std::vector<std::string>{"sm_90"};
  StringRef form = arguments.getLastArgValue(OPT_emit);
  if (form == "ptx" && !compile.pipeline.isForGpu)
    return failure(Exit::Contradiction,
                   "--emit ptx needs a GPU: add --target cuda:sm_90");
  if (form == "llvm" && compile.pipeline.isForGpu)
    return failure(Exit::Unsupported,
                   "--emit llvm is there for the CPU only; see --emit ptx");
  return Error::success();
}

/// Reads a regular expression of parameters' names.
static Error readPattern(const InputArgList &arguments, Id id, StringRef flag,
                         std::string &place) {
  if (!arguments.hasArg(id))
    return Error::success();
  place = arguments.getLastArgValue(id).str();
  std::string problem;
  if (place.empty() || !Regex(place).isValid(problem))
    return failure(Exit::Usage, "--" + flag + " '" + dit::plan::escaped(place) +
                                    "': expected a regular expression of "
                                    "parameters' names" +
                                    (problem.empty() ? "" : ": " + problem));
  return Error::success();
}

/// Reads the flags of training. They contradict every other mode.
static Error readTraining(const InputArgList &arguments, dit::Mode mode,
                          dit::TrainingOptions &training) {
  std::vector<std::string> given;
  for (const Arg *argument : arguments)
    if (Option group = argument->getOption().getGroup();
        group.isValid() && group.getID() == OPT_grp_train)
      given.push_back(argument->getSpelling().rtrim('=').str());
  if (!given.empty() && mode != dit::Mode::Train)
    return failure(Exit::Contradiction,
                   join(given, ", ") + (given.size() == 1 ? " is" : " are") +
                       " for train plans: add --train, or leave " +
                       (given.size() == 1 ? "it" : "them") + " out");
  auto text = [&](Id id) { return arguments.getLastArgValue(id); };
  auto read = [&](Id id, StringRef flag, double low, double high,
                  double &place) -> Error {
    if (!arguments.hasArg(id))
      return Error::success();
    Expected<double> value = parseReal(flag, text(id), low, high);
    if (!value)
      return value.takeError();
    place = *value;
    return Error::success();
  };
  if (arguments.hasArg(OPT_betas)) {
    auto [first, second] = text(OPT_betas).split(',');
    Expected<double> beta1 = parseReal("betas", first, 0, 0.9999999);
    if (!beta1)
      return beta1.takeError();
    Expected<double> beta2 = parseReal("betas", second, 0, 0.9999999);
    if (!beta2)
      return beta2.takeError();
    training.beta1 = *beta1;
    training.beta2 = *beta2;
  }
  if (arguments.hasArg(OPT_optimizer))
    if (auto name = choose("optimizer", text(OPT_optimizer), "adamw"); !name)
      return name.takeError();
  if (arguments.hasArg(OPT_recompute)) {
    auto what = choose("recompute", text(OPT_recompute), "none block auto");
    if (!what)
      return what.takeError();
    training.recompute = *what;
  }
  if (arguments.hasArg(OPT_residual)) {
    auto type = choose("residual", text(OPT_residual), "fp32 bf16");
    if (!type)
      return type.takeError();
    training.lowResidual = *type == "bf16";
  }
  if (Error error = read(OPT_eps, "eps", 0, 1, training.epsilon))
    return error;
  if (Error error =
          read(OPT_weight_decay, "weight-decay", 0, 1e6, training.weightDecay))
    return error;
  if (Error error = read(OPT_clip, "clip", 0, 1e30, training.clip))
    return error;
  if (Error error = read(OPT_ema, "ema", 0, 1, training.emaDecay))
    return error;
  if (Error error = read(OPT_min_snr, "min-snr", 0, 1e6, training.minSnr))
    return error;
  if (arguments.hasArg(OPT_timestep_sampling))
    if (Error error =
            parseTimestepSampling(text(OPT_timestep_sampling), training))
      return error;
  if (Error error = readPattern(arguments, OPT_trainable, "trainable",
                                training.trainable))
    return error;
  return readPattern(arguments, OPT_freeze, "freeze", training.freeze);
}

/// Reads what the model predicts. A flow's velocity and a flow's schedule go
/// together: one of the flags is enough.
static Error readPrediction(const InputArgList &arguments,
                            dit::PipelineOptions &pipeline) {
  const bool isFlow = arguments.getLastArgValue(OPT_prediction) == "flow" ||
                      arguments.getLastArgValue(OPT_schedule) == "flow";
  auto read = [&](Id id, StringRef flag, StringRef choices, StringRef otherwise,
                  std::string &place) -> Error {
    Expected<std::string> value =
        choose(flag, arguments.getLastArgValue(id, otherwise), choices);
    if (!value)
      return value.takeError();
    place = *value;
    return Error::success();
  };
  if (Error error = read(OPT_schedule, "schedule", "ddpm-linear flow",
                         isFlow ? "flow" : "ddpm-linear", pipeline.schedule))
    return error;
  if (Error error = read(OPT_prediction, "prediction", "eps v flow",
                         isFlow ? "flow" : "eps", pipeline.prediction))
    return error;
  if (Error error = read(OPT_learned_sigma, "learned-sigma", "auto yes no",
                         "auto", pipeline.learnedSigma))
    return error;
  if ((pipeline.prediction == "flow") != (pipeline.schedule == "flow"))
    return failure(Exit::Contradiction,
                   "--prediction " + pipeline.prediction + " and --schedule " +
                       pipeline.schedule +
                       ": a flow's velocity is told for the schedule flow "
                       "alone; leave one of them out");
  return Error::success();
}

/// Reads the flags that name a choice or a number into `flags`.
static Error readValues(const InputArgList &arguments, dit::Flags &flags) {
  auto text = [&](Id id, StringRef otherwise = "") {
    return arguments.getLastArgValue(id, otherwise);
  };
  auto take = [](auto &place, auto expected) -> Error {
    if (!expected)
      return expected.takeError();
    place = *expected;
    return Error::success();
  };
  dit::PipelineOptions &pipeline = flags.compile.pipeline;
  if (arguments.hasArg(OPT_batch))
    if (Error error =
            take(flags.batch, parseNumber("batch", text(OPT_batch), 1, 65536)))
      return error;
  if (arguments.hasArg(OPT_image_size))
    if (Error error =
            take(flags.imageSize,
                 parseNumber("image-size", text(OPT_image_size), 8, 65536)))
      return error;
  if (Error error = readTarget(arguments, flags))
    return error;
  if (Error error =
          take(pipeline.precision,
               choose("precision",
                      text(OPT_precision, pipeline.isForGpu ? "bf16" : "fp32"),
                      "fp32 bf16 fp16")))
    return error;
  if (Error error = readPrediction(arguments, pipeline))
    return error;
  if (arguments.hasArg(OPT_emit))
    if (Error error = take(flags.emit, choose("emit", text(OPT_emit),
                                              "dit plan llvm asm ptx")))
      return error;
  if (flags.emit == "dit")
    pipeline.lastPhase = dit::Phase::Fusion;
  if (arguments.hasArg(OPT_hoist_steps))
    if (Error error =
            take(pipeline.hoistSteps,
                 parseNumber("hoist-steps", text(OPT_hoist_steps), 0, 1000)))
      return error;
  if (arguments.hasArg(OPT_memory))
    if (Error error =
            take(flags.compile.memoryLimit, parseSize(text(OPT_memory))))
      return error;
  if (arguments.hasArg(OPT_compile_to)) {
    auto phase = dit::parsePhase(text(OPT_compile_to));
    if (!phase)
      return choose("compile-to", text(OPT_compile_to),
                    "import simplify precision program recompute fusion "
                    "lowering memory")
          .takeError();
    pipeline.lastPhase = *phase;
    flags.emit = "dit";
  }
  for (StringRef pair : arguments.getAllArgValues(OPT_dim)) {
    auto [name, value] = pair.rsplit('=');
    Expected<int64_t> size = parseNumber("dim", value, 1, int64_t(1) << 40);
    if (name.empty() || !size) {
      consumeError(size.takeError());
      return failure(Exit::Usage, "--dim " + pair + ": expected NAME=SIZE");
    }
    flags.dims[name] = *size;
  }
  if (arguments.hasArg(OPT_init)) {
    StringRef seed = text(OPT_init);
    uint64_t value;
    if (!seed.consume_front("dit:") || seed.getAsInteger(10, value))
      return failure(Exit::Usage,
                     "--init " + text(OPT_init) + ": expected dit:SEED");
    flags.initSeed = value;
  }
  return Error::success();
}

/// Reads what the plan is to do, and what only that can be told.
static Error readMode(const InputArgList &arguments, dit::Flags &flags) {
  dit::PipelineOptions &pipeline = flags.compile.pipeline;
  bool train = arguments.hasArg(OPT_train);
  flags.modeGiven = train || arguments.hasArg(OPT_mode);
  if (flags.modeGiven) {
    Expected<std::string> mode =
        choose("mode", arguments.getLastArgValue(OPT_mode, "train"),
               "sample forward train");
    if (!mode)
      return mode.takeError();
    if (train && *mode != "train")
      return failure(Exit::Contradiction, "--train and --mode " + *mode +
                                              ": a plan does one of them");
    pipeline.mode = *mode == "sample"  ? dit::Mode::Sample
                    : *mode == "train" ? dit::Mode::Train
                                       : dit::Mode::Forward;
  }
  if (Error error = readTraining(arguments, pipeline.mode, pipeline.training))
    return error;
  if (pipeline.mode == dit::Mode::Train && pipeline.learnedSigma == "yes" &&
      pipeline.prediction != "eps")
    return failure(
        Exit::Contradiction,
        "--learned-sigma yes is trained with --prediction eps, not " +
            pipeline.prediction + ": the variance's loss is one of the noise");
  if (pipeline.training.minSnr > 0 && pipeline.prediction == "flow")
    return failure(Exit::Contradiction,
                   "--min-snr weighs the noise of a schedule, for eps and v; a "
                   "flow has --timestep-sampling logit-normal instead");
  if (pipeline.training.lowResidual && pipeline.precision != "bf16")
    return failure(Exit::Contradiction,
                   "--residual bf16 goes with --precision bf16, not " +
                       pipeline.precision);
  return Error::success();
}

/// The command line as the plan keeps it: no paths, so that the same model and
/// flags give the same bytes anywhere.
static std::vector<std::string> spell(const InputArgList &arguments) {
  std::vector<std::string> spelled;
  for (const Arg *argument : arguments) {
    unsigned id = argument->getOption().getID();
    if (id == OPT_INPUT || id == OPT_output || id == OPT_quiet ||
        id == OPT_verbose)
      continue;
    spelled.push_back(argument->getSpelling().rtrim('=').str());
    for (const char *value : argument->getValues())
      spelled.push_back(id == OPT_weights ? sys::path::filename(value).str()
                                          : value);
  }
  return spelled;
}

Expected<dit::Flags> dit::parseFlags(ArrayRef<const char *> arguments,
                                     bool &helpShown) {
  DitcTable table;
  unsigned missingIndex = 0, missingCount = 0;
  InputArgList parsed = table.ParseArgs(arguments, missingIndex, missingCount);
  helpShown = parsed.hasArg(OPT_help) || parsed.hasArg(OPT_version);
  Flags flags;
  if (parsed.hasArg(OPT_help)) {
    table.printHelp(outs(), "ditc MODEL [flags]",
                    "compiles a Diffusion Transformer into one plan file");
    outs() << examples;
    return flags;
  }
  if (parsed.hasArg(OPT_version)) {
    outs() << "ditc " DIT_VERSION "\n";
    return flags;
  }
  if (missingCount)
    return failure(Exit::Usage, Twine(parsed.getArgString(missingIndex)) +
                                    " needs a value; see ditc --help");
  for (const Arg *unknown : parsed.filtered(OPT_UNKNOWN)) {
    std::string spelling = unknown->getAsString(parsed), nearest;
    bool near = table.findNearest(spelling, nearest) <= 3;
    return failure(Exit::Usage,
                   "no flag " + spelling +
                       (near ? "; did you mean " + nearest + "?" : "") +
                       " See ditc --help");
  }
  if (Error error = checkImplemented(parsed))
    return std::move(error);
  if (Error error = readValues(parsed, flags))
    return std::move(error);

  flags.printPipeline = parsed.hasArg(OPT_print_pipeline);
  std::vector<std::string> models = parsed.getAllArgValues(OPT_INPUT);
  if (models.size() != 1 && !flags.printPipeline)
    return failure(
        Exit::Usage,
        models.empty()
            ? "no model given: ditc MODEL.onnx -o plan.bin, or ditc dit:DiT-S/2"
            : "one model at a time, but " + join(models, " and ") +
                  " are given");
  flags.model = models.empty() ? "" : models.front();
  flags.output = parsed.getLastArgValue(OPT_output).str();
  flags.weights = parsed.getLastArgValue(OPT_weights).str();
  if (parsed.hasArg(OPT_input_map)) {
    SmallVector<StringRef> names;
    parsed.getLastArgValue(OPT_input_map).split(names, ',');
    flags.modelInputs.assign(names.begin(), names.end());
  }
  flags.asIs = parsed.hasArg(OPT_as_is);
  flags.dryRun = parsed.hasArg(OPT_dry_run);
  flags.quiet = parsed.hasArg(OPT_quiet);
  flags.verbose = parsed.hasArg(OPT_verbose);
  flags.optReportJson = parsed.hasArg(OPT_opt_report_json);
  CompileOptions &compile = flags.compile;
  compile.cpu = parsed.getLastArgValue(OPT_cpu, "native").str();
  compile.pipeline.report =
      parsed.hasArg(OPT_opt_report) || flags.optReportJson;
  flags.timing = parsed.hasArg(OPT_timing);
  compile.pipeline.printAfter = parsed.getAllArgValues(OPT_print_ir_after);
  if (Error error = readMode(parsed, flags))
    return std::move(error);
  if (flags.output.empty() && flags.emit.empty() && !flags.dryRun &&
      !flags.printPipeline)
    return failure(Exit::Usage,
                   "nowhere to write: give -o PLAN, --dry-run or --emit");
  compile.flags = spell(parsed);
  return flags;
}
