//===- Passes.td - Passes of the program phase ---*- tablegen -*-===//
#ifndef DIT_PROGRAM_PASSES_TD
#define DIT_PROGRAM_PASSES_TD

include "mlir/Pass/PassBase.td"

class Dit_ProgramPass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::dit::DitDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::func::FuncDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ProgramForward : Dit_ProgramPass<"dit-program-forward"> {
  let summary = "make a program that runs the model once";
  let description = [{
    The model's arguments and results become input and output globals; the model
    itself is inlined into `@run` and gone afterwards.

    ```mlir
    func.func @forward(%x: tensor<2x8xf32>) -> tensor<2x4xf32>
        attributes {dit.inputs = ["x"], dit.outputs = ["y"]} { … }
    ```
    becomes
    ```mlir
    module attributes {dit.mode = "forward", dit.inputs = [{name = "x", global = "x"} ],
                       dit.outputs = [{name = "y", global = "y"} ]} {
      dit.global @x input : tensor<2x8xf32>
      dit.global @y output : tensor<2x4xf32>
      func.func @run() attributes {dit.step = "forward"} {
        %x = dit.read @x : tensor<2x8xf32>
        …
        dit.write %y, @y : tensor<2x4xf32>
        return
      }
    }
    ```
    After precision (globals have their last types), before fusion.
  }];
}

def ProgramSample : Dit_ProgramPass<"dit-program-sample"> {
  let summary = "make the program that samples pictures";
  let description = [{
    From `@forward`, a denoiser at twice the batch, and where it is there
    `@forward_single` at the batch itself, makes the globals that `Sampling` of
    runtime/plan/plan.proto names and three step functions:

    - `@sample_init`: x_T (given noise, or random stream 0 at step −1), step 0;
    - `@sample_step`: the model sees [x, x] with [labels, no label]; per channel c
      `p = p_cond + (guidance[c] − 1)(p_cond − p_uncond)`, which is the
      conditional value exactly where guidance is 1;
    - `@sample_step_single`: the model sees x alone; no guidance.

    Both steps end with the one update of all samplers, whose coefficients are
    row `step` of the table, A B C D min_log max_log:

        x' = A·x + B·p + (C + D·exp(½·logvar))·z
        logvar = f·max_log + (1 − f)·min_log,  f = (v + 1)/2   (learned sigma)

    p is what the model predicts. A sampler is linear in x and p whether p is
    eps, v or a flow's velocity, so the conversion lies in A and B, which the
    host fills for `prediction`; the IR is the same. z is the given noise where
    `use_noise` is not 0, else random stream 1 at (seed, step, picture).

    With `hoist-steps` K, what depends on timestep and label alone (in a DiT the
    embeddings, SiLU(c) and the modulations of all blocks; found by dependence,
    see Conditioning.h) moves into

    - `@prologue`, which the host runs before every K-th step: it computes that
      for the timesteps of K steps and for every different label once, in
      products of K · rows rows, and writes it to state globals
      `@conditioning…` [K, rows, …].

    The steps look up row `step mod K` of these. The weights of the modulations
    are read every K steps; a third of DiT-XL/2's parameters are such weights.

    Everything is plain arith, math and dit ops: fusion makes the kernels.
  }];
  let options = [
    Option<"picture", "picture", "int64_t", "-1",
           "argument that is the noisy picture (-1: by its type)">,
    Option<"timestep", "timestep", "int64_t", "-1",
           "argument that is the timestep (-1: by its name)">,
    Option<"label", "label", "int64_t", "-1",
           "argument that is the class label (-1: by its name)">,
    Option<"classes", "classes", "int64_t", "0",
           "number of classes; 0: rows of the label table less one">,
    Option<"guidedChannels", "cfg-channels", "int64_t", "0",
           "channels guided by default; 0: 3 of 4 with learned sigma, else all">,
    Option<"prediction", "prediction", "std::string", "\"eps\"",
           "what the model predicts: eps, v or flow">,
    Option<"schedule", "schedule", "std::string", "\"ddpm-linear\"",
           "noise schedule: ddpm-linear or flow">,
    Option<"learnedSigma", "learned-sigma", "std::string", "\"auto\"",
           "auto (where the model gives twice the channels), yes or no">,
    Option<"maxSteps", "max-steps", "int64_t", "1000", "rows of the tables">,
    Option<"keepModelOutput", "keep-model-output", "bool", "false",
           "write what the model said into an output global">,
    Option<"hoistSteps", "hoist-steps", "int64_t", "0",
           "steps whose conditioning is computed at once; 0: each its own; -1: "
           "the least that make hoist-rows rows">,
    Option<"hoistRows", "hoist-rows", "int64_t", "256",
           "rows from where on a product's time grows with them">,
  ];
}

def ProgramTrain : Dit_ProgramPass<"dit-program-train"> {
  let summary = "make the program that trains the model";
  let description = [{
    From `@forward`, a denoiser at the micro-batch, makes the globals that
    `Training` of runtime/plan/plan.proto names, the flat globals of
    TrainState.h and the step functions

    - `@train_init`: ema and the low copies from the masters; moments, counters 0;
    - `@accumulate_first`: a micro-batch: t, noise and dropped labels as given or
      drawn, x_t, the model, the loss of Loss.h, its gradients, written;
    - `@accumulate`: the same, gradients added to those that are there;
    - `@evaluate`: forward and loss of the averaged parameters;
    - `@prepare_update`: the gradients' norm, what clipping makes of it, counters;
    - `@update`: AdamW, EMA, low copies, range by range of the flats
      (UpdateStep.h): it may run beside the next micro-batch's forward.

    ```mlir
    dit.global @masters parameter : tensor<1024xf32>
    dit.global @gradients state : tensor<1024xf32>
    dit.global @w parameter : tensor<8x16xf32> trainable within @masters at 64 pieces […]
    dit.global @w.gradient state : tensor<8x16xf32> within @gradients at 64
    func.func @accumulate() attributes {dit.step = "accumulate"} {
      …
      %old = dit.read @w.gradient : tensor<8x16xf32>
      %sum = arith.addf %old, %dw : tensor<8x16xf32>
      dit.write %sum, @w.gradient : tensor<8x16xf32>
      return
    }
    ```
    A flow (`prediction` and `schedule` flow) has continuous times t in [0, 1] in
    place of timesteps, no table, and a model that is told `timesteps` · t:

        x_t = (1 − t) x0 + t noise,  loss = mean (noise − x0 − said)²

    The uniform u in [0, 1) behind t, the time of a flow or a timestep floor(N u),
    may be σ(mean + deviation · z) instead, z normal (`timestep-sampling`
    logit-normal), and the square of eps and v be weighted by min(SNR, γ) / SNR
    or / (SNR + 1) where gradients are made (`min-snr` γ). The losses that are
    written have no weight, and @evaluate draws uniform t: so they compare.

    What is drawn depends on (`seed`, `step`, number of the sample): t from
    random stream 2, noise from 3, dropout from 4. In fp16 gradients are those
    of the loss times `loss_scale`.
  }];
  let options = [
    Option<"picture", "picture", "int64_t", "-1",
           "argument that is the noisy picture (-1: by its type)">,
    Option<"timestep", "timestep", "int64_t", "-1",
           "argument that is the timestep (-1: by its name)">,
    Option<"label", "label", "int64_t", "-1",
           "argument that is the class label (-1: by its name)">,
    Option<"classes", "classes", "int64_t", "0",
           "number of classes; 0: rows of the label table less one">,
    Option<"prediction", "prediction", "std::string", "\"eps\"",
           "what the model predicts: eps, v or flow">,
    Option<"schedule", "schedule", "std::string", "\"ddpm-linear\"",
           "noise schedule: ddpm-linear or flow">,
    Option<"learnedSigma", "learned-sigma", "std::string", "\"auto\"",
           "auto (where the model gives twice the channels), yes or no">,
    Option<"timesteps", "timesteps", "int64_t", "1000",
           "timesteps of the schedule; a flow's model is told t times this">,
    Option<"timestepSampling", "timestep-sampling", "std::string", "\"uniform\"",
           "how t is drawn: uniform or logit-normal">,
    Option<"logitMean", "logit-mean", "double", "0.0", "mean of t's logit">,
    Option<"logitDeviation", "logit-deviation", "double", "1.0",
           "standard deviation of t's logit">,
    Option<"minSnr", "min-snr", "double", "0.0",
           "γ of min-SNR's weights of the mean square; 0: none">,
    Option<"beta1", "beta1", "double", "0.9", "AdamW: decay of the mean">,
    Option<"beta2", "beta2", "double", "0.999", "AdamW: decay of the squares">,
    Option<"epsilon", "eps", "double", "1e-8", "AdamW: added to the root">,
    Option<"weightDecay", "weight-decay", "double", "0.0", "AdamW: decay of the weights">,
    Option<"clip", "clip", "double", "0.0", "largest norm of the gradients; 0: any">,
    Option<"emaDecay", "ema", "double", "0.9999", "decay of the averaged weights">,
  ];
}

def Differentiate : Dit_ProgramPass<"dit-differentiate"> {
  let summary = "return gradients from functions that name a loss";
  let description = [{
    Appends to the results of every function with `dit.loss`, the index of a
    result of one element, the gradients of that result by the arguments that
    `dit.wrt` lists. Zeros where the loss does not depend on an argument.

    ```mlir
    func.func @square(%x: tensor<3xf32>) -> tensor<f32>
        attributes {dit.loss = 0, dit.wrt = array<i64: 0>} {
      %s = arith.mulf %x, %x : tensor<3xf32>
      %l = dit.reduce sum %s dims = [0] : tensor<3xf32>
      return %l : tensor<f32>
    }
    ```
    becomes
    ```mlir
    func.func @square(%x: tensor<3xf32>) -> (tensor<f32>, tensor<3xf32>) {
      %s = arith.mulf %x, %x : tensor<3xf32>
      %l = dit.reduce sum %s dims = [0] : tensor<3xf32>
      %g = arith.constant dense<1.0> : tensor<f32>
      %b = dit.broadcast %g dims = [] : tensor<f32> -> tensor<3xf32>
      %0 = arith.mulf %b, %x : tensor<3xf32>
      %1 = arith.mulf %b, %x : tensor<3xf32>
      %d = arith.addf %0, %1 : tensor<3xf32>
      return %l, %d : tensor<f32>, tensor<3xf32>
    }
    ```
    The rules are those of DifferentiableOpInterface, the walk is in
    Differentiate.h. A tool for looking at gradients and testing them: what
    makes a training program calls the walk itself.
  }];
}

def VerifyProgram : Dit_ProgramPass<"dit-verify-program"> {
  let summary = "check what must hold after the program phase";
  let description = [{
    The module has a mode; every function is a step function without arguments
    and results; it writes state and outputs only; a sampling program's globals
    exist with the roles and types that plan.proto gives them.
  }];
}

#endif // DIT_PROGRAM_PASSES_TD
