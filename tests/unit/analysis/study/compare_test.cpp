#include "analysis/study/compare.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;

TEST_CASE("batch means of a constant and of a ramp", "[study]") {
  const Interval flat = batch_means_interval(std::vector<double>(100, 3.0));
  CHECK(flat.low == Approx(3.0));
  CHECK(flat.high == Approx(3.0));
  // 0..39 in 20 batches of two: means 0.5, 2.5, ..., 38.5; mean 19.5, s = 2 * sqrt(35).
  std::vector<double> ramp;
  for (int i = 0; i < 40; ++i) ramp.push_back(i);
  const double half = 2.093024 * 2.0 * std::sqrt(35.0) / std::sqrt(20.0);  // t(0.975, 19)
  CHECK(batch_means_interval(ramp).high == Approx(19.5 + half).epsilon(1e-6));
  CHECK(std::isnan(batch_means_interval({1.0, 2.0}).low));
}

TEST_CASE("order statistics around the median of 0..99", "[study]") {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back(i);
  // ranks 50 -+ 1.96 * 5: 40 and 60.
  const Interval interval = quantile_interval(values, 0.5);
  CHECK(interval.low == 40.0);
  CHECK(interval.high == 60.0);
  CHECK(std::isnan(quantile_interval(values, 0.999).low));  // beyond the sample
}

TEST_CASE("paired seeds tell a real difference from none", "[study]") {
  test::World world;
  const auto slower = world.folder.write(
      "slower.yaml",
      std::string(test::kSmall).replace(std::string(test::kSmall).find("2/s"), 3, "6/s"));
  const Evaluator other(slower, world.catalogue, world.calibrations);
  const Comparison differs = compare_scenarios(world.evaluator, other, 3, 2, nullptr);
  REQUIRE(differs.inputs.size() == 1);
  CHECK(differs.inputs.front().path == "workload.arrivals.poisson");
  const auto by_name = [](const Comparison& c, const std::string& name) {
    for (const auto& r : c.results)
      if (r.metric == name) return r;
    throw std::runtime_error(name);
  };
  CHECK(by_name(differs, "request_throughput").significant == true);
  CHECK(by_name(differs, "request_throughput").low > 0.0);

  const Comparison same = compare_scenarios(world.evaluator, world.evaluator, 3, 1, nullptr);
  CHECK(same.inputs.empty());
  CHECK(by_name(same, "mean_ttft_ms").difference == 0.0);
  CHECK(by_name(same, "mean_ttft_ms").significant == false);
}

TEST_CASE("a folder that is no run is refused", "[study]") {
  const test::Folder folder;
  CHECK_THROWS_WITH(compare_runs(folder.path(), folder.path()), Catch::Contains("foretoken run"));
}
