#pragma once
// What a replica must know of the hardware: how long one engine iteration takes and what it keeps
// busy. Behind an interface so that the queueing part is tested with service times chosen by hand.
#include <cstdint>
#include <span>

#include "models/llm/operators.hpp"
#include "sim/core/time.hpp"

namespace foretoken::models::serving {

// One iteration of the engine, as the batch scheduler composed it.
struct StepInput {
  std::int32_t decode_batch = 0;       // sequences that each add one token
  std::int64_t decode_context = 0;     // tokens they attend to, their own included, summed
  std::span<const llm::Chunk> chunks;  // parts of prompts
  std::int32_t logits = 0;             // sequences whose next token is sampled in this step
  // What goes between nodes takes so many times as long as with the network to itself.
  double network_stretch = 1.0;
};

struct StepCost {      // seconds on the GPUs of one replica
  double seconds = 0;  // the whole step; the six parts add up to it
  double gemm_s = 0, attention_s = 0, experts_s = 0, communication_s = 0, elementwise_s = 0,
         host_s = 0;
  // Busy time at full speed, for power: tensor cores, memory and links, each at its peak rate.
  double tensor_s = 0, memory_s = 0, link_s = 0;
  // Between nodes: bytes that each GPU sends and receives, and their time at the rate that they
  // have with the network to themselves.
  double network_bytes = 0, network_s = 0;
};

StepCost& operator+=(StepCost& a, const StepCost& b);

class StepTimer {
 public:
  StepTimer() = default;
  StepTimer(const StepTimer&) = delete;
  StepTimer& operator=(const StepTimer&) = delete;
  virtual ~StepTimer() = default;

  // Must be a pure function: replicas on several threads share one timer.
  [[nodiscard]] virtual StepCost cost(const StepInput& step) const = 0;

  // Durations of successive pure decode steps of the same batch, whose context grows by `batch`
  // a step: exactly what cost() says for each.
  virtual void decode_run(std::int32_t batch, std::int64_t context,
                          std::span<sim::core::Duration> durations) const {
    for (auto& duration : durations) {
      const StepInput step{batch, context, {}, batch};
      duration = sim::core::Duration::from_seconds(cost(step).seconds);
      context += batch;
    }
  }
  // The same steps' whole costs.
  virtual void decode_costs(std::int32_t batch, std::int64_t context,
                            std::span<StepCost> costs) const {
    for (auto& one : costs) {
      one = cost({batch, context, {}, batch});
      context += batch;
    }
  }
};

}  // namespace foretoken::models::serving
