#include "models/serving/bench_azconv.hpp"

#include <algorithm>

namespace foretoken::models::serving {

ServingSpec azconv_spec(const llm::ModelSpec& model, const hardware::NodeSpec& node,
                        const EngineSpec& engine,
                        std::shared_ptr<const std::vector<TraceRequest>> trace, int replicas) {
  constexpr std::int32_t kContext = 4096;
  auto requests = std::make_shared<std::vector<TraceRequest>>(*trace);
  for (TraceRequest& r : *requests) {
    r.output_tokens = std::min(r.output_tokens, kContext - 1);
    r.input_tokens = std::min(r.input_tokens, kContext - r.output_tokens);
  }
  ServingSpec spec;
  DeploymentSpec& d = spec.deployment;
  d.model = model;
  d.node = node;
  d.replicas = replicas;
  d.nodes = (replicas + node.gpus - 1) / node.gpus;
  d.engine = engine;
  d.batching.max_tokens = 512;
  d.batching.max_sequences = 128;
  spec.workload.name = "azure-llm-2023-conv, input + output <= 4096";
  spec.workload.arrivals = TraceArrivals{std::move(requests), replicas / 4.0};
  return spec;
}

}  // namespace foretoken::models::serving
