#pragma once
#include "models/llm/operators.hpp"

namespace foretoken::models::llm {

// What routing leaves on the busiest expert rank, in expectation.
struct ExpertLoad {
  double routed_tokens = 0;    // (token, expert) pairs computed there
  double experts_touched = 0;  // distinct experts whose weights are read
  double largest_expert = 0;   // pairs of its most popular expert
};

// Popularity of experts: quantiles of a density x^-skew on [1, span], as serving measurements of
// expert layers draw it; 0 = balanced. Experts lie on the ranks at random, so the busiest of r
// ranks holds the mean + sqrt(2 ln r) standard deviations (Gaussian maximum), no less than the most
// popular expert alone. A token picks top_k different experts: no expert gets more than `tokens`.
ExpertLoad expert_load(const MoeOp& op);

}  // namespace foretoken::models::llm
