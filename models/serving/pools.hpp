#pragma once
// The pools of a deployment, and whether they can work together.
#include <string>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

// In the order of the scenario: `deployment` and then `pools`.
std::vector<const DeploymentSpec*> pools_of(const ServingSpec& spec);

// Why a prompt's KV cache cannot move from one pool to the other as it lies: every difference in
// words; empty = it can.
std::vector<std::string> kv_exchange_errors(const DeploymentSpec& prefill,
                                            const DeploymentSpec& decode);

// Bytes of KV of one token over all GPUs that hold a part of it.
double kv_bytes_per_token(const DeploymentSpec& deployment);

// Throws InputError naming everything that cannot be simulated.
void check_pools(const ServingSpec& spec);

}  // namespace foretoken::models::serving
