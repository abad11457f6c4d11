#include "analysis/study/sweep_spec.hpp"

#include <catch2/catch.hpp>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using Catch::Contains;

TEST_CASE("ranges keep their unit and whole numbers", "[study]") {
  CHECK(spaced_values("1", "8", 4, true) == std::vector<std::string>{"1", "2", "4", "8"});
  CHECK(spaced_values("0.5/s", "2/s", 3, true) == std::vector<std::string>{"0.5/s", "1/s", "2/s"});
  CHECK(spaced_values("0", "1.5", 4, false) == std::vector<std::string>{"0", "0.5", "1", "1.5"});
  // 1, 1.26, 1.59, 2 as whole numbers: 1, 1, 2, 2.
  CHECK(spaced_values("1", "2", 4, true) == std::vector<std::string>{"1", "2"});
  CHECK_THROWS_WITH(spaced_values("1/s", "2ms", 3, false), Contains("different units"));
  CHECK_THROWS_WITH(spaced_values("0", "2", 3, true), Contains("above 0"));
  CHECK_THROWS_WITH(spaced_values("many", "2", 3, true), Contains("not a number"));
}

TEST_CASE("a sweep file names its points", "[study]") {
  const test::Folder folder;
  const auto spec = read_sweep(folder.write("s.yaml", R"(
foretoken: 1
scenario: small.yaml
set: {deployment.kv_cache: bf16}
grid:
  deployment.replicas: [1, 2]
  workload.arrivals.poisson: {from: 1/s, to: 4/s, steps: 3, scale: log}
list: [{deployment.weights: fp8}]
random: {samples: 2, values: {seed: [1, 2, 3]}}
repeats: 2
)"));
  REQUIRE(spec.points.size() == 2 * 3 + 1 + 2);
  CHECK(spec.points[1] ==
        Point{{"deployment.replicas", "1"}, {"workload.arrivals.poisson", "2/s"}});
  CHECK(spec.points[6] == Point{{"deployment.weights", "fp8"}});
  CHECK(spec.scenario == folder.path() / "small.yaml");
  CHECK(spec.repeats == 2);
  CHECK(spec.paths.front() == "deployment.replicas");
}

TEST_CASE("a sweep file's problems are all reported with their place", "[study]") {
  const test::Folder folder;
  const auto bad = folder.write("bad.yaml", R"(foretoken: 1
scenario: small.yaml
grid: {deployment.replicas: 3}
repaets: 2
)");
  CHECK_THROWS_WITH(read_sweep(bad), Contains("bad.yaml:3") && Contains("list of values") &&
                                         Contains("repaets") && Contains("repeats"));
  CHECK_THROWS_WITH(read_sweep(folder.write("none.yaml", "foretoken: 1\nscenario: a.yaml\n")),
                    Contains("nothing to sweep"));
  CHECK_THROWS_WITH(read_sweep(folder.write("huge.yaml",
                                            "foretoken: 1\nscenario: a.yaml\ngrid:\n  a: {from: 1, "
                                            "to: 90000, steps: 90000}\n  b: {from: 1, to: 90000, "
                                            "steps: 90000}\n")),
                    Contains("more than"));
}
