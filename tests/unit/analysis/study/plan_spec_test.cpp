#include "analysis/study/plan_spec.hpp"

#include <catch2/catch.hpp>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using Catch::Contains;

TEST_CASE("a plan file reads with its lists, single values and limits", "[study]") {
  const test::Folder folder;
  const auto plan = read_plan(folder.write("p.yaml", R"(foretoken: 1
scenario: s.yaml
hardware: [{node: hgx-h200, nodes: [1, 2], engine: sglang-0.5.9, pay: [buy, "rent:neocloud"]}]
kv_cache: [bf16, fp8]
max_tokens: 8192
parallel: [{tensor: 8}, {tensor: 4, data_attention: 2, expert: 8}]
limits: {gpus: 16, budget: 5000000CNY, power: 100kW}
)"));
  REQUIRE(plan.hardware.size() == 1);
  CHECK(plan.hardware[0].nodes == std::vector<int>{1, 2});
  CHECK(plan.hardware[0].pay[1] == "rent:neocloud");
  CHECK(plan.max_tokens == std::vector<int>{8192});
  CHECK(plan.layouts[1].expert == 8);
  CHECK(plan.limits.budget_cny == 5e6);
  CHECK(plan.limits.facility_watts == 1e5);
}

TEST_CASE("an empty option list and other slips are refused with their place", "[study]") {
  const test::Folder folder;
  CHECK_THROWS_WITH(
      read_plan(folder.write("e.yaml", "foretoken: 1\nscenario: s.yaml\nhardware: []\n")),
      Contains("no hardware to choose from"));
  CHECK_THROWS_WITH(
      read_plan(folder.write("d.yaml", R"(foretoken: 1
scenario: s.yaml
hardware: [{node: a, pay: lease}]
day: [1, 2]
limits: {power: 100}
)")),
      Contains("d.yaml:3") && Contains("lease") && Contains("24 numbers") && Contains("power"));
}
