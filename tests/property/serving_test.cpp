// Properties of the serving simulation over random scenarios.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;

namespace {

// Few blocks, few slots and bursts, so that queueing, cutting, preemption and refusal all happen.
ServingSpec random_spec() {
  ServingSpec spec = small_spec(*rc::gen::inRange(1, 40), *rc::gen::inRange(1, 12));
  DeploymentSpec& d = spec.deployment;
  d.replicas = *rc::gen::inRange(1, 4);
  d.router = *rc::gen::element<std::string>("round_robin", "least_requests");
  d.batching.policy = kPolicies[*rc::gen::inRange<std::size_t>(0, kPolicies.size())].policy;
  d.batching.timeout = Duration::from_seconds(*rc::gen::element(0.0, 0.3));
  d.batching.length_error = *rc::gen::element(0.0, 0.5);
  d.batching.token_time = Duration::from_seconds(0.01);
  d.batching.quantum_tokens = *rc::gen::inRange(1, 40);
  d.model.layers = 1;  // 4 B of KV a token, 16 B a block
  d.model.attention = {.heads = 1, .kv_heads = 1, .head_dim = 1, .mla = {}, .sparse = {}};
  d.batching.swap_bytes = *rc::gen::element(0.0, 30.0, 1e9);
  d.batching.prefix_caching = *rc::gen::arbitrary<bool>();
  d.engine.kv_watermark = *rc::gen::element(0.0, 0.05);
  d.engine.kv_reserve_output = *rc::gen::element(0.0, 0.0, 0.5, 1.0);
  d.engine.overlap_schedule = *rc::gen::arbitrary<bool>();
  d.engine.admit_whole_prompt = *rc::gen::arbitrary<bool>();
  d.engine.poll_steps = *rc::gen::element(1, 1, 4);
  d.engine.stream_interval = *rc::gen::inRange(1, 6);
  d.engine.first_token_at_once = *rc::gen::arbitrary<bool>();
  d.engine.client_s = *rc::gen::element(0.0, 0.02);
  d.layout.data_attention = *rc::gen::inRange(1, 3);
  spec.seed = *rc::gen::arbitrary<std::uint64_t>();
  if (*rc::gen::arbitrary<bool>()) {
    spec.workload.arrivals = ClosedLoopArrivals{*rc::gen::inRange(1, 20)};
  } else {
    spec.workload.arrivals = PoissonArrivals{*rc::gen::element(0.5, 3.0, 20.0)};
  }
  spec.workload.input = {*rc::gen::element(0.1, 0.8, 1.0), *rc::gen::inRange(1, 60)};
  spec.workload.output = {*rc::gen::element(0.1, 0.8, 1.0), *rc::gen::inRange(1, 60)};
  spec.workload.requests = *rc::gen::inRange(1, 80);
  spec.cluster.rules.timeout = Duration::from_seconds(*rc::gen::element(0.0, 0.0, 0.3, 2.0));
  return spec;
}

// Times on a coarse grid, so that arrivals and step ends often coincide.
LinearTimer random_timer() {
  return {*rc::gen::element(0.0, 0.001, 0.01, 0.25), *rc::gen::element(0.0, 0.001, 0.002),
          *rc::gen::element(0.0, 0.001), *rc::gen::element(0.0, 1e-5, 3.3e-6)};
}

MemoryAccount random_memory() { return blocks(*rc::gen::inRange(1, 60)); }

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

void require_same(const ServingResult& a, const ServingResult& b) {
  RC_ASSERT(same(a.requests.arrival_s, b.requests.arrival_s));
  RC_ASSERT(same(a.requests.scheduled_s, b.requests.scheduled_s));
  RC_ASSERT(same(a.requests.first_token_s, b.requests.first_token_s));
  RC_ASSERT(same(a.requests.last_token_s, b.requests.last_token_s));
  RC_ASSERT(same(a.requests.preemptions, b.requests.preemptions));
  RC_ASSERT(same(a.requests.replica, b.requests.replica));
  RC_ASSERT(same(a.steps.start_s, b.steps.start_s));
  RC_ASSERT(same(a.steps.duration_s, b.steps.duration_s));
  RC_ASSERT(same(a.steps.kv_blocks, b.steps.kv_blocks));
  RC_ASSERT(same(a.steps.waiting, b.steps.waiting));
  RC_ASSERT(same(a.series.running, b.series.running));
  RC_ASSERT(same(a.series.waiting, b.series.waiting));
  RC_ASSERT(same(a.series.kv_used_fraction, b.series.kv_used_fraction));
  RC_ASSERT(same(a.series.gpu_watts, b.series.gpu_watts));
  RC_ASSERT(same(a.series.output_tokens_per_s, b.series.output_tokens_per_s));
  RC_ASSERT(a.total_steps == b.total_steps);
  RC_ASSERT(a.preemptions == b.preemptions);
  RC_ASSERT(a.energy.gpu_j == b.energy.gpu_j);
  RC_ASSERT(a.energy.server_j == b.energy.server_j);
  RC_ASSERT(a.time.attention_s == b.time.attention_s);
  RC_ASSERT(a.time.idle_s == b.time.idle_s);
}

}  // namespace

TEST_CASE("Runs of decode steps give the bytes of stepping") {
  CHECK(rc::check("decode runs", [] {
    ServingSpec spec = random_spec();
    const LinearTimer timer = random_timer();
    const MemoryAccount memory = random_memory();
    foretoken::sim::engine::RunOptions options;
    if (*rc::gen::inRange(0, 4) == 0)
      options.until =
          foretoken::sim::core::Time::from_ps(*rc::gen::inRange(1, 4000) * 1'000'000'000LL);
    const auto runs = simulate_with(spec, timer, memory, options);
    spec.decode_runs = false;
    const auto steps = simulate_with(spec, timer, memory, options);
    RC_ASSERT(runs.run.events <= steps.run.events);
    require_same(runs, steps);
  }));
}

TEST_CASE("Nothing is lost, whatever the scenario") {
  CHECK(rc::check("conservation", [] {
    const ServingSpec spec = random_spec();
    const MemoryAccount memory = random_memory();
    const auto result = simulate_with(spec, random_timer(), memory, {});
    RC_ASSERT(result.conservation_errors.empty());
    RC_ASSERT(result.arrived == *spec.workload.requests);
    RC_ASSERT(result.completed + result.rejected + result.timed_out == result.arrived);
    std::int64_t output = 0;
    for (std::size_t i = 0; i < result.requests.size(); ++i)
      if (result.requests.outcome[i] == RequestOutcome::completed)
        output += result.requests.output_tokens[i];
    RC_ASSERT(result.output_tokens == output);
    const int ranks = spec.deployment.layout.data_attention;
    const BatchingSpec& batching = spec.deployment.batching;
    for (std::size_t i = 0; i < result.steps.start_s.size(); ++i) {
      RC_ASSERT(result.steps.kv_blocks[i] <= memory.kv_blocks * ranks);
      RC_ASSERT(result.steps.prefill_tokens[i] <= batching.max_tokens * ranks);
      RC_ASSERT(result.steps.decode_sequences[i] <= batching.max_sequences * ranks);
    }
  }));
}

TEST_CASE("The seed alone decides") {
  CHECK(rc::check("repeat", [] {
    const ServingSpec spec = random_spec();
    const LinearTimer timer = random_timer();
    const MemoryAccount memory = random_memory();
    const auto a = simulate_with(spec, timer, memory, {});
    const auto b = simulate_with(spec, timer, memory, {});
    RC_ASSERT(a.run.hash == b.run.hash);
    require_same(a, b);
  }));
}
