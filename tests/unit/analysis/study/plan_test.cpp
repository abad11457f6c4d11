#include "analysis/study/plan.hpp"

#include <catch2/catch.hpp>

#include "analysis/study/plan_bounds.hpp"
#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using Catch::Contains;

namespace {

const char* const kPlan = R"(foretoken: 1
name: small plan
scenario: small.yaml
set: {workload.arrivals.poisson: 12/s, workload.duration: 20s}
hardware:
  - {node: a100-80gb-x1, nodes: [1, 2]}
  - {node: rtx-4090-x1, nodes: [1, 2, 4]}
  - {node: h100-x1, nodes: [1]}
max_tokens: [512, 2048]
max_sequences: [8, 64]
)";

PlanResult plan(test::World& world, const std::string& text, int threads, bool brute) {
  const auto spec = read_plan(world.folder.write("plan.yaml", text));
  const Evaluator evaluator(spec.scenario, world.catalogue, world.calibrations);
  PlanOptions options;
  options.limits = spec.limits;
  options.threads = threads;
  options.by_brute_force = brute;
  if (brute) options.extra = 1'000'000;
  return make_plan(spec, evaluator, world.calibrations, options);
}

}  // namespace

TEST_CASE("bounds and early ends do not change the winner", "[study]") {
  test::World world;
  const PlanResult quick = plan(world, kPlan, 2, false);
  const PlanResult brute = plan(world, kPlan, 1, true);
  // Layouts by nodes: A100 TP1 on one, TP1 and PP2 on two; 4090 the same and PP4 on four as well;
  // H100 one. Ten, with four batch limits each.
  CHECK(quick.candidates == 40);
  CHECK(brute.simulated + brute.dropped.count("memory") > quick.simulated);
  REQUIRE_FALSE(quick.ranked.empty());
  REQUIRE_FALSE(brute.ranked.empty());
  CHECK(quick.ranked.front().deployment == brute.ranked.front().deployment);
  CHECK(quick.ranked.front().cost_per_hour == brute.ranked.front().cost_per_hour);
  CHECK_FALSE(quick.rejected.empty());
  for (const Ranked& ranked : quick.ranked) CHECK(ranked.metrics.slo.met);
}

TEST_CASE("the winner as `run` would simulate it gives the same figures", "[study]") {
  test::World world;
  const PlanResult result = plan(world, kPlan, 1, false);
  const Ranked& best = result.ranked.front();
  const auto again = world.evaluator.evaluate(best.overrides, false, nullptr);
  REQUIRE(again.status == Status::ok);
  CHECK(again.metrics->ttft.p99 == best.metrics.ttft.p99);
  CHECK(again.metrics->tpot.p99 == best.metrics.tpot.p99);
  CHECK(again.metrics->cost.total_cny_per_hour == best.metrics.cost.total_cny_per_hour);
}

TEST_CASE("threads change nothing", "[study]") {
  test::World world;
  const PlanResult one = plan(world, kPlan, 1, false), three = plan(world, kPlan, 3, false);
  REQUIRE(one.ranked.size() == three.ranked.size());
  for (std::size_t i = 0; i < one.ranked.size(); ++i)
    CHECK(one.ranked[i].deployment == three.ranked[i].deployment);
  CHECK(one.simulated == three.simulated);
}

TEST_CASE("where nothing meets the SLO the nearest miss is told", "[study]") {
  test::World world;
  std::string text = kPlan;
  text.replace(text.find("12/s"), 4, "900/s");
  text.replace(text.find("[1, 2, 4]"), 9, "[1]");
  text.replace(text.find("[512, 2048]"), 11, "[2048]");
  text.replace(text.find("[8, 64]"), 7, "[64]");
  const PlanResult result = plan(world, text, 2, true);
  CHECK(result.ranked.empty());
  REQUIRE(result.nearest);
  CHECK(result.nearest->headroom < 0.0);
  CHECK_FALSE(result.nearest->first_to_break.empty());
}

TEST_CASE("limits drop deployments, with the limit in words", "[study]") {
  test::World world;
  const PlanResult result = plan(world, std::string(kPlan) + "limits: {gpus: 1}\n", 1, false);
  for (const Ranked& ranked : result.ranked) CHECK(ranked.candidate.gpus == 1);
  CHECK(result.dropped.at("limits") > 0);
}

TEST_CASE("nodes by hour never grow when load falls", "[study]") {
  test::World world;
  std::string day = "day: [";
  for (int hour = 0; hour < 24; ++hour) day += hour == 0 ? "1.0" : hour < 12 ? ", 0.2" : ", 0";
  const PlanResult result = plan(world, std::string(kPlan) + day + "]\n", 1, false);
  REQUIRE(result.day.size() == 24);
  CHECK(result.day[0].nodes >= result.day[1].nodes);
  CHECK(result.day[1].nodes >= 1);
  CHECK(result.day[23].nodes == 0);
}

TEST_CASE("bounds by hand: the cost with every GPU idle", "[study]") {
  const test::World world;
  const auto scenario = world.evaluator.load({});
  const auto& node = scenario.serving.deployment.node;
  const double watts =
      (node.host_idle.value() + node.gpu.idle.value()) / node.psu_efficiency * 1.25;
  CHECK(idle_facility_watts(scenario) == Approx(watts));
  // 130,000 CNY over three years and the electricity at 0.8 CNY/kWh.
  CHECK(least_cost_per_hour(scenario) == Approx(130000.0 / (3 * 8760) + watts * 1e-3 * 0.8));
}

TEST_CASE("limits that no batch can meet are out of reach, said so", "[study]") {
  test::World world;
  auto scenario = world.evaluator.load({});
  const foretoken::models::serving::StepModel timer(scenario.serving.deployment,
                                                    world.calibrations.of(scenario));
  const Traffic traffic = traffic_of(scenario);
  CHECK_FALSE(broken_bound(scenario, traffic, timer));
  scenario.slo[1].limit_s = 1e-3;  // 16 GB of weights at 2 TB/s take 8 ms
  const auto token = broken_bound(scenario, traffic, timer);
  REQUIRE(token);
  CHECK(token->name == "one token");
  scenario = world.evaluator.load({});
  scenario.slo[0].limit_s = 1e-3;
  const auto prompt = broken_bound(scenario, traffic, timer);
  REQUIRE(prompt);
  CHECK(prompt->name == "one prompt");
}
