// RUN: not dit-opt %s --dit-lower-precision=precision=fp8 2>&1 | FileCheck %s --check-prefix=PRECISION
// RUN: not dit-opt %s --dit-lower-precision=residual=bf16 2>&1 | FileCheck %s --check-prefix=RESIDUAL
// RUN: not dit-opt %s --dit-lower-precision=results=all 2>&1 | FileCheck %s --check-prefix=RESULTS

// PRECISION: precision must be fp32, bf16 or fp16, not 'fp8'
// RESIDUAL: residual must be fp32 or low, not 'bf16'
// RESULTS: results must be fp32, low or saved, not 'all'
module {}
