#pragma once
// Serving scenarios that exercise every kind of message, and a digest of all that a run returns.
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/models/serving/fixture.hpp"

namespace foretoken::models::serving::testing {

struct Case {
  std::string name;
  ServingSpec spec;
  double between_s = 0.0;  // of a step, between nodes
};

inline std::vector<Case> serving_cases() {
  std::vector<Case> cases;
  // Open arrivals, nothing flows back: arrivals are sent ahead of their time.
  ServingSpec open = small_spec(64, 16);
  open.deployment.replicas = 7;
  open.workload.arrivals = PoissonArrivals{40.0};
  open.workload.input = {0.1, 200};
  open.workload.output = {0.1, 100};
  open.workload.requests = 3'000;
  cases.push_back({"open", open});
  // The router hears of completions.
  ServingSpec fed = open;
  fed.deployment.router = "least_requests";
  fed.deployment.engine.client_s = 0.02;
  cases.push_back({"least requests", fed});
  // Clients wait for answers; too few blocks, so that requests are preempted.
  ServingSpec closed = open;
  closed.workload.arrivals = ClosedLoopArrivals{60};
  closed.workload.requests = 1'500;
  closed.deployment.engine.client_s = 0.01;
  closed.deployment.batching.policy = BatchingPolicy::prefill_first;
  cases.push_back({"closed loop", closed});
  // Conversations: turns follow answers, and the queue is by tenant.
  ServingSpec talk = open;
  talk.workload.arrivals = SessionArrivals{6.0, 4.0, 0.7};
  talk.workload.input = {0.1, 60};
  talk.workload.requests = 2'000;
  talk.workload.classes = {{"a", 2.0, 0, -1}, {"b", 1.0, 1, 2'000'000'000'000}};
  talk.deployment.batching.policy = BatchingPolicy::fair;
  cases.push_back({"conversations", talk});
  // Who is less urgent waits in host memory.
  ServingSpec urgent = open;
  urgent.workload.arrivals = ModulatedArrivals{{{80.0, 5.0}, {2.0, 20.0}}};
  urgent.workload.classes = talk.workload.classes;
  urgent.deployment.batching.policy = BatchingPolicy::priority;
  urgent.deployment.model.layers = 1;
  urgent.deployment.model.attention.kv_heads = urgent.deployment.model.attention.heads = 1;
  urgent.deployment.model.attention.head_dim = 1;
  urgent.deployment.batching.swap_bytes = 800.0;
  cases.push_back({"priority with swapping", urgent});
  // Two pools, the second fed by the first, replicas that fail and come back, tries again.
  ServingSpec apart = fed;
  apart.deployment.replicas = 4;
  apart.deployment.role = PoolRole::prefill;
  apart.pools.push_back(apart.deployment);
  apart.pools[0].role = PoolRole::decode;
  apart.pools[0].replicas = 3;
  apart.workload.requests = 1'500;
  for (int i = 0; i < 6; ++i)
    apart.cluster.faults.events.push_back({FaultKind::gpu, i % 2, i / 2,
                                           Duration::from_seconds(2.0 + 3.0 * i),
                                           Duration::from_seconds(4.0), 1.0});
  apart.cluster.rules.retries = 2;
  apart.cluster.rules.retry_delay = Duration::from_seconds(0.5);
  cases.push_back({"disaggregated, failing", apart});
  // The same, with requests forgotten once they are done.
  ServingSpec forgotten = apart;
  forgotten.record_one_in = 0;
  cases.push_back({"forgotten", forgotten});
  ServingSpec sampled = apart;
  sampled.record_one_in = 7;
  cases.push_back({"sampled", sampled});
  for (Case& c : cases) {
    c.spec.deployment.nodes = 1;
    c.spec.deployment.node.gpus = 8;
  }
  // Replicas of two nodes each: KV handed over and what steps exchange hold each other up.
  ServingSpec shared = fed;
  shared.deployment.engine.client_s = 0.0;
  shared.deployment.model.layers = 1;
  shared.deployment.model.attention.heads = shared.deployment.model.attention.kv_heads = 1;
  shared.deployment.model.attention.head_dim = 1;
  shared.deployment.layout.tensor = 16;
  shared.deployment.node.gpus = shared.deployment.node.nics = 8;
  shared.deployment.node.nic_bandwidth = hardware::BytesPerSecond(2e4);
  shared.deployment.replicas = 2;
  shared.deployment.nodes = 4;
  shared.deployment.role = PoolRole::prefill;
  shared.pools.push_back(shared.deployment);
  shared.pools[0].role = PoolRole::decode;
  shared.workload.requests = 400;
  shared.workload.arrivals = PoissonArrivals{12.0};
  shared.cluster.network.emplace().shape.kind = collective::NetworkKind::single_switch;
  for (int i = 0; i < 3; ++i)
    shared.cluster.faults.events.push_back({FaultKind::gpu, i % 2, 16 * (i / 2),
                                            Duration::from_seconds(4.0 + 3.0 * i),
                                            Duration::from_seconds(2.0), 1.0});
  shared.cluster.rules.retries = 2;
  shared.cluster.rules.retry_delay = Duration::from_seconds(0.5);
  cases.push_back({"steps and hand-overs on one network", shared, 0.002});
  return cases;
}

inline ServingResult run_case(const Case& c, const sim::engine::RunOptions& options) {
  return simulate_with(c.spec, LinearTimer(0.004, 0.0002, 0.0001, 1e-6, c.between_s), blocks(150),
                       options);
}

class Digest {
 public:
  template <class T>
  void add(const std::vector<T>& values) {
    for (const T& value : values) add(value);
  }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void add(const T& value) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    for (const unsigned char b : bytes) hash_ = (hash_ ^ b) * 0x100000001b3U;
  }
  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;  // FNV-1a
};

// Of everything in the result but how fast it was computed.
inline std::uint64_t digest(const ServingResult& r) {
  Digest d;
  const RequestTable& t = r.requests;
  for (const std::int64_t count : {r.arrived, r.completed, r.failed, r.retries}) d.add(count);
  d.add(r.sketches.e2el.sum());
  for (const PoolResult& pool : r.pools) {
    d.add(pool.replica_seconds);
    d.add(pool.output_tokens);
  }
  for (const auto* column : {&t.arrival_s, &t.scheduled_s, &t.first_token_s, &t.last_token_s})
    d.add(*column);
  for (const auto* column : {&t.input_tokens, &t.output_tokens, &t.preemptions, &t.replica})
    d.add(*column);
  d.add(t.outcome);
  for (const auto* column :
       {&r.series.running, &r.series.waiting, &r.series.kv_used_fraction, &r.series.batch_tokens,
        &r.series.gpu_watts, &r.series.output_tokens_per_s, &r.steps.start_s, &r.steps.duration_s})
    d.add(*column);
  for (const auto* column : {&r.steps.replica, &r.steps.prefill_tokens, &r.steps.decode_sequences,
                             &r.steps.kv_blocks, &r.steps.waiting, &r.steps.swapped_blocks})
    d.add(*column);
  d.add(r.time);
  for (const double x : {r.energy.gpu_j, r.energy.server_j, r.energy.mean_gpu_watts,
                         r.energy.peak_gpu_watts, r.window_start_s, r.window_end_s})
    d.add(x);
  for (const std::int64_t n : {r.arrived, r.completed, r.rejected, r.unfinished, r.total_steps,
                               r.preemptions, r.input_tokens, r.output_tokens})
    d.add(n);
  if (r.network) {
    for (const auto& use : r.network->uses)
      for (const double x : {use.bytes, use.seconds, use.alone_s}) d.add(x);
    for (const auto& wait : r.network->waits) d.add(wait.seconds);
  }
  d.add(r.run.hash);
  d.add(r.run.events);
  return d.value();
}

}  // namespace foretoken::models::serving::testing
