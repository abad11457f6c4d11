#pragma once
// A GPU and jobs with round figures, for hand calculations.
#include <memory>

#include "models/kernels/calibration.hpp"
#include "models/training/spec.hpp"

namespace foretoken::models::training::test {

inline hardware::NodeSpec node(int gpus = 8) {
  hardware::NodeSpec n;
  n.name = "test-node";
  n.gpus = gpus;
  n.nics = gpus;
  n.nic_bandwidth = hardware::BytesPerSecond(50e9);
  n.nic_latency_s = 5e-6;
  n.gpu.name = "test-gpu";
  n.gpu.architecture = "hopper";
  n.gpu.sm_count = 132;
  n.gpu.boost_clock = sim::core::Hertz(1.755e9);
  n.gpu.memory = hardware::Bytes(80e9);
  n.gpu.memory_bandwidth = hardware::BytesPerSecond(3.35e12);
  n.gpu.l2_cache = hardware::Bytes(50e6);
  n.gpu.peak = {{hardware::DType::bf16, hardware::FlopsPerSecond(989e12)},
                {hardware::DType::fp8, hardware::FlopsPerSecond(1979e12)}};
  n.gpu.sustained_compute = 0.87;
  n.gpu.scale_up_bandwidth = hardware::BytesPerSecond(450e9);
  n.gpu.pcie_bandwidth = hardware::BytesPerSecond(64e9);
  return n;
}

// 1.0B of matrices in 16 layers: 4 x 2048^2 + 3 x 2048 x 5632 each, 32,000 words.
inline llm::ModelSpec model(int layers = 16) {
  llm::ModelSpec m;
  m.name = "test-1b";
  m.architecture = "LlamaForCausalLM";
  m.layers = layers;
  m.hidden = 2048;
  m.intermediate = 5632;
  m.vocab = 32000;
  m.max_positions = 2048;
  m.attention.heads = m.attention.kv_heads = 16;
  m.attention.head_dim = 128;
  return m;
}

inline TrainingSpec job(Schedule schedule, int pipeline, int micro_batches, int chunks = 1) {
  TrainingSpec spec;
  spec.model = model(64);
  spec.node = node();
  spec.schedule = schedule;
  spec.layout.pipeline = pipeline;
  spec.layout.virtual_stages = chunks;
  spec.batch = {micro_batches, 1, 2048};
  return spec;
}

inline std::shared_ptr<const kernels::Calibration> no_tables() {
  return std::make_shared<const kernels::Calibration>();
}

}  // namespace foretoken::models::training::test
