//===- Refusals.h - One change in a good plan, one error --------*- C++ -*-===//
#ifndef DIT_TEST_RUNTIME_PLAN_REFUSALS_H
#define DIT_TEST_RUNTIME_PLAN_REFUSALS_H

#include "runtime/plan/Failure.h"
#include "runtime/plan/Validate.h"
#include "test/runtime/HandPlan.h"

#include <functional>
#include <gtest/gtest.h>

namespace dit::test {

/// A change and what the error must say.
struct Case {
  const char *text;
  std::function<void(proto::Plan &)> change;
};

/// Each of `cases` makes `good` malformed.
inline void expectRefused(const HandPlan &good, llvm::ArrayRef<Case> cases) {
  for (const Case &test : cases) {
    HandPlan hand = good;
    test.change(hand.metadata);
    auto [code, text] = plan::describe(
        plan::validate(hand.metadata, hand.code.size(), hand.weights.size()));
    EXPECT_EQ(code, plan::Exit::Malformed) << test.text;
    EXPECT_NE(text.find(test.text), std::string::npos)
        << "'" << test.text << "' is not in '" << text << "'";
  }
}

inline void expectAccepted(const HandPlan &hand) {
  auto [code, text] = plan::describe(
      plan::validate(hand.metadata, hand.code.size(), hand.weights.size()));
  EXPECT_EQ(code, plan::Exit::Done) << text;
}

} // namespace dit::test

#endif // DIT_TEST_RUNTIME_PLAN_REFUSALS_H
