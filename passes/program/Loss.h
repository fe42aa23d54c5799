//===- Loss.h - What training makes small -----------------------*- C++ -*-===//
//
// DDPM's loss with learned sigma (Nichol & Dhariwal, 2021) as DiT trains with
// it, per sample, all arith and math: fusion makes kernels of it.
//
//     mse = mean (e − ê)²                                over C, H, W
//     vb  = mean of KL(posterior ‖ model) where t > 0,   in bits
//           of −log p(x0) of a discretised Gaussian where t = 0
//
// with ê stopped in vb, which so trains the variance alone, and x̂0 not clipped.
// The model's log variance is lv = f log β + (1 − f) lp, f = (v + 1) / 2, lp
// the posterior's. Of the means only the difference is needed, and it is exact
// in the noise: m_posterior − m_model = k (ê − e), k = c1 √(1/ᾱ − 1), so that
//
//     KL = ½ (s − 1 + exp(−s) + (k (ê − e))² exp(−lv)),  s = lv − lp
//
// and at t = 0, where c1 = 1 and c2 = 0, x0 − m_model = k (ê − e) likewise: no
// x_t, no x̂0, and none of the cancellation that computing them brings.
//
// A model that says v, a flow's velocity, or the noise without a variance has
// the mean square alone, with what it should have said in e's place. A weight a
// sample may stand before the mean square where gradients are made; the parts
// that are returned are never weighted.
//
//===----------------------------------------------------------------------===//
#ifndef PASSES_PROGRAM_LOSS_H
#define PASSES_PROGRAM_LOSS_H

#include "mlir/IR/Builders.h"

namespace dit {

/// Columns of the table of a diffusion's constants, one row a timestep. The
/// host fills it: computed in double, stored in the loss's type.
enum class DiffusionColumn : int64_t {
  SqrtAbar,             ///< √ᾱ
  SqrtRest,             ///< √(1 − ᾱ)
  MeanScale,            ///< k = c1 √(1/ᾱ − 1), c1 = β √ᾱ_prev / (1 − ᾱ)
  LogPosteriorVariance, ///< lp = log(β (1 − ᾱ_prev) / (1 − ᾱ)); row 0: row 1's
  LogBeta,              ///< log β
};
inline constexpr int64_t diffusionColumns = 5;

/// The rows of `table` [timesteps, diffusionColumns] at t [B]: [B,
/// diffusionColumns].
mlir::Value createDiffusionRows(mlir::OpBuilder &builder, mlir::Location loc,
                                mlir::Value table, mlir::Value t);

/// x_t = √ᾱ x0 + √(1 − ᾱ) noise, for pictures [B, C, H, W] of the rows' type.
mlir::Value createNoisyPicture(mlir::OpBuilder &builder, mlir::Location loc,
                               mlir::Value rows, mlir::Value x0,
                               mlir::Value noise);

/// v = √ᾱ noise − √(1 − ᾱ) x0, what a model of prediction v says of x_t.
mlir::Value createVelocity(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value rows, mlir::Value x0, mlir::Value noise);

/// x_t = (1 − t) x0 + t noise: what a flow, which is data at t = 0 and noise at
/// t = 1, makes of a picture. t [B] is of the pictures' type.
mlir::Value createFlowPicture(mlir::OpBuilder &builder, mlir::Location loc,
                              mlir::Value t, mlir::Value x0, mlir::Value noise);

/// noise − x0 = dx_t/dt, what a model of prediction flow says of x_t.
mlir::Value createFlowVelocity(mlir::OpBuilder &builder, mlir::Location loc,
                               mlir::Value x0, mlir::Value noise);

/// Min-SNR's weights [B] of the mean square (Hang et al., 2023), of a model
/// that says v, or the noise: min(SNR, gamma) / (SNR + 1), or / SNR, SNR = ᾱ/(1
/// − ᾱ).
mlir::Value createSnrWeights(mlir::OpBuilder &builder, mlir::Location loc,
                             mlir::Value rows, double gamma, bool saysVelocity);

/// What the loss is made of. Everything but the output and t has one float
/// type, in which the loss is computed: fp32 in programs.
struct LossInputs {
  mlir::Value
      output; ///< what the model said: [B, C, H, W], or with v [B, 2C, H, W]
  mlir::Value target; ///< what its first C channels should be: [B, C, H, W]
  mlir::Value x0;     ///< [B, C, H, W]; used with learned sigma only
  mlir::Value t;      ///< [B], integers; used with learned sigma only
  mlir::Value rows;   ///< [B, diffusionColumns]; used with learned sigma only
  mlir::Value weight; ///< [B], of mse in total; null: 1
};

/// The parts of the loss.
struct Losses {
  mlir::Value mse;   ///< [B]
  mlir::Value vb;    ///< [B], null without learned sigma
  mlir::Value total; ///< []: the mean over B of weight · mse + vb
};

/// The loss. An output with twice the target's channels has learned sigma; its
/// target must then be the noise.
Losses createLoss(mlir::OpBuilder &builder, mlir::Location loc,
                  const LossInputs &inputs);

} // namespace dit

#endif // PASSES_PROGRAM_LOSS_H
