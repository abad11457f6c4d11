#include "models/serving/scheduler.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

struct Budget {
  std::int32_t step = 0;   // new tokens all ranks take together
  std::int32_t chunk = 0;  // of one prompt
};

std::int32_t next_chunk(const Batch& batch, Slot slot, std::int32_t left, const Budget& budget) {
  const Sequence& sequence = batch.sequence(slot);
  return std::min({left, budget.chunk, sequence.target - sequence.prefilled});
}

// Preempts the latest until the coming decode step finds its blocks. True if anything was.
bool make_room_for_decode(Batch& batch) {
  bool preempted = false;
  while (!batch.decoding().empty() && batch.decode_blocks() > batch.free_blocks()) {
    batch.preempt_latest();
    preempted = true;
  }
  return preempted;
}

// Sarathi-Serve (Agrawal et al., OSDI 2024, algorithm 3) as vLLM V1 does it: decodes first, then
// what is left of the token budget goes to prompts, running ones before waiting ones. Prompts that
// find no blocks throw out the latest; after that nothing is admitted in this step.
class ChunkedPrefill final : public Scheduler {
 public:
  explicit ChunkedPrefill(const Budget& budget) : budget_(budget) {}

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    bool preempted = make_room_for_decode(batch);
    std::int32_t left = budget_.step - static_cast<std::int32_t>(batch.decoding().size());
    preempted |= continue_prompts(batch, plan, left);
    if (!preempted) admit(batch, now_ps, plan, left);
    plan.decode = !batch.decoding().empty();
    plan.steady = plan.decode && plan.chunks.empty() && !preempted;
  }

 private:
  bool continue_prompts(Batch& batch, StepPlan& plan, std::int32_t& left) const {
    bool preempted = false;
    for (std::size_t i = 0; i < batch.prefilling().size() && left > 0; ++i) {
      const Slot slot = batch.prefilling()[i];
      const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
      bool held = batch.extend(slot, tokens, batch.decode_blocks());
      while (!held) {
        preempted = true;
        if (batch.preempt_latest() == slot) break;
        held = batch.extend(slot, tokens, batch.decode_blocks());
      }
      if (!held) break;  // it was the latest itself: nothing behind it
      plan.chunks.push_back({slot, tokens});
      left -= tokens;
    }
    return preempted;
  }

  void admit(Batch& batch, std::int64_t now_ps, StepPlan& plan, std::int32_t& left) const {
    while (left > 0 && !batch.waiting().empty()) {
      const Slot slot = batch.waiting().front();
      const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
      if (!batch.admit_front(tokens, batch.decode_blocks(), now_ps)) return;
      plan.chunks.push_back({slot, tokens});
      left -= tokens;
    }
  }

  Budget budget_;
};

// SGLang's default (get_next_batch_to_run): as long as prompts can be processed, a step takes
// prompts only, the last one cut at the budget; decoding waits.
class PrefillFirst final : public Scheduler {
 public:
  explicit PrefillFirst(const Budget& budget) : budget_(budget) {}

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    std::int32_t left = budget_.step;
    for (const Slot slot : batch.prefilling()) take(batch, slot, plan, left);
    while (left > 0 && !batch.waiting().empty()) {
      const Slot slot = batch.waiting().front();
      const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
      if (!batch.admit_front(tokens, 0, now_ps)) break;
      plan.chunks.push_back({slot, tokens});
      left -= tokens;
    }
    if (!plan.chunks.empty()) return;
    const bool preempted = make_room_for_decode(batch);
    plan.decode = !batch.decoding().empty();
    plan.steady = plan.decode && !preempted && batch.prefilling().empty();
    if (!plan.decode) unblock(batch, now_ps, plan);
  }

 private:
  void take(Batch& batch, Slot slot, StepPlan& plan, std::int32_t& left) const {
    const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
    if (tokens <= 0 || !batch.extend(slot, tokens, 0)) return;
    plan.chunks.push_back({slot, tokens});
    left -= tokens;
  }

  // Only half-done prompts hold the pool: the latest gives way until the first can go on.
  void unblock(Batch& batch, std::int64_t now_ps, StepPlan& plan) {
    while (plan.chunks.empty() && batch.running() > 0) {
      batch.preempt_latest();
      std::int32_t left = budget_.step;
      if (!batch.prefilling().empty()) take(batch, batch.prefilling().front(), plan, left);
    }
    if (!plan.chunks.empty() || batch.waiting().empty()) return;
    const Slot slot = batch.waiting().front();
    const std::int32_t tokens = next_chunk(batch, slot, budget_.step, budget_);
    if (batch.admit_front(tokens, 0, now_ps)) plan.chunks.push_back({slot, tokens});
  }

  Budget budget_;
};

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(const BatchingSpec& batching, std::int32_t ranks) {
  const Budget budget{batching.max_tokens * ranks, batching.max_tokens};
  switch (batching.policy) {
    case BatchingPolicy::chunked_prefill:
      return std::make_unique<ChunkedPrefill>(budget);
    case BatchingPolicy::prefill_first:
      return std::make_unique<PrefillFirst>(budget);
  }
  SIM_ASSERT(false, "a batching policy without a scheduler");
}

}  // namespace foretoken::models::serving
