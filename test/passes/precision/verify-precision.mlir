// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-verify-precision

// expected-error@+1 {{has no 'dit.precision'}}
module {}

// -----

module attributes {dit.precision = "bf16"} {
  func.func @forward(%x: tensor<2xbf16>) {
    // expected-error@+1 {{computes in 'tensor<2xbf16>'; only matmuls and attention may}}
    %y = arith.addf %x, %x : tensor<2xbf16>
    return
  }
}

// -----

module attributes {dit.precision = "bf16"} {
  func.func @forward(%x: tensor<2x2xf16>) {
    // expected-error@+1 {{has type 'tensor<2x2xf16>', which is not of the module's precision}}
    %y = dit.matmul %x, %x : tensor<2x2xf16>, tensor<2x2xf16> -> tensor<2x2xf32>
    return
  }
}

// -----

module attributes {dit.precision = "bf16"} {
  func.func @forward(%x: tensor<2x2xbf16>, %b: tensor<2xbf16>) {
    // expected-error@+1 {{has a bias of 'tensor<2xbf16>', but biases are fp32}}
    %y = dit.matmul %x, %x bias %b : tensor<2x2xbf16>, tensor<2x2xbf16> bias tensor<2xbf16> -> tensor<2x2xf32>
    return
  }
}
