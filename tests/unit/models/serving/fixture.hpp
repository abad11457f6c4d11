#pragma once
// Scenarios small enough to work by hand: step times are a formula, memory is a number of blocks.
#include <memory>
#include <utility>
#include <vector>

#include "models/serving/simulate.hpp"

namespace foretoken::models::serving::testing {

// step = fixed + per decode + per prompt token + per attended token, in seconds; and the time of
// what goes between nodes, 1,000 B of each GPU.
struct LinearTimer final : StepTimer {
  double fixed = 0, per_decode = 0, per_prompt_token = 0, per_context = 0, between = 0;

  LinearTimer(double f, double d, double p, double c = 0, double n = 0)
      : fixed(f), per_decode(d), per_prompt_token(p), per_context(c), between(n) {}
  [[nodiscard]] StepCost cost(const StepInput& step) const override {
    StepCost cost;
    double tokens = 0;
    for (const auto& chunk : step.chunks) tokens += static_cast<double>(chunk.tokens);
    cost.gemm_s = fixed + per_decode * step.decode_batch + per_prompt_token * tokens;
    cost.attention_s = per_context * static_cast<double>(step.decode_context);
    cost.seconds = cost.gemm_s + cost.attention_s;
    cost.memory_s = cost.seconds / 2;
    if (between <= 0) return cost;
    cost.network_s = between;
    cost.network_bytes = 1000;
    cost.communication_s = step.network_stretch * between;
    cost.seconds += cost.communication_s;
    return cost;
  }
};

// Without measured tables.
inline hardware::GpuSpec hopper_gpu() {
  hardware::GpuSpec gpu;
  gpu.name = "test-gpu";
  gpu.architecture = "hopper";
  gpu.sm_count = 132;
  gpu.memory = hardware::Bytes(141e9);
  gpu.memory_bandwidth = hardware::BytesPerSecond(4.8e12);
  gpu.l2_cache = hardware::Bytes(50e6);
  gpu.peak[hardware::DType::bf16] = hardware::FlopsPerSecond(989e12);
  gpu.scale_up_bandwidth = hardware::BytesPerSecond(450e9);
  gpu.tdp = hardware::Watts(700);
  gpu.idle = hardware::Watts(75);
  return gpu;
}

inline MemoryAccount blocks(std::int64_t count) {
  MemoryAccount memory;
  memory.kv_blocks = count;
  return memory;
}

// One replica on one GPU, blocks of 4 tokens, no client overhead but the least hop of 1 us.
inline ServingSpec small_spec(int max_tokens, int max_sequences) {
  ServingSpec spec;
  DeploymentSpec& d = spec.deployment;
  d.model.name = "toy";
  d.model.max_positions = 1 << 20;
  d.node.gpus = 8;
  d.node.gpu.idle = hardware::Watts(100);
  d.node.gpu.tdp = hardware::Watts(700);
  d.node.gpu.pcie_bandwidth = hardware::BytesPerSecond(1e4);
  d.node.host_idle = hardware::Watts(500);
  d.node.host_load = hardware::Watts(1000);
  d.power.memory = 0.5;
  d.engine.kv_block_tokens = 4;
  d.batching.max_tokens = max_tokens;
  d.batching.max_sequences = max_sequences;
  return spec;
}

struct At {
  double seconds;
  std::int32_t input, output;
};

inline TraceArrivals trace(const std::vector<At>& requests) {
  auto list = std::make_shared<std::vector<TraceRequest>>();
  for (const At& r : requests)
    list->push_back({.arrival_ps = sim::core::Duration::from_seconds(r.seconds).ps(),
                     .input_tokens = r.input,
                     .output_tokens = r.output});
  return {std::move(list), 1.0};
}

inline constexpr double kHop = 1e-6;  // least delay of a message, each way

}  // namespace foretoken::models::serving::testing
