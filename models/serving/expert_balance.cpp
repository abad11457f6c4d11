#include "models/serving/expert_balance.hpp"

#include <algorithm>

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

double busiest_over_mean(const DeploymentSpec& d, std::int64_t tokens, bool rebalanced) {
  const llm::MoeOp op = expert_layer(d, tokens, rebalanced);
  const double mean = static_cast<double>(op.tokens) * op.top_k / op.expert;
  return mean > 0 ? std::max(1.0, llm::expert_load(op).routed_tokens / mean) : 1.0;
}

}  // namespace

ExpertBalance expert_balance(const DeploymentSpec& d, std::int64_t tokens) {
  ExpertBalance balance;
  if (llm::moe_layers(d.model) == 0) return balance;
  balance.busiest = balance.by_chance = busiest_over_mean(d, tokens, false);
  if (!d.layout.all_to_all || !d.expert_parallel.rebalanced) return balance;
  const double moved = d.expert_parallel.drift;
  balance.busiest = (1.0 - moved) * busiest_over_mean(d, tokens, true) + moved * balance.by_chance;
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
