#pragma once
// What routing leaves on the busiest expert rank: fast enough to be asked for on every call.
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

struct MoeLoad {
  double pairs = 0;    // (token, expert) products on the busiest rank
  double experts = 0;  // distinct experts whose weights are read there
  double held = 0;     // experts on the rank
  double tiles16 = 0;  // row blocks of 16, 64 and 128 pairs, each expert padded by itself
  double tiles64 = 0;
  double tiles128 = 0;
};

// Popularity of experts: quantiles of the bounded density x^-skew on [1, 0.8 tokens], the rule by
// which the measured expert layers draw it; 0 = balanced.
MoeLoad moe_load(const llm::MoeOp& op);

}  // namespace foretoken::models::kernels
