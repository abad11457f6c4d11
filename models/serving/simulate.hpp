#pragma once
// The simulation with everything injected: for tests with hand-made step times, and for callers
// that run one deployment many times.
#include <vector>

#include "models/serving/serving.hpp"
#include "models/serving/step_timer.hpp"

namespace foretoken::models::serving {

// What a pool's replicas run on.
struct PoolModel {
  const StepTimer* timer = nullptr;
  MemoryAccount memory;
};

// As simulate(), with this timer and this memory; the result's `sources` stay empty.
ServingResult simulate_with(const ServingSpec& spec, const StepTimer& timer,
                            const MemoryAccount& memory, const sim::engine::RunOptions& options);
// The same with a timer for each pool.
ServingResult simulate_with(const ServingSpec& spec, const std::vector<PoolModel>& models,
                            const sim::engine::RunOptions& options);

}  // namespace foretoken::models::serving
