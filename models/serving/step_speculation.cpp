// Decode steps with guesses, as the mean time of one token. A batch of B sequences with k guesses
// each is checked as one step of B (1 + k) tokens over the same cache, after k draft passes; it
// yields L tokens a sequence on average, so that one token takes
//   (check(B (1 + k)) + k draft(B)) / L
// Simulated sequences advance by a token in that time: means are those of real steps, which yield
// their tokens in bursts. Steps with prompts check no guesses.
#include <algorithm>

#include "models/serving/step_model.hpp"

namespace foretoken::models::serving {
namespace {

void scale(StepCost& cost, double by) {
  for (double* part : {&cost.seconds, &cost.gemm_s, &cost.attention_s, &cost.experts_s,
                       &cost.communication_s, &cost.elementwise_s, &cost.host_s, &cost.tensor_s,
                       &cost.memory_s, &cost.link_s, &cost.network_bytes, &cost.network_s})
    *part *= by;
}

}  // namespace

StepCost StepModel::speculative_cost(const StepInput& step) const {
  const SpeculationSpec& spec = deployment_.speculation;
  const int k = spec.guesses();
  const StepInput check{step.decode_batch * (1 + k),
                        step.decode_context * (1 + k),
                        {},
                        step.decode_batch * (1 + k),
                        step.network_stretch};
  StepCost cost = plain_cost(check);
  StepCost draft = plain_cost(step);
  draft.seconds -= draft.host_s;
  draft.host_s = 0;
  const double share =
      spec.draft_cost >= 0 ? spec.draft_cost : 1.0 / std::max(1, deployment_.model.layers);
  scale(draft, k * share);
  cost += draft;
  scale(cost, 1.0 / spec.tokens_per_step());
  return cost;
}

}  // namespace foretoken::models::serving
