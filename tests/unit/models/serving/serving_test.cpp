#include "models/serving/serving.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "fixture.hpp"
#include "sim/core/error.hpp"

using namespace foretoken::models::serving;
using namespace foretoken::models::serving::testing;
using foretoken::sim::core::Duration;

TEST_CASE("One request: prefill emits the first token, the rest take a step each") {
  // 10 prompt tokens, 3 output tokens; a step takes 1 s + 0.1 s a prompt token + 0.5 s a decode.
  // Arrives at 2 s, at the engine 2 s + hop. Prefill step: 1 + 10 x 0.1 = 2 s, first token.
  // Two decode steps of 1.5 s: last token 3 s later. Both are seen a hop later.
  ServingSpec spec = small_spec(16, 4);
  spec.workload.arrivals = trace({{2.0, 10, 3}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.5, 0.1), blocks(100), {});
  REQUIRE(result.completed == 1);
  CHECK(result.conservation_errors.empty());
  CHECK(result.requests.arrival_s[0] == Approx(2.0));
  CHECK(result.requests.scheduled_s[0] == Approx(2.0 + kHop));
  CHECK(result.requests.first_token_s[0] == Approx(4.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.last_token_s[0] == Approx(7.0 + 2 * kHop).margin(1e-9));
  CHECK(result.total_steps == 3);
  CHECK(result.output_tokens == 3);
}

// 200 bytes a request that is kept, 100 kB a replica beside its series and steps.
TEST_CASE("What a simulation takes grows with requests that are kept and with replicas") {
  ServingSpec spec = small_spec(16, 4);
  spec.workload.arrivals = PoissonArrivals{1000.0};
  spec.workload.requests = 1'000'000;
  const double kept = simulation_bytes(spec);
  CHECK(kept > 200e6);
  CHECK(kept < 210e6);
  spec.record_one_in = 0;
  const double one = simulation_bytes(spec);
  CHECK(kept - one == Approx(200e6));
  spec.deployment.replicas = 1000;
  CHECK(simulation_bytes(spec) > 1000 * 100e3);
  // An hour at 1,000 a second is 3.6 million.
  spec.deployment.replicas = 1;
  spec.record_one_in = 1;
  spec.workload.requests.reset();
  spec.workload.duration = Duration::from_seconds(3600);
  CHECK(simulation_bytes(spec) - one == Approx(720e6).epsilon(0.01));
}

TEST_CASE("A single output token ends with its prefill") {
  ServingSpec spec = small_spec(16, 4);
  spec.workload.arrivals = trace({{0.0, 8, 1}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.5, 0.1), blocks(100), {});
  CHECK(result.completed == 1);
  CHECK(result.total_steps == 1);
  CHECK(result.requests.first_token_s[0] == result.requests.last_token_s[0]);
}

TEST_CASE("Chunked prefill gives decodes their tokens first and cuts prompts at the budget") {
  // Budget 8 tokens a step, every step 1 s. A (6 prompt, 4 out) at 0; B (20 prompt, 2 out) at 0.5.
  //   0-1: A 6 (B not there yet)          -> A token 1
  //   1-2: A decode + B 7                 -> A token 2
  //   2-3: A decode + B 7                 -> A token 3
  //   3-4: A decode + B 6                 -> A token 4 (ends), B token 1
  //   4-5: B decode                       -> B token 2 (ends)
  ServingSpec spec = small_spec(8, 4);
  spec.workload.arrivals = trace({{0.0, 6, 4}, {0.5, 20, 2}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(100), {});
  REQUIRE(result.steps.start_s.size() == 5);
  CHECK(result.steps.prefill_tokens == std::vector<std::int32_t>{6, 7, 7, 6, 0});
  CHECK(result.steps.decode_sequences == std::vector<std::int32_t>{0, 1, 1, 1, 1});
  CHECK(result.requests.first_token_s[1] == Approx(4.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.last_token_s[0] == Approx(4.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.last_token_s[1] == Approx(5.0 + 2 * kHop).margin(1e-9));
}

TEST_CASE("With steps planned ahead a request misses the step that is planned already") {
  // Budget 8, every step 1 s. A (6 prompt, 5 out) at 0, B (3 prompt, 1 out) at 1.5, C the same at
  // 4.5. At 1 s the step 2-3 is planned, at 2 s that of 3-4, which is the first to know of B.
  //   0-1: A 6   1-2: A   2-3: A   3-4: A + B 3   4-5: A (ends)   5-6: C 3, nothing was planned
  ServingSpec spec = small_spec(8, 4);
  spec.deployment.engine.overlap_schedule = true;
  spec.decode_runs = GENERATE(true, false);
  spec.workload.arrivals = trace({{0.0, 6, 5}, {1.5, 3, 1}, {4.5, 3, 1}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(100), {});
  CHECK(result.steps.prefill_tokens == std::vector<std::int32_t>{6, 0, 0, 3, 0, 3});
  CHECK(result.requests.first_token_s[0] == Approx(1.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.first_token_s[1] == Approx(4.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.first_token_s[2] == Approx(6.0 + 2 * kHop).margin(1e-9));
}

TEST_CASE("A client gives up on a step that is planned already, too") {
  // Steps of 1 s, patience 0.9 s. A runs from 0. B comes at 1.5; the first plan that knows of it is
  // that of 3 s, and at 2.4 s it gives up. Until then one request waits, seen or not.
  ServingSpec spec = small_spec(8, 4);
  spec.deployment.engine.overlap_schedule = true;
  spec.cluster.rules.timeout = Duration::from_seconds(0.9);
  spec.workload.arrivals = trace({{0.0, 6, 5}, {1.5, 3, 1}});
  spec.watch = 1;
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(100), {});
  CHECK(result.timed_out == 1);
  CHECK(result.requests.outcome[1] == RequestOutcome::timed_out);
  CHECK(result.steps.prefill_tokens == std::vector<std::int32_t>{6, 0, 0, 0, 0});
  REQUIRE(result.watched.size() == 2);
  CHECK(result.watched[0].kind == RequestEvent::Kind::reached);
  CHECK(result.watched[0].b == 1);
  CHECK(result.watched[1].kind == RequestEvent::Kind::gave_up);
  CHECK(result.watched[1].start_ps == 2'400'000'000'000);
  double waited = 0;
  for (const double w : result.series.waiting) waited += w * result.series.bin_s;
  CHECK(waited == Approx(0.9).margin(1e-4));
}

TEST_CASE("Prefill first stops decoding while prompts wait") {
  // The same two requests; steps take prompts alone: A 6 | B 8 | B 8 | B 4 | A+B | A+B | A.
  // B's prompt waits for nobody but A's first step; A's second token comes at 5 s.
  ServingSpec spec = small_spec(8, 4);
  spec.deployment.batching.policy = BatchingPolicy::prefill_first;
  spec.workload.arrivals = trace({{0.0, 6, 4}, {0.5, 20, 2}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(100), {});
  CHECK(result.steps.prefill_tokens == std::vector<std::int32_t>{6, 8, 8, 4, 0, 0, 0});
  CHECK(result.steps.decode_sequences == std::vector<std::int32_t>{0, 0, 0, 0, 2, 1, 1});
  CHECK(result.requests.last_token_s[1] == Approx(5.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.last_token_s[0] == Approx(7.0 + 2 * kHop).margin(1e-9));
}

TEST_CASE("Closed loop of two clients, worked by hand") {
  // Concurrency 2, 4 requests of 4 prompt tokens and 2 output tokens, steps of 1 s, one sequence a
  // step at most (max_sequences 1): requests run one after the other, 2 s each. The client needs
  // two hops to answer, but the other client's request waits already.
  //   engine: r0 0-2, r1 2-4, then r2 (sent when r0 ended) 4-6, r3 6-8.
  ServingSpec spec = small_spec(8, 1);
  spec.workload.arrivals = ClosedLoopArrivals{2};
  spec.workload.input = {1.0, 4};
  spec.workload.output = {1.0, 2};
  spec.workload.requests = 4;
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(100), {});
  REQUIRE(result.completed == 4);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(result.requests.last_token_s[i] ==
          Approx(2.0 * static_cast<double>(i + 1) + 2 * kHop).margin(1e-9));
  CHECK(result.requests.arrival_s[1] == 0.0);
  CHECK(result.requests.arrival_s[2] == Approx(2.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.arrival_s[3] == Approx(4.0 + 2 * kHop).margin(1e-9));
}

TEST_CASE("Too few blocks: the latest request is preempted and recomputed") {
  // Blocks of 4 tokens, 5 blocks. A and B: 8 prompt tokens, 6 out, both at 0: two blocks each.
  //   0-1: prefill A 8, B 8 -> one token each, 4 blocks used.
  //   1-2: both need a third block, one is free: B, the later one, gives way with 1 token out.
  //        A decodes alone with 3 blocks (tokens 9-12), B may not come back in this step.
  //   2-3: A decodes; B needs 9 tokens = 3 blocks, 2 are free: waits.
  //   A has made 6 tokens after 5 decodes: 1-6. At 6 B starts over with 9 tokens and emits token 2.
  //   B then decodes tokens 3, 4, 5, 6: 7-11.
  ServingSpec spec = small_spec(32, 4);
  spec.workload.arrivals = trace({{0.0, 8, 6}, {0.0, 8, 6}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(5), {});
  REQUIRE(result.completed == 2);
  CHECK(result.conservation_errors.empty());
  CHECK(result.preemptions == 1);
  CHECK(result.requests.preemptions == std::vector<std::int32_t>{0, 1});
  CHECK(result.requests.last_token_s[0] == Approx(6.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.first_token_s[1] == Approx(1.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.last_token_s[1] == Approx(11.0 + 2 * kHop).margin(1e-9));
  CHECK(result.output_tokens == 12);
  for (const std::int32_t used : result.steps.kv_blocks) CHECK(used <= 5);
}

TEST_CASE("With its output reserved a request waits instead of being preempted") {
  // The same, reserving 8 + 6 tokens = 4 blocks at admission: B finds 1 of 5 free and waits for A.
  ServingSpec spec = small_spec(32, 4);
  spec.deployment.engine.kv_reserve_output = 1.0;
  spec.workload.arrivals = trace({{0.0, 8, 6}, {0.0, 8, 6}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(5), {});
  CHECK(result.preemptions == 0);
  CHECK(result.requests.first_token_s[1] == Approx(7.0 + 2 * kHop).margin(1e-9));
}

TEST_CASE("What can never be served is refused and counted") {
  // 5 blocks of 4 hold 20 tokens; the last output token is never cached: 15 + 6 - 1 = 20 fits,
  // 16 + 6 does not. 200 tokens exceed the context of 100.
  ServingSpec spec = small_spec(32, 4);
  spec.deployment.model.max_positions = 100;
  spec.workload.arrivals = trace({{0.0, 15, 6}, {1.0, 16, 6}, {2.0, 100, 100}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(5), {});
  CHECK(result.arrived == 3);
  CHECK(result.completed == 1);
  CHECK(result.rejected == 2);
  CHECK(result.conservation_errors.empty());
  CHECK(result.requests.outcome[1] == RequestOutcome::rejected);
  CHECK(std::isnan(result.requests.first_token_s[2]));

  spec.workload.truncate_over_context = true;
  const auto cut = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
  CHECK(cut.completed == 3);
  CHECK(cut.requests.input_tokens[2] + cut.requests.output_tokens[2] == 100);
}

TEST_CASE("A first chunk that waits for the stream interval delays TTFT, not the end") {
  // 5 output tokens, interval 3: the client sees something after the third token, at 1 + 2 s.
  ServingSpec spec = small_spec(32, 4);
  spec.deployment.engine.stream_interval = 3;
  spec.deployment.engine.first_token_at_once = false;
  spec.workload.arrivals = trace({{0.0, 8, 5}, {0.0, 8, 2}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
  CHECK(result.requests.first_token_s[0] == Approx(3.0 + 2 * kHop).margin(1e-9));
  CHECK(result.requests.first_token_s[1] == Approx(2.0 + 2 * kHop).margin(1e-9));  // its end
  CHECK(result.requests.last_token_s[0] == Approx(5.0 + 2 * kHop).margin(1e-9));
}

TEST_CASE("Client overhead is split between the way in and the way out") {
  ServingSpec spec = small_spec(32, 4);
  spec.deployment.engine.client_s = 0.5;
  spec.workload.arrivals = trace({{0.0, 8, 1}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
  CHECK(result.requests.scheduled_s[0] == Approx(0.25));
  CHECK(result.requests.first_token_s[0] == Approx(1.5));
}

TEST_CASE("Energy: busy steps at their power, the rest of the window idle") {
  // One replica busy 2 s of 10 s (arrival at 8 s, two steps of 1 s). Memory half busy at 0.5 of
  // (700 - 100) W: the exact watts are gpu_power's; here the ends: idle 8 s at 100 W is 800 J.
  ServingSpec spec = small_spec(32, 4);
  spec.workload.arrivals = trace({{8.0, 8, 2}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
  const double busy_j = result.energy.gpu_j - 800.0;
  CHECK(busy_j > 2 * 100.0);
  CHECK(busy_j < 2 * 700.0);
  // Node: 7 spare GPUs idle, hosts 500 W + 20 % of 500 W, through a 0.95 supply.
  const double server = (result.energy.gpu_j + 10.0 * (7 * 100.0 + 600.0)) / 0.95;
  CHECK(result.energy.server_j == Approx(server).epsilon(1e-5));
  CHECK(result.time.idle_s == Approx(8.0).margin(1e-5));
  CHECK(result.time.gemm_s == Approx(2.0));
}

TEST_CASE("Batch of one and constant service is an M/D/1 queue") {
  // Utilisation 0.7, service 1 s: mean wait in queue rho / (2 (1 - rho)) = 1.1667 s. 200,000
  // requests: the standard error of the mean is about 0.012 s (waits are correlated over about
  // 1 / (1 - rho)^2 = 11 services); 4 of them are allowed.
  ServingSpec spec = small_spec(64, 1);
  spec.workload.arrivals = PoissonArrivals{0.7};
  spec.workload.input = {1.0, 8};
  spec.workload.output = {1.0, 1};
  spec.workload.requests = 200'000;
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
  REQUIRE(result.completed == 200'000);
  double wait = 0;
  for (std::size_t i = 0; i < result.requests.size(); ++i)
    wait += result.requests.scheduled_s[i] - result.requests.arrival_s[i] - kHop;
  CHECK(wait / 200'000 == Approx(0.7 / (2 * 0.3)).margin(0.05));
}

TEST_CASE("Little's law: mean number inside = rate x mean time inside") {
  ServingSpec spec = small_spec(64, 8);
  spec.workload.arrivals = PoissonArrivals{2.0};
  spec.workload.input = {0.2, 50};
  spec.workload.output = {0.2, 40};
  spec.workload.requests = 5'000;
  const auto result = simulate_with(spec, LinearTimer(0.01, 0.001, 0.0005), blocks(400), {});
  REQUIRE(result.completed == 5'000);
  double inside_s = 0;  // summed time at the engine
  for (std::size_t i = 0; i < result.requests.size(); ++i)
    inside_s += result.requests.last_token_s[i] - result.requests.arrival_s[i] - 2 * kHop;
  double series_s = 0;
  for (std::size_t i = 0; i + 1 < result.series.running.size(); ++i)
    series_s += (result.series.running[i] + result.series.waiting[i]) * result.series.bin_s;
  const std::size_t last = result.series.running.size() - 1;
  const double rest = result.window_end_s - static_cast<double>(last) * result.series.bin_s;
  series_s += (result.series.running[last] + result.series.waiting[last]) * rest;
  CHECK(series_s == Approx(inside_s).epsilon(0.01));
}

TEST_CASE("Least requests sends to the idle replica") {
  // Replica 0 gets a long request; while it runs, the next two go to replica 1, then 2 are equal.
  ServingSpec spec = small_spec(64, 8);
  spec.deployment.replicas = 2;
  spec.deployment.router = "least_requests";
  spec.workload.arrivals = trace({{0.0, 8, 50}, {1.0, 8, 2}, {5.0, 8, 2}, {5.5, 8, 2}});
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
  CHECK(result.requests.replica == std::vector<std::int32_t>{0, 1, 1, 0});
}

TEST_CASE("Inputs that cannot be simulated are refused with every reason") {
  ServingSpec spec = small_spec(64, 8);
  spec.workload.arrivals = PoissonArrivals{-1.0};
  spec.workload.input = {1.5, 8};
  spec.workload.output = {1.0, 0};
  try {
    simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {});
    FAIL("accepted");
  } catch (const foretoken::sim::core::InputError& error) {
    CHECK(error.diagnostics().size() == 4);  // fraction, length, no end, rate
  }
  spec.workload.arrivals = trace({{2.0, 8, 1}, {1.0, 8, 1}});
  CHECK_THROWS_AS(simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), {}),
                  foretoken::sim::core::InputError);
}

TEST_CASE("A stopped run counts what is left as unfinished") {
  ServingSpec spec = small_spec(64, 8);
  spec.workload.arrivals = trace({{0.0, 8, 3}, {0.0, 8, 30}, {50.0, 8, 2}});
  foretoken::sim::engine::RunOptions options;
  options.until = foretoken::sim::core::Time::from_ps(Duration::from_seconds(10.5).ps());
  const auto result = simulate_with(spec, LinearTimer(1.0, 0.0, 0.0), blocks(50), options);
  CHECK(result.arrived == 2);
  CHECK(result.completed == 1);
  CHECK(result.unfinished == 1);
  CHECK(result.total_steps == 10);
  CHECK(result.conservation_errors.empty());
}
