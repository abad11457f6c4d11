#include "analysis/study/capacity.hpp"

#include <catch2/catch.hpp>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;

TEST_CASE("the knee is the point farthest below the chord", "[study]") {
  // y = x^2 on 0..4: distance below the chord is x/4 - x^2/16, largest at x = 2.
  CHECK(knee_of({0, 1, 2, 3, 4}, {0, 1, 4, 9, 16}) == 2u);
  CHECK_FALSE(knee_of({0, 1, 2}, {0, 1, 2}));  // straight
  CHECK_FALSE(knee_of({0, 1}, {0, 5}));
}

TEST_CASE("capacity is where the SLO starts to fail", "[study]") {
  test::World world;
  auto scenario = world.evaluator.load({});
  CapacityOptions options;
  options.precision = 0.05;
  const Capacity found = find_capacity(world.evaluator, scenario, options);
  CHECK(found.load > 2.0);  // light traffic is well within
  const auto meets = [&](double load) {
    auto at = scenario;
    scale_load(at.serving.workload, load / 2.0);
    return world.evaluator.evaluate(std::move(at), false, nullptr).metrics->slo.met;
  };
  CHECK(meets(found.load));
  CHECK_FALSE(meets(found.load * 1.12));
  CHECK(found.error_low <= found.load);
  CHECK(found.error_high >= found.load);
  REQUIRE(found.curve.size() > 5);
  CHECK(found.curve.front().met);
  CHECK_FALSE(found.curve.back().met);

  options.threads = 3;
  CHECK(find_capacity(world.evaluator, scenario, options).load == found.load);

  scenario.slo.front().limit_s = 1e-6;
  CHECK_THROWS_WITH(find_capacity(world.evaluator, scenario, options),
                    Catch::Contains("no load meets the SLO"));
  scenario.slo.clear();
  CHECK_THROWS_WITH(find_capacity(world.evaluator, scenario, options), Catch::Contains("slo"));
}
