// RUN: dit-opt %s --split-input-file --dit-verify-memory --verify-diagnostics

module attributes {plan.arena_bytes = 256} {
  plan.function @f step = "forward" arena_bytes = 256 {
    // expected-error @below {{has no place in the arena}}
    %0 = plan.buffer 256
    plan.fill %0 with 0
  }
}

// -----

module attributes {plan.arena_bytes = 256} {
  // expected-error @below {{needs an arena of 512 bytes}}
  plan.function @f step = "forward" arena_bytes = 256 {
    %0 = plan.buffer 256 at 256
    plan.fill %0 with 0
  }
}

// -----

// expected-error @below {{needs an arena of 512 bytes}}
module attributes {plan.arena_bytes = 256} {
  plan.function @f step = "forward" arena_bytes = 512 {
    %0 = plan.buffer 256 at 256
    plan.fill %0 with 0
  }
}

// -----

module attributes {plan.arena_bytes = 768} {
  plan.function @f step = "forward" arena_bytes = 768 {
    // expected-note @below {{the other one}}
    %0 = plan.buffer 257 at 0
    // expected-error @below {{overlaps another buffer that is live with it}}
    %1 = plan.buffer 257 at 256
    plan.copy %0 to %1
  }
}

// -----

// The same bytes one after the other are fine.
module attributes {plan.arena_bytes = 256} {
  plan.function @f step = "forward" arena_bytes = 256 {
    %0 = plan.buffer 256 at 0
    %1 = plan.buffer 256 at 0
    plan.fill %0 with 0
    plan.fill %1 with 0
  }
}
