#pragma once
// Batching policies. A scheduler is asked at every step boundary what the next iteration does; it
// admits, extends and preempts through Batch and lists the work in a StepPlan. One class a policy.
#include <cstdint>
#include <memory>
#include <vector>

#include "models/serving/batch.hpp"
#include "models/serving/spec.hpp"

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

  [[nodiscard]] bool empty() const { return !decode && chunks.empty(); }
  template <class A>
  void fields(A& archive) {
    archive(decode, chunks, steady);
  }
  void clear() {
    decode = steady = false;
    chunks.clear();
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
};

// `ranks`: attention ranks of the replica. Together they take ranks x max_tokens a step, but a
// prompt is processed by one of them.
std::unique_ptr<Scheduler> make_scheduler(const BatchingSpec& batching, std::int32_t ranks = 1);

}  // namespace foretoken::models::serving
