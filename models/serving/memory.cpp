// How an engine divides the memory of a GPU, and what is left for the KV cache.
#include "models/llm/memory.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "models/serving/serving.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

constexpr double kGigabyte = 1e9;

MemoryRule rule_of(const EngineSpec& engine) {
  if (engine.memory_rule != MemoryRule::by_engine) return engine.memory_rule;
  if (engine.tables.engine == "sglang") return MemoryRule::static_pool;
  if (engine.tables.engine == "trtllm") return MemoryRule::free_memory;
  return MemoryRule::whole;
}

std::string gigabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", bytes / kGigabyte);
  return text;
}

// Bytes the pool may take. Weights and reserve are there under every rule; the rules differ in
// what the fraction multiplies.
double pool_bytes(MemoryRule rule, double fraction, const MemoryAccount& a) {
  const double after_start = a.capacity - a.reserve;
  switch (rule) {
    case MemoryRule::static_pool:  // SGLang: activations live in the share left out
      return std::min(fraction * after_start - a.weights, after_start - a.weights - a.activations);
    case MemoryRule::free_memory:
      return fraction * (after_start - a.weights - a.activations);
    default:
      return std::min(fraction * a.capacity, a.capacity) - a.reserve - a.weights - a.activations;
  }
}

std::string in_words(const DeploymentSpec& d, const MemoryAccount& a) {
  return "one " + d.node.gpu.name + " has " + gigabytes(a.capacity) + "; weights take " +
         gigabytes(a.weights) + ", activations of a step of " +
         std::to_string(d.batching.max_tokens) + " tokens " + gigabytes(a.activations) +
         ", the framework " + gigabytes(a.reserve) + "; " + d.engine.name +
         " with memory fraction " + std::to_string(d.engine.memory_fraction).substr(0, 5) +
         " leaves " + gigabytes(std::max(0.0, a.kv)) + " for the KV cache";
}

// Experts kept in host memory must fit there, those of every replica on a node.
void check_host(const DeploymentSpec& d, const MemoryAccount& account) {
  if (account.host_weights <= 0) return;
  const int replicas = std::max(1, std::min(d.replicas, d.node.gpus / d.layout.gpus()));
  const double needed = account.host_weights * replicas;
  const double there = d.node.cpu.memory.value() * d.node.sockets;
  if (needed <= there) return;
  throw sim::core::InfeasibleError(d.model.name + " does not fit: its experts take " +
                                   gigabytes(needed) + " of host memory, and " + d.node.name +
                                   " has " + gigabytes(there) +
                                   ". Use smaller formats or a CPU card with more memory");
}

}  // namespace

MemoryAccount account_memory(const DeploymentSpec& d, std::int64_t longest_request) {
  MemoryAccount account;
  const double kv_token = llm::kv_bytes_per_token_per_gpu(d.model, d.layout, d.precision);
  account.capacity = d.node.gpu.memory.value();
  account.weights = llm::weight_bytes_per_gpu(d.model, d.layout, d.precision).value();
  account.host_weights = llm::host_weight_bytes(d.model, d.layout, d.precision).value();
  check_host(d, account);
  account.activations =
      llm::activation_bytes_per_gpu(d.model, d.layout, d.precision, d.batching.max_tokens,
                                    d.batching.max_sequences)
          .value();
  account.reserve = d.engine.framework_reserve.value();
  account.kv = pool_bytes(rule_of(d.engine), d.engine.memory_fraction, account);
  account.usable = account.capacity - account.reserve;
  const double block = kv_token * d.engine.kv_block_tokens;
  account.kv_blocks = account.kv > 0 ? static_cast<std::int64_t>(account.kv / block) : 0;
  account.kv_tokens = account.kv_blocks * d.engine.kv_block_tokens;

  const std::int64_t context = d.model.max_positions;
  const std::int64_t needed =
      std::max<std::int64_t>(1, longest_request > 0 ? std::min(longest_request, context) : context);
  if (account.kv_tokens < needed) {
    const double missing =
        std::ceil(static_cast<double>(needed) / d.engine.kv_block_tokens) * block - account.kv;
    throw sim::core::InfeasibleError(
        d.model.name + " does not fit: " + in_words(d, account) + ", and one request of " +
        std::to_string(needed) + " tokens needs " + gigabytes(missing) + " more (" +
        std::to_string(static_cast<std::int64_t>(std::ceil(missing))) +
        " bytes missing on each GPU). Use more GPUs a replica, smaller formats, fewer tokens a "
        "step, or a GPU with more memory");
  }
  return account;
}

}  // namespace foretoken::models::serving
