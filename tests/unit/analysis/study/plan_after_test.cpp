#include "analysis/study/plan_after.hpp"

#include <catch2/catch.hpp>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using foretoken::analysis::Metrics;
using foretoken::analysis::Scenario;
using foretoken::models::serving::PoissonArrivals;

namespace {

double rate_of(const Scenario& scenario) {
  return std::get<PoissonArrivals>(scenario.serving.workload.arrivals).requests_per_s;
}

// Meets its SLO up to `most` requests a second and node.
Simulate breaks_above(double most) {
  return [most](const Scenario& scenario) {
    Metrics m;
    foretoken::analysis::SloOutcome term;
    term.term = scenario.slo.front();
    term.met = rate_of(scenario) <= most * scenario.serving.deployment.nodes;
    term.margin = 1.0 - rate_of(scenario) / most;
    m.slo.met = term.met;
    m.slo.terms = {term};
    return m;
  };
}

}  // namespace

TEST_CASE("the load at which it breaks is found within its precision, for any threads", "[study]") {
  const test::World world;
  const Scenario scenario = world.evaluator.load({});  // 2 requests/s
  for (const double most : {2.0, 2.1, 5.3, 17.0}) {
    const auto found = breaking_load(scenario, breaks_above(most), 1, nullptr);
    CHECK_FALSE(found.beyond);
    CHECK(found.factor <= most / 2.0);
    CHECK(found.factor >= most / 2.0 / 1.04);
    CHECK(found.term == scenario.slo.front().text);
    const auto again = breaking_load(scenario, breaks_above(most), 3, nullptr);
    CHECK(again.factor == found.factor);
    CHECK(again.simulated == found.simulated);
  }
  CHECK(breaking_load(scenario, breaks_above(1e9), 1, nullptr).beyond);
}

TEST_CASE("nodes by hour: the fewest that serve the hour's load", "[study]") {
  const test::World world;
  Scenario scenario = world.evaluator.load({});
  scenario.serving.deployment.nodes = scenario.serving.deployment.replicas = 4;
  // One node takes 1.5/s, the scenario is 2/s: half of it needs 1, all 2, triple all 4, five times
  // more than there are.
  const auto hours = nodes_by_hour(scenario, {0.0, 0.5, 1.0, 3.0, 5.0}, breaks_above(1.5));
  REQUIRE(hours.size() == 5);
  CHECK(hours[0].nodes == 0);
  CHECK(hours[1].nodes == 1);
  CHECK(hours[2].nodes == 2);
  CHECK(hours[3].nodes == 4);
  CHECK(hours[4].nodes == 0);
}

TEST_CASE("all by API: price and limits by hand", "[study]") {
  const test::World world;
  const Scenario scenario = world.evaluator.load({});
  ApiOption api;
  api.terms.round_trip_s = 0.05;
  api.terms.first_token_s = 0.5;
  api.terms.tokens_per_s = 50;
  api.terms.usd_per_million_input = 1.0;
  api.terms.usd_per_million_output = 4.0;
  Traffic traffic;
  traffic.open = true;
  traffic.span_s = 1800;
  traffic.input = {100, 300};
  traffic.output = {10, 20};
  // 400 tokens in and 30 out in half an hour: (400 + 120) 1e-6 USD, twice that an hour.
  auto only = all_by_api(api, scenario, traffic);
  REQUIRE(only);
  CHECK(only->usd_per_hour == Approx(2 * 520e-6));
  CHECK(only->usd_per_million_output == Approx(520e-6 / 30 * 1e6));
  CHECK(only->cny_per_hour == Approx(2 * 520e-6 * scenario.cost.exchange.cny_per_usd));
  CHECK(only->meets);  // 0.55 s and 20 ms a token against 1 s and 30 ms
  api.terms.tokens_per_s = 20;
  only = all_by_api(api, scenario, traffic);
  CHECK_FALSE(only->meets);
  CHECK_THAT(only->why, Catch::Contains("tpot.p99 <= 30ms: 50.0 ms"));
  traffic.open = false;
  CHECK_FALSE(all_by_api(api, scenario, traffic));
}

TEST_CASE("ways to pay: what buying takes to be cheaper than renting", "[study]") {
  test::World world;
  const auto spec = read_plan(world.folder.write("plan.yaml", R"(foretoken: 1
scenario: small.yaml
hardware: [{node: h100-x1, nodes: [1], pay: [buy, "rent:neocloud"]}]
parallel: [{tensor: 1}]
)"));
  const auto set = make_candidates(spec, world.evaluator);
  REQUIRE(set.candidates.size() == 2);
  Ranked winner{set.candidates[0], {}, {}, {}, 0.0, 0.0, {}};
  winner.metrics.nodes = winner.metrics.gpus = 1;
  winner.metrics.energy.mean_facility_watts = 1000.0;
  winner.metrics.output_rate.value = winner.metrics.total_rate.value = 100.0;
  const auto ways = ways_to_pay(winner, set);
  REQUIRE(ways.size() == 2);
  const auto& bought = ways[0].name == "buy" ? ways[0] : ways[1];
  const auto& rented = ways[0].name == "buy" ? ways[1] : ways[0];
  CHECK(rented.name == "rent, neocloud");
  const auto& cost = set.bases[set.candidates[0].base].cost;
  const double purchase =
      cost.node_price->amount * (cost.node_price->currency == foretoken::models::cost::Currency::CNY
                                     ? 1.0
                                     : cost.exchange.cny_per_usd);
  // An hour costs 1 kW x 0.8 CNY when owned; what the rent is above that pays for the purchase.
  CHECK(bought.cny_per_hour == Approx(purchase / (3 * 8760) + 0.8));
  REQUIRE(bought.break_even_months);
  CHECK(*bought.break_even_months == Approx(purchase / (rented.cny_per_hour - 0.8) / 730.0));
}

TEST_CASE("a share by API is a candidate of its own, with its price", "[study]") {
  test::World world;
  const auto spec = read_plan(world.folder.write("plan.yaml", R"(foretoken: 1
scenario: small.yaml
hardware: [{node: a100-80gb-x1, nodes: [1]}]
parallel: [{tensor: 1}]
api: {share: [0.5], round_trip: 50ms, first_token: 200ms, tokens_per_s: 50,
      usd_per_million_input: 1, usd_per_million_output: 4}
)"));
  const auto set = make_candidates(spec, world.evaluator);
  REQUIRE(set.candidates.size() == 2);
  const Candidate& split = set.candidates[1];
  CHECK(split.api_share == 0.5);
  const Scenario typed = scenario_of(split, set.bases[split.base]);
  const Scenario loaded = world.evaluator.load(overrides_of(spec, split));
  for (const Scenario* s : {&typed, &loaded}) {
    CHECK(s->serving.cluster.remote.share == 0.5);
    CHECK(s->serving.cluster.remote.usd_per_million_output == 4.0);
    CHECK(s->serving.cluster.remote.first_token_s == Approx(0.2));
  }
  CHECK_THAT(describe(split, typed), Catch::Contains("50 % of requests by API"));
  CHECK(scenario_of(set.candidates[0], set.bases[0]).serving.cluster.remote.share == 0.0);
}
