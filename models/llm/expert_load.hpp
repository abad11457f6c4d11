#pragma once
#include <vector>

#include "models/llm/operators.hpp"

namespace foretoken::models::llm {

// What routing leaves on the busiest expert rank, in expectation. Fast enough to be asked for on
// every call.
struct ExpertLoad {
  double routed_tokens = 0;    // (token, expert) pairs computed there
  double experts_touched = 0;  // distinct experts whose weights are read
  double largest_expert = 0;   // pairs of the layer's most popular expert, on one of its copies
  double held = 0;             // experts on the rank, copies counted
  double tiles64 = 0;          // row blocks of 64 pairs, each expert padded by itself
};

// Popularity of experts: quantiles of the bounded density x^-skew on [1, 0.8 tokens], as serving
// measurements of expert layers draw it; 0 = balanced. Experts lie on the ranks at random, so the
// busiest of r ranks holds the mean + sqrt(2 ln r) standard deviations (Gaussian maximum), no less
// than the most popular expert alone and no more than the most popular ones together. A token picks
// top_k different experts: no expert gets more than `tokens`. With `rebalanced` placement
// (DeepSeek's EPLB) the ranks' loads are equal as far as whole experts and their copies allow.
ExpertLoad expert_load(const MoeOp& op);

// That popularity: pairs of one expert over the mean of all, falling; groups of equal size.
std::vector<double> expert_popularity(const MoeOp& op);

}  // namespace foretoken::models::llm
