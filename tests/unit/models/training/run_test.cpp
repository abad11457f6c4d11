#include "models/training/run.hpp"

#include <catch2/catch.hpp>

#include "fixture.hpp"
#include "sim/core/error.hpp"

using namespace foretoken::models::training;

namespace {

TrainingSpec job() {
  auto spec = test::job(Schedule::one_f_one_b, 4, 64);
  spec.model = test::model();
  spec.layout.data = 16;
  spec.batch.global = 1024;
  return spec;
}

RunSpec run() {
  RunSpec r;
  r.tokens = 1e12;
  r.faults.gpu = 1e-3;
  r.faults.software = 1e-3;
  r.faults.repair_h = 24;
  r.checkpoint.node_bandwidth = 2e9;
  r.detect_s = 60;
  r.restart_s = 300;
  r.spare_nodes = 100;
  return r;
}

}  // namespace

TEST_CASE("Young's and Daly's intervals") {
  // C = 100 s, M = 10,000 s: sqrt(2 x 100 x 10,000) = 1,414 s; Daly: 1,414 (1 + sqrt(0.005)/3 +
  // 0.005/9) - 100 = 1,348 s.
  CHECK(young_interval(100, 10000) == Approx(1414.2).epsilon(1e-4));
  CHECK(daly_interval(100, 10000) == Approx(1348.3).epsilon(1e-3));
  CHECK(daly_interval(30000, 10000) == 10000);
}

TEST_CASE("a checkpoint holds 14 bytes a parameter, written by all nodes") {
  const auto spec = job();
  const auto plan = plan_checkpoints(spec, run());
  const double n = static_cast<double>(foretoken::models::llm::count_parameters(spec.model).total);
  CHECK(plan.bytes == Approx(14 * n));
  CHECK(plan.write_s == Approx(14 * n / (8 * 2e9)));  // 64 GPUs on 8 nodes
  CHECK(plan.mtbf_s == Approx(3600 / (64 * 2e-3)));
}

TEST_CASE("no failures, no checkpoints: a run is its steps") {
  RunSpec r;
  r.tokens = 1e9;
  const auto spec = job();
  const double steps = std::ceil(1e9 / (1024.0 * 2048));
  for (const RunAccount& a : {expect_run(spec, r, 2.0), simulate_run(spec, r, 2.0)}) {
    CHECK(a.steps == steps);
    CHECK(a.elapsed_s() == Approx(2 * steps));
    CHECK(a.goodput() == Approx(1));
  }
}

TEST_CASE("a simulated history tells what the closed form expects") {
  const auto spec = job();
  const auto expected = expect_run(spec, run(), 2.0);
  double elapsed = 0, failures = 0;
  constexpr int kRuns = 20;
  for (int i = 0; i < kRuns; ++i) {
    auto r = run();
    r.seed = static_cast<std::uint64_t>(i + 1);
    const auto one = simulate_run(spec, r, 2.0);
    elapsed += one.elapsed_s() / kRuns;
    failures += one.failures / kRuns;
  }
  CHECK(elapsed == Approx(expected.elapsed_s()).epsilon(0.01));
  CHECK(failures == Approx(expected.failures).epsilon(0.05));
}

TEST_CASE("without spares a broken node is waited for") {
  const auto spec = job();
  auto r = run();
  CHECK(simulate_run(spec, r, 2.0).waiting_s == 0);
  r.spare_nodes = 0;
  CHECK(simulate_run(spec, r, 2.0).waiting_s > 0);
}

TEST_CASE("the same seed gives the same history; failures faster than work end it") {
  const auto spec = job();
  CHECK(simulate_run(spec, run(), 2.0).elapsed_s() == simulate_run(spec, run(), 2.0).elapsed_s());
  auto r = run();
  r.faults.gpu = 100;
  CHECK_THROWS_AS(expect_run(spec, r, 2.0), foretoken::sim::core::InfeasibleError);
}
