#pragma once
// What the batching policies share: budgets, chunks, who gives way, and chunked prefill with a
// queue in any order.
#include <algorithm>
#include <optional>
#include <vector>

#include "models/serving/scheduler.hpp"

namespace foretoken::models::serving {

struct Budget {
  std::int32_t step = 0;   // new tokens all ranks take together
  std::int32_t chunk = 0;  // of one prompt
};

inline Budget budget_of(const BatchingSpec& batching, std::int32_t ranks) {
  const int prompt = batching.max_prompt_tokens;
  return {batching.max_tokens * ranks,
          prompt > 0 ? std::min(prompt, batching.max_tokens) : batching.max_tokens};
}

inline std::int32_t prompt_left(const Sequence& sequence) {
  return sequence.target - sequence.prefilled;
}

inline std::int32_t next_chunk(const Batch& batch, Slot slot, std::int32_t left,
                               const Budget& budget) {
  return std::min({left, budget.chunk, prompt_left(batch.sequence(slot))});
}

// A waiting request into the batch and, unless its KV came back whole, into the plan.
inline void take(Batch& batch, Slot slot, std::int32_t tokens, std::int64_t now_ps,
                 StepPlan& plan) {
  plan.swapped_blocks += batch.admit(slot, tokens, now_ps);
  if (tokens > 0) plan.chunks.push_back({slot, tokens});
}

// Preempts from the end of the ranking until the coming decode step finds its blocks. True if
// anything was.
bool make_room_for_decode(Batch& batch, StepPlan& plan);

// Log-normal with median 1 and this sigma, the same for a request on every replica.
double predicted_output(const Sequence& sequence, double sigma, std::uint64_t seed);

// Sarathi-Serve (Agrawal et al., OSDI 2024, algorithm 3) as vLLM V1 does it: decodes first, then
// what is left of the token budget goes to prompts, running ones before waiting ones. Prompts that
// find no blocks throw out the last in rank; after that nothing is admitted in this step.
// Subclasses say in which order the queue is served and whether running requests give way to it.
class ChunkedPrefill : public Scheduler {
 public:
  explicit ChunkedPrefill(const Budget& budget) : budget_(budget) {}
  void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) override;

 protected:
  virtual void begin(Batch& batch) { (void)batch; }
  // Which waiting request is next.
  [[nodiscard]] virtual Slot next(const Batch& batch) { return batch.waiting().front(); }
  virtual void admitted(const Batch& batch, Slot slot) { (void)batch, (void)slot; }
  // Whether a waiting request throws out running ones of a higher rank.
  [[nodiscard]] virtual bool preempts() const { return false; }
  // Whether next() and the ranks stay as they are while nothing arrives or ends.
  [[nodiscard]] virtual bool order_is_fixed() const { return true; }

 private:
  bool continue_prompts(Batch& batch, StepPlan& plan, std::int32_t& left);
  void admit(Batch& batch, std::int64_t now_ps, StepPlan& plan, std::int32_t& left);
  bool give_way(Batch& batch, Slot to, StepPlan& plan, std::int32_t& left);

  Budget budget_;
  std::vector<Slot> order_;
};

// One factory a file of policies.
std::unique_ptr<Scheduler> make_prompt_first(const BatchingSpec& batching, const Budget& budget);
std::unique_ptr<Scheduler> make_request_level(const BatchingSpec& batching, const Budget& budget);
std::unique_ptr<Scheduler> make_ordered(const BatchingSpec& batching, const Budget& budget,
                                        std::uint64_t seed);

}  // namespace foretoken::models::serving
