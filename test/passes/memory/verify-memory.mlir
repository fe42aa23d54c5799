// RUN: dit-opt %s --split-input-file --dit-verify-memory --verify-diagnostics

module attributes {plan.arena_bytes = 64} {
  plan.function @f step = "forward" arena_bytes = 64 {
    // expected-error @below {{has no place in the arena}}
    %0 = plan.buffer 64
    plan.fill %0 with 0
  }
}

// -----

module attributes {plan.arena_bytes = 64} {
  // expected-error @below {{needs an arena of 128 bytes}}
  plan.function @f step = "forward" arena_bytes = 64 {
    %0 = plan.buffer 64 at 64
    plan.fill %0 with 0
  }
}

// -----

// expected-error @below {{needs an arena of 128 bytes}}
module attributes {plan.arena_bytes = 64} {
  plan.function @f step = "forward" arena_bytes = 128 {
    %0 = plan.buffer 64 at 64
    plan.fill %0 with 0
  }
}

// -----

module attributes {plan.arena_bytes = 192} {
  plan.function @f step = "forward" arena_bytes = 192 {
    // expected-note @below {{the other one}}
    %0 = plan.buffer 65 at 0
    // expected-error @below {{overlaps another buffer that is live with it}}
    %1 = plan.buffer 65 at 64
    plan.copy %0 to %1
  }
}

// -----

// The same bytes one after the other are fine.
module attributes {plan.arena_bytes = 64} {
  plan.function @f step = "forward" arena_bytes = 64 {
    %0 = plan.buffer 64 at 0
    %1 = plan.buffer 64 at 0
    plan.fill %0 with 0
    plan.fill %1 with 0
  }
}
