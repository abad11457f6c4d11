#include "analysis/study/plan_runs.hpp"

#include <catch2/catch.hpp>

#include "analysis/study/plan_bounds.hpp"
#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using foretoken::models::serving::StepModel;

namespace {

struct Fixture {
  test::World world;
  foretoken::analysis::Scenario scenario = world.evaluator.load({});
  StepModel timer{scenario.serving.deployment, world.calibrations.of(scenario)};
  RunRules whole{0.0, 0, false, nullptr};

  Tried tried() const { return try_deployment(scenario, timer, whole); }
  int& limit() { return scenario.serving.deployment.batching.max_sequences; }
};

}  // namespace

TEST_CASE("a limit that never binds might as well be another", "[study]") {
  Fixture f;  // limit 64
  const Tried wide = f.tried();
  REQUIRE(wide.metrics);
  REQUIRE(wide.most_inside > 1);
  REQUIRE(wide.most_inside < 32);
  f.limit() = 32;
  const auto same = same_run(f.scenario, {wide});
  REQUIRE(same);
  CHECK(same->borrowed);
  CHECK(same->simulated == 0);
  const Tried own = f.tried();
  CHECK(same->metrics->ttft.p99 == own.metrics->ttft.p99);
  CHECK(same->metrics->tpot.mean == own.metrics->tpot.mean);
  CHECK(same->metrics->e2el.max == own.metrics->e2el.max);
  CHECK(same->metrics->energy.mean_gpu_watts == own.metrics->energy.mean_gpu_watts);
  CHECK(same->metrics->cost.total_cny_per_hour == own.metrics->cost.total_cny_per_hour);
  CHECK(own.most_inside == wide.most_inside);
  CHECK(own.most_blocks == wide.most_blocks);
}

TEST_CASE("a limit that the run reached, or might have, is another run", "[study]") {
  Fixture f;
  const Tried wide = f.tried();
  f.limit() = static_cast<int>(wide.most_inside);
  CHECK_FALSE(same_run(f.scenario, {wide}));
  f.limit() = 1;
  const Tried narrow = f.tried();
  CHECK(narrow.metrics->ttft.p99 > wide.metrics->ttft.p99);
  f.limit() = 64;
  CHECK_FALSE(same_run(f.scenario, {narrow}));
}

TEST_CASE("a KV cache that might have been too small makes another run", "[study]") {
  Fixture f;
  Tried wide = f.tried();
  f.limit() = 32;
  wide.kv_blocks = wide.most_blocks;  // no room for the watermark
  CHECK_FALSE(same_run(f.scenario, {wide}));
}

TEST_CASE("another price needs no other run", "[study]") {
  Fixture f;
  const Tried first = f.tried();
  f.scenario.cost.electricity_per_kwh.amount *= 3.0;
  const auto same = same_run(f.scenario, {first});
  REQUIRE(same);
  CHECK_FALSE(same->borrowed);
  const Tried own = f.tried();
  CHECK(own.metrics->cost.total_cny_per_hour > first.metrics->cost.total_cny_per_hour);
  CHECK(same->metrics->cost.total_cny_per_hour == own.metrics->cost.total_cny_per_hour);
  CHECK(same->metrics->money.value == own.metrics->money.value);
}

TEST_CASE("an overload shows in the first part of the traffic", "[study]") {
  Fixture f;
  auto& arrivals =
      std::get<foretoken::models::serving::PoissonArrivals>(f.scenario.serving.workload.arrivals);
  arrivals.requests_per_s *= 100.0;
  const Traffic traffic = traffic_of(f.scenario);
  const RunRules in_part{traffic.span_s, traffic.input.size(), true, nullptr};
  const Tried tried = try_deployment(f.scenario, f.timer, in_part);
  CHECK_FALSE(tried.late.empty());
  CHECK(tried.simulated == 0);
  CHECK_FALSE(f.tried().metrics->slo.met);
}
