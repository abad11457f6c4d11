#include "models/serving/scheduler.hpp"

#include <cmath>

#include "models/serving/policy_parts.hpp"
#include "models/serving/policy_plugin.hpp"
#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::serving {
namespace {

constexpr std::uint32_t kPrediction = 16;  // purpose of the random stream

}  // namespace

bool make_room_for_decode(Batch& batch, StepPlan& plan) {
  bool preempted = false;
  while (!batch.decoding().empty() && batch.decode_blocks() > batch.free_blocks()) {
    const Slot last = batch.last_in_rank();
    plan.swapped_blocks += batch.preempt(last, batch.sequence(last).rank);
    preempted = true;
  }
  return preempted;
}

double predicted_output(const Sequence& sequence, double sigma, std::uint64_t seed) {
  if (sigma <= 0.0) return sequence.output;
  return sequence.output *
         sim::core::Random(seed, sequence.request, kPrediction).lognormal(0.0, sigma);
}

void ChunkedPrefill::plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) {
  begin(batch);
  bool preempted = make_room_for_decode(batch, plan);
  std::int32_t left = budget_.step - static_cast<std::int32_t>(batch.decoding().size());
  preempted |= continue_prompts(batch, plan, left);
  batch.claim_decode_blocks();
  const std::int64_t before = batch.preemptions();
  if (!preempted) admit(batch, now_ps, plan, left);
  preempted |= batch.preemptions() != before;
  plan.decode = !batch.decoding().empty();
  // In a full batch who is next does not matter, unless someone gives way.
  const bool full = !preempts() && batch.running() >= batch.max_sequences();
  const bool settled =
      !batch.leaves_behind() && (batch.waiting().empty() || order_is_fixed() || full);
  plan.steady = plan.decode && plan.chunks.empty() && !preempted && settled;
}

// In order of rank, so that whoever gives way has not been planned yet.
bool ChunkedPrefill::continue_prompts(Batch& batch, StepPlan& plan, std::int32_t& left) {
  if (batch.prefilling().empty()) return false;
  order_ = batch.prefilling();
  const auto before = [&batch](Slot a, Slot b) {
    const Sequence &x = batch.sequence(a), &y = batch.sequence(b);
    return x.rank != y.rank ? x.rank < y.rank : x.admission < y.admission;
  };
  if (!std::is_sorted(order_.begin(), order_.end(), before))
    std::sort(order_.begin(), order_.end(), before);
  bool preempted = false;
  for (std::size_t i = 0; i < order_.size() && left > 0; ++i) {
    const Slot slot = order_[i];
    if (batch.sequence(slot).state != SequenceState::prefilling) continue;  // gave way meanwhile
    const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
    bool held = batch.extend(slot, tokens, batch.decode_blocks());
    while (!held) {
      preempted = true;
      const Slot last = batch.last_in_rank();
      plan.swapped_blocks += batch.preempt(last, batch.sequence(last).rank);
      if (last == slot) break;
      held = batch.extend(slot, tokens, batch.decode_blocks());
    }
    if (!held) break;  // it was the last itself: nothing behind it
    plan.chunks.push_back({slot, tokens});
    left -= tokens;
  }
  return preempted;
}

void ChunkedPrefill::admit(Batch& batch, std::int64_t now_ps, StepPlan& plan, std::int32_t& left) {
  while (left > 0 && !batch.waiting().empty()) {
    const Slot slot = next(batch);
    const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
    if (!batch.can_admit(slot, tokens, batch.decode_blocks())) {
      if (!preempts() || !give_way(batch, slot, plan, left)) return;
      continue;
    }
    take(batch, slot, tokens, now_ps, plan);
    admitted(batch, slot);
    left -= std::max(tokens, 1);
  }
}

// The last in rank leaves for a waiting request of a lower one; its part of the plan is undone.
bool ChunkedPrefill::give_way(Batch& batch, Slot to, StepPlan& plan, std::int32_t& left) {
  if (batch.running() == 0) return false;
  const Slot last = batch.last_in_rank();
  if (batch.sequence(last).rank <= batch.sequence(to).rank) return false;
  const auto planned = std::find_if(plan.chunks.begin(), plan.chunks.end(),
                                    [last](const PlannedChunk& c) { return c.slot == last; });
  if (planned != plan.chunks.end()) {
    left += planned->tokens;
    plan.chunks.erase(planned);
  } else if (batch.sequence(last).state == SequenceState::decoding) {
    ++left;
  }
  plan.swapped_blocks += batch.preempt(last, batch.sequence(last).rank);
  return true;
}

double reserved_output(BatchingPolicy policy, double engine) {
  switch (policy) {
    case BatchingPolicy::continuous:
    case BatchingPolicy::static_batching:
    case BatchingPolicy::dynamic_batching:
    case BatchingPolicy::length_bucketed:
      return 1.0;
    default:
      return engine;
  }
}

std::unique_ptr<Scheduler> make_scheduler(const BatchingSpec& batching, std::int32_t ranks,
                                          std::uint64_t seed) {
  const Budget budget = budget_of(batching, ranks);
  switch (batching.policy) {
    case BatchingPolicy::chunked_prefill:
      return std::make_unique<ChunkedPrefill>(budget);
    case BatchingPolicy::prefill_first:
    case BatchingPolicy::prefill_first_whole:
    case BatchingPolicy::continuous:
    case BatchingPolicy::decode_first:
      return make_prompt_first(batching, budget);
    case BatchingPolicy::static_batching:
    case BatchingPolicy::dynamic_batching:
    case BatchingPolicy::length_bucketed:
      return make_request_level(batching, budget);
    case BatchingPolicy::shortest_job_first:
    case BatchingPolicy::multilevel_feedback:
    case BatchingPolicy::earliest_deadline:
    case BatchingPolicy::least_slack:
    case BatchingPolicy::fair:
    case BatchingPolicy::priority:
      return make_ordered(batching, budget, seed);
    case BatchingPolicy::plugin:
      SIM_ASSERT(batching.plugin != nullptr, "a policy library that was not loaded");
      return batching.plugin->make(batching, ranks);
  }
  SIM_ASSERT(false, "a batching policy without a scheduler");
}

}  // namespace foretoken::models::serving
