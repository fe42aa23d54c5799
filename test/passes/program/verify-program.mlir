// RUN: dit-opt %s --split-input-file --verify-diagnostics --dit-verify-program

// expected-error@+1 {{has no 'dit.mode'}}
module {}

// -----

module attributes {dit.mode = "forward"} {
  // expected-error@+1 {{is no step function: it has no 'dit.step'}}
  func.func @run() { return }
}

// -----

module attributes {dit.mode = "forward"} {
  // expected-error@+1 {{is a step function, which has neither arguments nor results}}
  func.func @run(%x: tensor<2xf32>) attributes {dit.step = "forward"} { return }
}

// -----

module attributes {dit.mode = "forward"} {
  dit.global @w parameter : tensor<2xf32>
  func.func @run() attributes {dit.step = "forward"} {
    %w = dit.read @w : tensor<2xf32>
    // expected-error@+1 {{writes @w, which is neither state nor output}}
    dit.write %w, @w : tensor<2xf32>
    return
  }
}

// -----

module attributes {dit.mode = "forward"} {
  dit.global @x state : tensor<2xf32>
  func.func @run() attributes {dit.step = "forward"} {
    %x = dit.read @x : tensor<2xf32>
    dit.write %x, @x : tensor<2xf32>
    // expected-error@+1 {{writes @x again}}
    dit.write %x, @x : tensor<2xf32>
    return
  }
}

// -----

// expected-error@+1 {{runs a model, but has no 'dit.inputs'}}
module attributes {dit.mode = "forward"} {}

// -----

// expected-error@+1 {{'dit.outputs' names no output global}}
module attributes {dit.mode = "forward", dit.inputs = [], dit.outputs = [{name = "y", global = "x"}]} {
  dit.global @x state : tensor<2xf32>
}

// -----

// expected-error@+1 {{samples, but has no 'dit.sampling'}}
module attributes {dit.mode = "sample"} {}

// -----

// expected-error@+1 {{'dit.sampling' names no global as latent}}
module attributes {dit.mode = "sample", dit.sampling = {batch = 1 : i64}} {}

// -----

module attributes {dit.mode = "sample", dit.sampling = {batch = 1 : i64, channels = 1 : i64, height = 2 : i64, width = 2 : i64, latent = "latent"}} {
  // expected-error@+1 {{is the sampler's latent and must be state of shape [1, 1, 2, 2]}}
  dit.global @latent state : tensor<2x1x2x2xf32>
}

// -----

// expected-error@+1 {{trains, but has no 'dit.training'}}
module attributes {dit.mode = "train"} {}

// -----

// expected-error@+1 {{'dit.training' names no global as pictures}}
module attributes {dit.mode = "train", dit.training = {batch = 1 : i64}} {}

// -----

module attributes {dit.mode = "train"} {
  dit.global @flat state : tensor<128xf32>
  dit.global @a state : tensor<8xf32> within @flat at 64
  func.func @run() attributes {dit.step = "update"} {
    // expected-note@+1 {{which the same function uses here}}
    %x = dit.read @flat : tensor<128xf32>
    dit.write %x, @flat : tensor<128xf32>
    // expected-error@+1 {{uses @a, which overlaps @flat within @flat}}
    %a = dit.read @a : tensor<8xf32>
    return
  }
}

// -----

// Members may overlap where no function uses both.
module attributes {dit.mode = "train"} {
  dit.global @flat state : tensor<256xf32>
  dit.global @a state : tensor<8xf32> within @flat at 128
  dit.global @b state : tensor<80xf32> within @flat at 64
  dit.global @c state : tensor<64xf32> within @flat at 192
  func.func @apart() attributes {dit.step = "accumulate"} {
    %b = dit.read @b : tensor<80xf32>
    %c = dit.read @c : tensor<64xf32>
    return
  }
  func.func @run() attributes {dit.step = "update"} {
    // expected-error@+1 {{uses @a, which overlaps @b within @flat}}
    %a = dit.read @a : tensor<8xf32>
    // expected-note@+1 {{which the same function uses here}}
    %b = dit.read @b : tensor<80xf32>
    return
  }
}
