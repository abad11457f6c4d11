// Policies that treat prompts and decodes as kinds of work: SGLang's and vLLM V0's prefill first,
// Orca's continuous batching, decode first.
#include "models/serving/policy_parts.hpp"

namespace foretoken::models::serving {
namespace {

// Queue in order of arrival, prompts whole or cut at the budget.
class PromptSteps : public Scheduler {
 public:
  PromptSteps(const Budget& budget, bool whole, bool apart = false)
      : budget_(budget), whole_(whole), apart_(apart) {}

 protected:
  // Of `slot` in a step that has `left` tokens; 0 = none. A whole prompt that is longer than a step
  // runs in pieces with nothing beside it.
  [[nodiscard]] std::int32_t piece(const Batch& batch, Slot slot, std::int32_t left,
                                   const StepPlan& plan) const {
    const std::int32_t tokens = next_chunk(batch, slot, left, budget_);
    const bool part = tokens < prompt_left(batch.sequence(slot));
    return whole_ && part && !plan.chunks.empty() ? 0 : tokens;
  }

  void go_on(Batch& batch, Slot slot, StepPlan& plan, std::int32_t& left) const {
    const std::int32_t tokens = piece(batch, slot, left, plan);
    if (tokens <= 0 || !batch.extend(slot, tokens, 0)) return;
    plan.chunks.push_back({slot, tokens});
    left -= tokens;
  }

  // Prompts in progress, then waiting ones. `beside` decodes: their next blocks stay free.
  void fill(Batch& batch, std::int64_t now_ps, StepPlan& plan, bool beside) const {
    std::int32_t left = budget_.step;
    for (const Slot slot : batch.prefilling()) go_on(batch, slot, plan, left);
    while (left > 0 && !batch.waiting().empty()) {
      const Slot slot = batch.waiting().front();
      const std::int32_t tokens = piece(batch, slot, left, plan);
      if (tokens == 0 && prompt_left(batch.sequence(slot)) > 0) return;
      if (apart_ && (tokens == 0 ? !plan.chunks.empty() : !batch.decoding().empty())) return;
      // Who comes back from host memory to decode must not throw out who decodes.
      const bool keeps = beside || batch.sequence(slot).swapped;
      const std::int64_t kept = keeps ? batch.decode_blocks() : 0;
      if (!batch.can_admit(slot, tokens, kept)) return;
      take(batch, slot, tokens, now_ps, plan);
      left -= tokens;
    }
  }

  // Only half-done prompts hold the pool: the last in rank gives way until the first can go on.
  void unblock(Batch& batch, std::int64_t now_ps, StepPlan& plan) const {
    while (plan.chunks.empty() && batch.running() > 0) {
      const Slot last = batch.last_in_rank();
      plan.swapped_blocks += batch.preempt(last, batch.sequence(last).rank);
      std::int32_t left = budget_.step;
      if (!batch.prefilling().empty()) go_on(batch, batch.prefilling().front(), plan, left);
    }
    if (!plan.chunks.empty() || batch.waiting().empty()) return;
    const Slot slot = batch.waiting().front();
    const std::int32_t tokens = next_chunk(batch, slot, budget_.step, budget_);
    if (batch.can_admit(slot, tokens, 0)) take(batch, slot, tokens, now_ps, plan);
    plan.decode = !batch.decoding().empty();
  }

  Budget budget_;
  bool whole_;
  bool apart_;  // no step has prompts and decodes, of those that come back from host memory either
};

// SGLang's default (get_next_batch_to_run): as long as prompts can be processed, a step takes
// prompts only, the last one cut at the budget; decoding waits. Whole: vLLM V0's default.
class PrefillFirst final : public PromptSteps {
 public:
  using PromptSteps::PromptSteps;

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    fill(batch, now_ps, plan, false);
    if (!plan.chunks.empty()) return;
    const bool preempted = make_room_for_decode(batch, plan);
    plan.decode = !batch.decoding().empty();
    plan.steady = plan.decode && !preempted && batch.prefilling().empty() && !batch.leaves_behind();
    if (!plan.decode) unblock(batch, now_ps, plan);
  }
};

// Orca (Yu et al., OSDI 2022): a request joins at any iteration with its whole prompt, if there is
// room for all of its output too, so that nothing is ever preempted.
class Continuous final : public PromptSteps {
 public:
  explicit Continuous(const Budget& budget) : PromptSteps(budget, true) {}

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    const bool preempted = make_room_for_decode(batch, plan);
    if (!preempted) fill(batch, now_ps, plan, true);
    plan.decode = !batch.decoding().empty();
    plan.steady = plan.decode && plan.chunks.empty() && !preempted && batch.prefilling().empty() &&
                  !batch.leaves_behind();
    if (plan.empty()) unblock(batch, now_ps, plan);
  }
};

// Nothing slows a decode down: prompts run only in steps in which nothing decodes.
class DecodeFirst final : public PromptSteps {
 public:
  explicit DecodeFirst(const Budget& budget) : PromptSteps(budget, false, true) {}

  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override {
    const bool preempted = make_room_for_decode(batch, plan);
    plan.decode = !batch.decoding().empty();
    plan.steady = plan.decode && !preempted && !batch.leaves_behind();
    if (plan.decode) return;
    fill(batch, now_ps, plan, false);
    plan.decode = !batch.decoding().empty();  // KV that came back from host memory
    if (plan.empty()) unblock(batch, now_ps, plan);
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_prompt_first(const BatchingSpec& batching, const Budget& budget) {
  switch (batching.policy) {
    case BatchingPolicy::continuous:
      return std::make_unique<Continuous>(budget);
    case BatchingPolicy::decode_first:
      return std::make_unique<DecodeFirst>(budget);
    default:
      return std::make_unique<PrefillFirst>(budget,
                                            batching.policy == BatchingPolicy::prefill_first_whole);
  }
}

}  // namespace foretoken::models::serving
