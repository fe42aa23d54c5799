// RUN: dit-opt %s --split-input-file --dit-lower-to-plan --verify-diagnostics

// expected-error @below {{is no step function: it needs 'dit.step' and no arguments or results}}
func.func @forward(%x: tensor<4xf32>) {
  return
}

// -----

dit.global @x input : tensor<4xf32>
func.func @f() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4xf32>
  // expected-error @below {{is no kernel, matmul, attention or view: fusion must put it into a kernel}}
  %y = arith.addf %x, %x : tensor<4xf32>
  return
}

// -----

dit.global @x input : tensor<4x4xf64>
func.func @f() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x4xf64>
  // expected-error @below {{multiplies 'f64' to 'f64', which is not supported}}
  %y = dit.matmul %x, %x : tensor<4x4xf64>, tensor<4x4xf64> -> tensor<4x4xf64>
  return
}

// -----

dit.global @x input : tensor<1x4x1x4xf64>
func.func @f() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<1x4x1x4xf64>
  // expected-error @below {{attends in 'f64', which is not supported}}
  %y, %l = dit.attention %x, %x, %x scale = 1.0 : tensor<1x4x1x4xf64>, tensor<1x4x1x4xf64>, tensor<1x4x1x4xf64>
  return
}

// -----

dit.global @x input : tensor<4x8xf32>
func.func @f() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<4x8xf32>
  %t = dit.transpose %x permutation = [1, 0] : tensor<4x8xf32>
  // expected-error @below {{has an input that is not contiguous}}
  %y = dit.kernel "copy" space = [8, 4] (%t) : (tensor<8x4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xf32>):
    dit.yield %a : tensor<8x4xf32>
  }
  return
}

// -----

func.func @f() attributes {dit.step = "forward"} {
  // expected-error @below {{has a tensor of type 'tensor<0x4xf32>', which no plan can hold}}
  %y = dit.kernel "none" space = [0, 4] () : () -> tensor<0x4xf32> {
  ^bb0:
    %r = arith.constant dense<0.0> : tensor<0x4xf32>
    dit.yield %r : tensor<0x4xf32>
  }
  return
}

// -----

dit.global @x input : tensor<2x8x16xf32>
func.func @f() attributes {dit.step = "forward"} {
  %x = dit.read @x : tensor<2x8x16xf32>
  %w = arith.constant dense<0.0> : tensor<16x16xf32>
  %s = tensor.extract_slice %x[0, 0, 0] [2, 4, 16] [1, 1, 1] : tensor<2x8x16xf32> to tensor<2x4x16xf32>
  // expected-error @below {{has a view that no GEMM can walk as operand 0}}
  %y = dit.matmul %s, %w residual %s : tensor<2x4x16xf32>, tensor<16x16xf32> residual tensor<2x4x16xf32> -> tensor<2x4x16xf32>
  return
}

// -----

// expected-error @below {{must be one block}}
func.func @f() attributes {dit.step = "forward"} {
  return
^unreachable:
  return
}
