#pragma once
// How unevenly routing loads the expert ranks of a deployment, as its step times take it.
#include <cstdint>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

// Pairs of token and expert on the busiest rank over the mean of all ranks.
struct ExpertBalance {
  double busiest = 1.0;    // as the experts are placed
  double by_chance = 1.0;  // were they placed by chance: what rebalancing (EPLB) starts from
  // Tokens that go to the busiest node over the mean, or on one node to the busiest rank, each
  // counted once: with q its share of the pairs and m draws (the experts of a token, or the nodes
  // it may go to if fewer), 1 - (1 - q)^m of them.
  double busiest_place = 1.0;
};
// `tokens`: of all attention ranks, in one micro-batch. Both 1 where nothing can be uneven: a dense
// model, one expert rank, or experts of equal popularity.
ExpertBalance expert_balance(const DeploymentSpec& deployment, std::int64_t tokens);

// Of a step with so many tokens: the larger of its micro-batches.
std::int64_t micro_batch_tokens(const DeploymentSpec& deployment, std::int64_t tokens,
                                bool prompts);

// Pairs of single experts over the mean of all, most popular first, in groups of equal size. Empty
// for a dense model.
std::vector<double> expert_popularity(const DeploymentSpec& deployment, std::int64_t tokens);

}  // namespace foretoken::models::serving
