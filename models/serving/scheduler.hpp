#pragma once
// Batching policies. A scheduler is asked at every step boundary what the next iteration does; it
// admits, extends and preempts through Batch and lists the work in a StepPlan. One class a policy,
// in policy_*.cpp; the user's own in a shared library (policy_plugin.hpp).
#include <cstdint>
#include <memory>
#include <vector>

#include "models/serving/batch.hpp"
#include "models/serving/batching.hpp"

namespace foretoken::models::serving {

struct PlannedChunk {
  Slot slot = 0;
  std::int32_t tokens = 0;
};

struct StepPlan {
  bool decode = false;  // every decoding sequence adds a token; their blocks are free
  std::vector<PlannedChunk> chunks;
  // The same plan would be made again after this step unless a request arrives, a sequence reaches
  // a milestone, or the pool has too few blocks for the step. Lets the replica run many decode
  // steps in one event. False is always right.
  bool steady = false;
  bool padded = false;               // prompts of the step take as long as its longest
  std::int32_t lanes = 0;            // decodes cost as much as this many (0 = as those there are)
  std::int32_t swapped_blocks = 0;   // copied to or from host memory before the step
  std::int64_t wake_ps = INT64_MAX;  // nothing to do now, but ask again then

  [[nodiscard]] bool empty() const { return !decode && chunks.empty(); }
  template <class A>
  void fields(A& archive) {
    archive(decode, chunks, steady, padded, lanes, swapped_blocks, wake_ps);
  }
  void clear() {
    chunks.clear();
    decode = steady = padded = false;
    lanes = swapped_blocks = 0;
    wake_ps = INT64_MAX;
  }
};

class Scheduler {
 public:
  Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  virtual ~Scheduler() = default;
  // Called with an empty plan. An empty plan on return means nothing can run now.
  virtual void plan(Batch& batch, std::int64_t now_ps, StepPlan& plan) = 0;
  // Place in the queue of a request that has just arrived: lower first.
  [[nodiscard]] virtual double rank(const Sequence& sequence) const {
    (void)sequence;
    return 0.0;
  }
  virtual void arrived(const Batch& batch, Slot slot) { (void)batch, (void)slot; }
  // Has all its tokens, still in its place.
  virtual void finished(const Batch& batch, Slot slot) { (void)batch, (void)slot; }
};

// `ranks`: attention ranks of the replica. Together they take ranks x max_tokens a step, but a
// prompt is processed by one of them. `seed`: of the run, for predictions with an error.
std::unique_ptr<Scheduler> make_scheduler(const BatchingSpec& batching, std::int32_t ranks = 1,
                                          std::uint64_t seed = 1);

// Share of the output that a policy finds room for before a request starts: its own rule, or the
// engine's.
double reserved_output(BatchingPolicy policy, double engine);

}  // namespace foretoken::models::serving
