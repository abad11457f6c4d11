#include "analysis/study/candidates.hpp"

#include <catch2/catch.hpp>

#include "small_scenario.hpp"

using namespace foretoken::analysis::study;
using Catch::Contains;

TEST_CASE("layouts of a dense model in an 8-GPU node", "[study]") {
  const test::World world;
  const auto model = world.evaluator.load({}).serving.deployment.model;
  const auto layouts = possible_layouts(model, 8, 8);
  for (const auto& layout : layouts) {
    CHECK(layout.data_attention == 1);
    CHECK(8 % layout.gpus() == 0);
  }
  // TP and PP powers of two with a product of at most 8: 4 + 3 + 2 + 1.
  CHECK(layouts.size() == 10);
}

TEST_CASE("layouts of DeepSeek-R1 reach over nodes", "[study]") {
  const test::World world;
  const auto model = world.evaluator
                         .load({"model=deepseek-r1", "hardware.node=hgx-h200",
                                "deployment.weights=fp8", "deployment.parallel.tensor=8"})
                         .serving.deployment.model;
  bool wide = false;
  for (const auto& layout : possible_layouts(model, 8, 16)) {
    CHECK(layout.tensor <= 8);
    wide |= layout.expert == 16 && layout.data_attention == 16;
  }
  CHECK(wide);
}

TEST_CASE("options that do not exist are rejected with their reason", "[study]") {
  test::World world;
  const auto spec = read_plan(world.folder.write("plan.yaml", R"(foretoken: 1
scenario: small.yaml
hardware: [{node: a100-80gb-x1}, {node: no-such-node}]
)"));
  const auto set = make_candidates(spec, world.evaluator);
  CHECK(set.candidates.size() == 1);
  REQUIRE(set.rejected.size() == 1);
  CHECK(set.rejected.front().why.find("no-such-node") != std::string::npos);

  const auto none = read_plan(world.folder.write(
      "none.yaml", "foretoken: 1\nscenario: small.yaml\nhardware: [{node: no-such-node}]\n"));
  CHECK_THROWS_WITH(make_candidates(none, world.evaluator), Contains("no candidate at all"));
}
