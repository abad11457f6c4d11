#pragma once
// The engine's own command line for a pool of a deployment.
#include <string>
#include <utility>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::analysis::exporters {

struct Launch {
  std::string engine;  // vllm, sglang or trtllm
  // Flags in words, "--tp-size 8": those that scenarios/engines/flags knows, so that they read back
  // as the same deployment.
  std::vector<std::string> flags;
  // TensorRT-LLM's --extra_llm_api_options file, YAML lines.
  std::vector<std::string> options;
  std::vector<std::string> notes;  // what the engine cannot be told, or does differently
};

inline constexpr const char* kLaunchEngines[] = {"vllm", "sglang", "trtllm"};

// std::invalid_argument on an engine that is none of them.
Launch launch_of(const models::serving::DeploymentSpec& deployment, const std::string& engine);

// Nodes that one replica takes, at least 1.
int nodes_a_replica(const models::serving::DeploymentSpec& deployment);

}  // namespace foretoken::analysis::exporters
