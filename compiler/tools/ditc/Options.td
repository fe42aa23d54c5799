//===- Options.td - ditc's command line -------------------*- tablegen -*-===//
include "llvm/Option/OptParser.td"

class Flag1<string name, string help> : Flag<["--"], name>, HelpText<help>;
/// `--name VALUE` and `--name=VALUE`.
multiclass Value<string name, string meta, string help> {
  def NAME : Separate<["--"], name>, HelpText<help>, MetaVarName<meta>;
  def NAME#_eq : Joined<["--"], name#"=">, Alias<!cast<Separate>(NAME)>;
}

def grp_what : OptionGroup<"what">, HelpText<"What to compile">;
def grp_weights : OptionGroup<"weights">, HelpText<"Weights">;
def grp_model : OptionGroup<"model">, HelpText<"What the model is (guessed, and printed)">;
def grp_train : OptionGroup<"train">, HelpText<"Training">;
def grp_look : OptionGroup<"look">, HelpText<"Looking inside">;
def grp_later : OptionGroup<"later">;

let Group = grp_what in {
  def output : Separate<["-"], "o">, HelpText<"where the plan goes">, MetaVarName<"PLAN">;
  defm mode : Value<"mode", "MODE", "sample (a denoiser's default), forward, train">;
  def train : Flag1<"train", "the same as --mode train">;
  defm batch : Value<"batch", "N", "pictures in one execution; under guidance the model sees 2 N (default 8)">;
  defm dim : Value<"dim", "NAME=N", "a value for a symbolic dimension">;
  defm target : Value<"target", "TARGET", "cpu (default), or cuda:sm_80, sm_89, sm_90, sm_100, several separated by commas">;
  defm cpu : Value<"cpu", "CPU", "native (default), x86-64-v3, x86-64-v4 or an LLVM processor name">;
  defm precision : Value<"precision", "TYPE", "fp32 (default on cpu), bf16 (default on cuda), fp16">;
  defm hoist_steps : Value<"hoist-steps", "K", "sampling: compute what depends on timestep and label alone for K steps at once; 0: step by step (default: chosen, and printed)">;
  defm memory : Value<"memory", "SIZE", "refuse a plan whose peak is larger: 80GB, 512MiB; what --recompute auto fits into">;
  defm image_size : Value<"image-size", "N", "built-in models: pictures of N x N (latents N/8; default 256)">;
}
let Group = grp_weights in {
  defm weights : Value<"weights", "FILE", "safetensors file or folder that replaces the weights by name">;
  defm init : Value<"init", "dit:SEED", "draw all parameters anew, as DiT does">;
}
let Group = grp_model in {
  defm schedule : Value<"schedule", "NAME", "ddpm-linear (default), flow">;
  defm prediction : Value<"prediction", "WHAT", "eps (default), v, or flow, which goes with --schedule flow: one of both is enough">;
  defm learned_sigma : Value<"learned-sigma", "auto|yes|no", "whether the model predicts its variance">;
  defm input_map : Value<"inputs", "PICTURE,TIMESTEP,LABELS", "the denoiser's inputs by name">;
}
let Group = grp_train in {
  defm optimizer : Value<"optimizer", "NAME", "adamw">;
  defm betas : Value<"betas", "B1,B2", "AdamW's decays (default 0.9,0.999)">;
  defm eps : Value<"eps", "E", "AdamW's epsilon (default 1e-8)">;
  defm weight_decay : Value<"weight-decay", "W", "AdamW's decay of weights (default 0)">;
  defm ema : Value<"ema", "D", "decay of the averaged weights (default 0.9999)">;
  defm clip : Value<"clip", "NORM", "largest norm of the gradients; 0 (default): any">;
  defm timestep_sampling : Value<"timestep-sampling", "HOW", "how t is drawn: uniform (default), logit-normal[:MEAN,STD] (0,1)">;
  defm min_snr : Value<"min-snr", "GAMMA", "weigh the mean square by min(SNR, GAMMA) / SNR, of prediction v by / (SNR + 1); 0 (default): no weights">;
  defm residual : Value<"residual", "TYPE", "the residual stream: fp32 (default), bf16">;
  defm recompute : Value<"recompute", "WHAT", "what the gradient computes again: none (default), block: of each block all but its input, or auto: as much as --memory makes necessary, without --memory nothing">;
  def as_is : Flag1<"as-is", "take the file literally: parameters that the exporter merged are trained as one, those that it dropped are not there">;
  defm trainable : Value<"trainable", "REGEX", "train parameters with such names alone">;
  defm freeze : Value<"freeze", "REGEX", "do not train parameters with such names">;
}
let Group = grp_look in {
  defm compile_to : Value<"compile-to", "PHASE", "stop after import, simplify, precision, program, recompute, fusion, lowering or memory and print the IR">;
  defm emit : Value<"emit", "FORM", "print dit, plan, llvm, asm or ptx instead of writing a plan">;
  defm print_ir_after : Value<"print-ir-after", "PASS", "print the IR after a pass (stderr)">;
  def print_pipeline : Flag1<"print-pipeline", "print the passes of every phase and stop">;
  def timing : Flag1<"timing", "print where the time went">;
  def opt_report : Flag1<"opt-report", "print what was recognised, fused and refused, and why">;
  def opt_report_json : Flag<["--"], "opt-report=json">;
  def dry_run : Flag1<"dry-run", "print memory, FLOPs and launches; write nothing">;
  def quiet : Flag<["-"], "q">, HelpText<"errors only">;
  def verbose : Flag<["-"], "v">, HelpText<"warnings and more">;
  def help : Flag1<"help", "this text">;
  def version : Flag1<"version", "the version">;
}

// Parallelism: spelled so that the answer can say what is missing.
let Group = grp_later, Flags = [HelpHidden] in {
  def external_weights : Flag<["--"], "external-weights">;
  def zero1 : Flag<["--"], "zero1">;
  def zero2 : Flag<["--"], "zero2">;
  def zero3 : Flag<["--"], "zero3">;
  foreach name = ["zero", "zero-group", "dp", "sp", "sp-scheme"] in {
    def later_#!subst("-", "_", name) : Separate<["--"], name>;
    def later_eq_#!subst("-", "_", name) : Joined<["--"], name#"=">;
  }
  def later_deterministic : Joined<["--"], "deterministic=">;
}
