// RUN: dit-opt %s --split-input-file --dit-place-globals --verify-diagnostics

#one = #dit.piece<name = "one", file = tensor<3xf32>, view = [3], permutation = [0], target = [3], offset = [0], source = dense<1.0> : tensor<3xf32>>
// expected-error @below {{has values, but is written: a plan's values are mapped read-only}}
dit.global @trained parameter : tensor<3xf32> pieces [#one]
plan.function @f step = "forward" {
  %0 = plan.global @trained 12
  plan.fill %0 with 0
}

// -----

#one = #dit.piece<name = "one", file = tensor<3xf32>, view = [3], permutation = [0], target = [3], offset = [0], source = dense<1.0> : tensor<3xf32>>
// expected-error @below {{has values, but is written: a plan's values are mapped read-only}}
dit.global @latent state : tensor<3xf32> pieces [#one]

// -----

#one = #dit.piece<name = "one", file = tensor<1x3xf32>, view = [1, 3], permutation = [0, 1], target = [2, 3], offset = [0, 0], source = dense<1.0> : tensor<1x3xf32>>
#two = #dit.piece<name = "two", file = tensor<1x3xf32>, view = [1, 3], permutation = [0, 1], target = [2, 3], offset = [1, 0], source = unit>
// expected-error @below {{has values for 1 of its 2 pieces}}
dit.global @half parameter : tensor<6xf32> pieces [#one, #two]
plan.function @f step = "forward" {
  %0 = plan.global @half 24
}
