#include "models/serving/expert_balance.hpp"

#include <algorithm>
#include <cmath>

#include "models/llm/expert_load.hpp"

namespace foretoken::models::serving {
namespace {

// One expert layer, with all that its load depends on.
llm::MoeOp expert_layer(const DeploymentSpec& d, std::int64_t tokens, bool rebalanced) {
  llm::MoeOp op;
  op.tokens = tokens;
  op.top_k = d.model.moe->top_k;
  op.experts = d.model.moe->experts;
  op.expert = d.layout.experts_on_host ? 1 : d.layout.expert;
  op.skew = d.expert_skew;
  if (d.layout.all_to_all) op.slots = op.experts + d.layout.redundant_experts;
  op.rebalanced = rebalanced;
  return op;
}

// Of `groups` of ranks of equal size.
double busiest_over_mean(const DeploymentSpec& d, std::int64_t tokens, bool rebalanced,
                         int groups) {
  llm::MoeOp op = expert_layer(d, tokens, rebalanced);
  op.expert = groups;
  const double mean = static_cast<double>(op.tokens) * op.top_k / op.expert;
  return mean > 0 ? std::max(1.0, llm::expert_load(op).routed_tokens / mean) : 1.0;
}

// As placed, over `groups` of ranks.
double as_placed(const DeploymentSpec& d, std::int64_t tokens, int groups) {
  const double by_chance = busiest_over_mean(d, tokens, false, groups);
  if (!d.layout.all_to_all || !d.expert_parallel.rebalanced) return by_chance;
  const double moved = d.expert_parallel.drift;
  return (1.0 - moved) * busiest_over_mean(d, tokens, true, groups) + moved * by_chance;
}

// See ExpertBalance::busiest_place; `pairs`: of the busiest of so many places over the mean.
double tokens_of_busiest(const DeploymentSpec& d, int places, double pairs, int may_go_to) {
  const int top_k = d.model.moe->top_k;
  const int draws = may_go_to > 0 && may_go_to < places ? std::min(top_k, may_go_to) : top_k;
  const auto goes = [&](double share) { return 1.0 - std::pow(1.0 - std::min(1.0, share), draws); };
  return goes(pairs / places) / goes(1.0 / places);
}

}  // namespace

ExpertBalance expert_balance(const DeploymentSpec& d, std::int64_t tokens) {
  ExpertBalance balance;
  if (llm::moe_layers(d.model) == 0) return balance;
  const int ranks = expert_layer(d, tokens, false).expert;
  balance.busiest = as_placed(d, tokens, ranks);
  balance.by_chance = busiest_over_mean(d, tokens, false, ranks);
  const int per_node = d.layout.gpus_per_node;  // 0: everything is in one
  const int nodes = per_node > 0 ? (ranks + per_node - 1) / per_node : 1;
  const int places = nodes > 1 ? nodes : ranks;
  if (places > 1)
    balance.busiest_place = tokens_of_busiest(d, places, as_placed(d, tokens, places),
                                              nodes > 1 ? d.expert_parallel.token_nodes : 0);
  return balance;
}

std::int64_t micro_batch_tokens(const DeploymentSpec& d, std::int64_t tokens, bool prompts) {
  const bool two = d.layout.all_to_all &&
                   (prompts ? d.expert_parallel.overlap_prefill : d.expert_parallel.overlap_decode);
  return two ? (tokens + 1) / 2 : tokens;
}

std::vector<double> expert_popularity(const DeploymentSpec& d, std::int64_t tokens) {
  if (llm::moe_layers(d.model) == 0) return {};
  return llm::expert_popularity(expert_layer(d, tokens, false));
}

}  // namespace foretoken::models::serving
