#pragma once
// The benchmark that other serving simulators were timed on: the Azure conversation trace of 2023
// on four replicas of Llama-2-7B, one A100-80GB each.
#include <memory>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

// Round robin, chunked prefill with 512 tokens a step and 128 sequences; prompts shortened so that
// input + output <= 4,096. With other numbers of replicas arrivals are sped up by replicas / 4, so
// that the total work is about the same. `engine` gives memory rules and host overheads.
ServingSpec azconv_spec(const llm::ModelSpec& model, const hardware::NodeSpec& node,
                        const EngineSpec& engine,
                        std::shared_ptr<const std::vector<TraceRequest>> trace, int replicas = 4);

}  // namespace foretoken::models::serving
