#include "analysis/study/sweep.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <sstream>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using Catch::Contains;

namespace {

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

const char* const kSweep = R"(foretoken: 1
scenario: small.yaml
grid:
  workload.arrivals.poisson: [1/s, 3/s]
  deployment.parallel.tensor: [1, 3]
repeats: 2
)";

}  // namespace

TEST_CASE("threads and interruptions leave the same bytes", "[study]") {
  test::World world;
  const auto spec = read_sweep(world.folder.write("sweep.yaml", kSweep));
  SweepOptions options;
  const SweepStore one(world.folder.path() / "one", false);
  const auto report = run_sweep(spec, world.evaluator, one, options);
  CHECK(report.rows.size() == 8);
  CHECK(report.ok == 4);  // three heads do not divide 32
  CHECK(report.failed == 4);
  CHECK(report.found == 0);

  options.threads = 3;
  const SweepStore two(world.folder.path() / "two", false);
  (void)run_sweep(spec, world.evaluator, two, options);
  CHECK(bytes_of(world.folder.path() / "one/sweep.h5") ==
        bytes_of(world.folder.path() / "two/sweep.h5"));
  CHECK(bytes_of(world.folder.path() / "one/sweep.csv") ==
        bytes_of(world.folder.path() / "two/sweep.csv"));

  // As after kill -9: some points are there, the tables are not.
  std::filesystem::remove(world.folder.path() / "two/sweep.h5");
  std::filesystem::remove(
      std::filesystem::directory_iterator(world.folder.path() / "two/points")->path());
  const auto resumed = run_sweep(spec, world.evaluator, two, options);
  CHECK(resumed.found == 7);
  CHECK(bytes_of(world.folder.path() / "one/sweep.h5") ==
        bytes_of(world.folder.path() / "two/sweep.h5"));
}

TEST_CASE("paths that the scenario does not know are refused before anything runs", "[study]") {
  test::World world;
  const auto spec = read_sweep(world.folder.write(
      "sweep.yaml", "foretoken: 1\nscenario: small.yaml\ngrid: {deployment.repilcas: [1, 2]}\n"));
  CHECK_THROWS_WITH(check_paths(spec, world.evaluator),
                    Contains("deployment.repilcas") && Contains("replicas"));
}

TEST_CASE("the Pareto front of five points", "[study]") {
  const std::vector<Objective> objectives{{"speed", true}, {"cost", false}};
  // (speed, cost): the third is slower and dearer than the first, the last has no result.
  CHECK(pareto_front({{10, 5}, {20, 9}, {9, 6}, {10, 5}, {NAN, 1}}, objectives) ==
        std::vector<std::size_t>{0, 1, 3});
}

TEST_CASE("an adaptive sweep looks beside the front, then spreads, and ends", "[study]") {
  const std::vector<Axis> axes{{"a", {"1", "2", "3"}}, {"b", {"1", "2", "3"}}};
  const auto beside = next_positions(axes, {{1, 1}}, {{1, 1}}, 16, 1);
  CHECK(std::set<Position>(beside.begin(), beside.end()) ==
        std::set<Position>{{0, 1}, {2, 1}, {1, 0}, {1, 2}});
  const auto spread = next_positions(axes, {}, {}, 16, 1);
  CHECK(std::set<Position>(spread.begin(), spread.end()).size() == 9);  // the whole grid, once
  CHECK(next_positions(axes, spread, {}, 16, 1).empty());
}
