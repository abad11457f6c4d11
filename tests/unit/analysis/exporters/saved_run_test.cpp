#include "analysis/exporters/saved_run.hpp"

#include <catch2/catch.hpp>

#include "analysis/results_store.hpp"
#include "sim/core/error.hpp"
#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

using exporters::open_run;
using sim::core::InputError;

TEST_CASE("a run's folder opens, anything else says what a run is") {
  const test::TemporaryFolder folder;
  const auto scenario = test::small_scenario();
  const auto result = test::small_result();
  write_run(folder.path() / "run", scenario, result, summarise(scenario, result), {});
  const auto run = open_run(folder.path() / "run");
  CHECK(run.kind == "serving");
  CHECK(run.name == "Three requests");
  CHECK(run.summary.find("p99_ttft_ms") != std::string::npos);
  CHECK_THROWS_WITH(open_run(folder.path()), Catch::Contains("is not the folder of a run"));
  CHECK_THROWS_AS(open_run(folder.path() / "none"), InputError);
  std::ofstream(folder.path() / "run" / "summary.json") << "[";
  CHECK_THROWS_WITH(open_run(folder.path() / "run"), Catch::Contains("is damaged"));
}

}  // namespace
}  // namespace foretoken::analysis
