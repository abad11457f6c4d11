#include "models/llm/expert_load.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace foretoken::models::llm {
namespace {

// Mid-quantiles of the bounded density x^-skew on [1, span].
std::vector<double> popularity(int experts, double skew, double span) {
  std::vector<double> weights(static_cast<std::size_t>(experts));
  const double power = 1.0 - skew;
  for (int i = 0; i < experts; ++i) {
    const double u = (i + 0.5) / experts;
    weights[static_cast<std::size_t>(i)] =
        std::abs(power) < 1e-9 ? std::pow(span, u)
                               : std::pow(1 + u * (std::pow(span, power) - 1), 1 / power);
  }
  return weights;
}

// Share of `pairs` per expert in proportion to the weights, none above `limit`; what is cut goes
// to the others in proportion.
std::vector<double> capped_loads(std::vector<double> weights, double pairs, double limit) {
  std::sort(weights.begin(), weights.end(), std::greater<>());
  double rest_weight = 0;
  for (const double w : weights) rest_weight += w;
  double rest_pairs = pairs;
  for (double& w : weights) {
    const double load = std::min(limit, rest_weight > 0 ? rest_pairs * w / rest_weight : 0.0);
    rest_weight -= w;
    rest_pairs -= load;
    w = load;
  }
  return weights;
}

}  // namespace

ExpertLoad expert_load(const MoeOp& op) {
  const double tokens = static_cast<double>(op.tokens);
  const double pairs = tokens * op.top_k;
  const double held = static_cast<double>(op.experts) / op.expert;
  if (op.skew <= 0) {
    const double routed = pairs / op.expert;
    return {routed, std::min(held, std::max(routed, std::min(pairs, 1.0))), pairs / op.experts};
  }
  const auto loads =
      capped_loads(popularity(op.experts, op.skew, std::max(2.0, 0.8 * tokens)), pairs, tokens);
  const double mean = pairs / op.experts;
  double variance = 0, touched = 0;
  for (const double load : loads) {
    variance += (load - mean) * (load - mean) / op.experts;
    touched += tokens > 0 ? 1 - std::pow(1 - std::min(1.0, load / tokens), tokens) : 0.0;
  }
  ExpertLoad out;
  out.largest_expert = loads.front();
  // Spread of a sum of `held` loads drawn without replacement, and its largest of op.expert draws.
  const double spread = std::sqrt(variance * held * std::max(0.0, 1 - held / op.experts)) *
                        std::sqrt(2 * std::log(std::max(1.0, static_cast<double>(op.expert))));
  double most = 0;  // what the rank would hold with the most popular experts all on it
  for (std::size_t i = 0; i < std::min(loads.size(), static_cast<std::size_t>(std::ceil(held)));
       ++i)
    most += loads[i];
  out.routed_tokens = std::clamp(mean * held + spread, std::min(out.largest_expert, most), most);
  out.experts_touched = std::min(
      held, touched * held / op.experts * out.routed_tokens / std::max(mean * held, 1e-300));
  out.experts_touched = std::max(out.experts_touched, std::min(1.0, pairs));
  return out;
}

}  // namespace foretoken::models::llm
