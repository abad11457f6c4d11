#include "models/serving/pools.hpp"

#include "sim/core/error.hpp"

namespace foretoken::models::serving {
namespace {

using std::to_string;

std::string kv_name(const DeploymentSpec& d) {
  return std::string(hardware::to_string(d.precision.kv));
}

void check_one(const DeploymentSpec& d, std::vector<std::string>& errors) {
  const auto expect = [&errors](bool holds, std::string words) {
    if (!holds) errors.push_back(std::move(words));
  };
  expect(d.replicas >= 1, "deployment.replicas must be at least one");
  expect(d.batching.max_tokens >= 1, "batching.max_tokens must be at least one");
  expect(d.batching.max_sequences >= 1, "batching.max_sequences must be at least one");
  expect(d.engine.kv_block_tokens >= 1, "the engine card's kv_block_tokens must be at least one");
  expect(d.layout.gpus() * d.replicas <= d.nodes * d.node.gpus,
         to_string(d.replicas) + " replicas of " + to_string(d.layout.gpus()) +
             " GPUs need more than the " + to_string(d.nodes * d.node.gpus) +
             " GPUs of the deployment: add nodes or use fewer replicas");
  Duration before;
  for (const ServiceStep& step : d.schedule) {
    expect(step.at >= before, "the steps of a schedule must come in order of time");
    expect(step.replicas >= 0 && step.replicas <= d.replicas,
           "a schedule asks for " + to_string(step.replicas) + " of " + to_string(d.replicas) +
               " replicas");
    before = step.at;
  }
  if (d.autoscale.requests_per_replica > 0) {
    expect(d.schedule.empty(), "a pool is sized by a schedule or by its load, not by both");
    expect(d.autoscale.interval > Duration(), "autoscaling needs an interval between two looks");
    expect(d.autoscale.least >= 1 && d.autoscale.least <= d.replicas,
           "autoscaling needs at least one replica and at most all to start with");
  }
}

}  // namespace

std::vector<const DeploymentSpec*> pools_of(const ServingSpec& spec) {
  std::vector<const DeploymentSpec*> pools{&spec.deployment};
  for (const DeploymentSpec& pool : spec.pools) pools.push_back(&pool);
  return pools;
}

double kv_bytes_per_token(const DeploymentSpec& d) {
  const double gpu = llm::kv_bytes_per_token_per_gpu(d.model, d.layout, d.precision);
  // Latent caches are whole on every tensor rank: one copy moves.
  return gpu * d.layout.context * d.layout.pipeline * (d.model.attention.mla ? 1 : d.layout.tensor);
}

std::vector<std::string> kv_exchange_errors(const DeploymentSpec& prefill,
                                            const DeploymentSpec& decode) {
  std::vector<std::string> errors;
  if (prefill.model.name != decode.model.name)
    errors.push_back("the prefill pool runs " + prefill.model.name + ", the decode pool " +
                     decode.model.name);
  if (prefill.precision.kv != decode.precision.kv)
    errors.push_back("the prefill pool caches in " + kv_name(prefill) + ", the decode pool in " +
                     kv_name(decode) + "; set one kv_cache for both");
  if (prefill.engine.kv_block_tokens != decode.engine.kv_block_tokens)
    errors.push_back("KV blocks of " + to_string(prefill.engine.kv_block_tokens) + " tokens (" +
                     prefill.engine.name + ") do not fit into blocks of " +
                     to_string(decode.engine.kv_block_tokens) + " (" + decode.engine.name + ")");
  if (prefill.layout.pipeline != decode.layout.pipeline)
    errors.push_back("the prefill pool splits the layers over " +
                     to_string(prefill.layout.pipeline) + " stages, the decode pool over " +
                     to_string(decode.layout.pipeline));
  if (!prefill.model.attention.mla && prefill.layout.tensor != decode.layout.tensor)
    errors.push_back("KV heads lie on " + to_string(prefill.layout.tensor) +
                     " tensor ranks in the prefill pool and on " + to_string(decode.layout.tensor) +
                     " in the decode pool");
  return errors;
}

void check_pools(const ServingSpec& spec) {
  std::vector<std::string> errors;
  const auto pools = pools_of(spec);
  const DeploymentSpec* prefill = nullptr;
  const DeploymentSpec* decode = nullptr;
  bool whole = false;
  for (const DeploymentSpec* pool : pools) {
    check_one(*pool, errors);
    if (pool->role == PoolRole::prefill) prefill = pool;
    if (pool->role == PoolRole::decode) decode = pool;
    whole = whole || pool->role == PoolRole::whole;
  }
  if ((prefill == nullptr) != (decode == nullptr) || (whole && prefill != nullptr))
    errors.emplace_back("prefill and decode pools come together, and not beside whole replicas");
  if (prefill != nullptr && decode != nullptr) {
    for (const DeploymentSpec* one : pools)
      for (const DeploymentSpec* other : pools)
        if (one->role == PoolRole::prefill && other->role == PoolRole::decode)
          for (auto& error : kv_exchange_errors(*one, *other)) errors.push_back(std::move(error));
  }
  if (errors.empty()) return;
  std::vector<sim::core::Diagnostic> diagnostics;
  for (auto& error : errors) diagnostics.push_back({"", 0, 0, std::move(error), "", false});
  throw sim::core::InputError(std::move(diagnostics));
}

}  // namespace foretoken::models::serving
