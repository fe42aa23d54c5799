// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-raise-precision

func.func @bits(%x: tensor<2xf16>) -> tensor<2xi16> {
  // expected-error@+1 {{looks at the bits of a float that is computed in fp32}}
  %b = arith.bitcast %x : tensor<2xf16> to tensor<2xi16>
  return %b : tensor<2xi16>
}
