#include "analysis/exporters/launch.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "scenarios/loader/engine_args.hpp"
#include "scenarios/loader/scenario.hpp"
#include "tests/unit/analysis/fixture.hpp"

namespace foretoken::analysis {
namespace {

namespace loader = scenarios::loader;
using exporters::Launch;
using exporters::launch_of;
using models::serving::DeploymentSpec;

const loader::Catalogue& catalogue() {
  static const loader::Catalogue kCatalogue{FORETOKEN_SOURCE_DIR};
  return kCatalogue;
}

DeploymentSpec deployment(const std::vector<std::string>& overrides) {
  return loader::load_scenario(
             std::filesystem::path(FORETOKEN_SOURCE_DIR) / "scenarios" / "quickstart.yaml",
             catalogue(), overrides)
      .serving.deployment;
}

// The flags, read back by the loader onto the engine's defaults.
DeploymentSpec read_back(const Launch& launch, DeploymentSpec d) {
  d.layout.tensor = d.layout.pipeline = d.layout.data_attention = d.layout.expert = 1;
  d.layout.all_to_all = false;
  const auto args = loader::parse_engine_args(fmt::format("{}", fmt::join(launch.flags, " ")),
                                              launch.engine, catalogue());
  loader::apply_to_engine(args, d);
  loader::apply_to_layout(args, d);
  return d;
}

void check_same(const DeploymentSpec& a, const DeploymentSpec& b) {
  CHECK(a.layout.tensor == b.layout.tensor);
  CHECK(a.layout.pipeline == b.layout.pipeline);
  CHECK(a.layout.data_attention == b.layout.data_attention);
  CHECK(a.layout.expert == b.layout.expert);
  CHECK(a.layout.all_to_all == b.layout.all_to_all);
  CHECK(a.precision.kv == b.precision.kv);
  CHECK(a.precision.weights == b.precision.weights);
  CHECK(a.engine.memory_fraction == b.engine.memory_fraction);
  CHECK(a.engine.kv_block_tokens == b.engine.kv_block_tokens);
  CHECK(a.engine.default_max_tokens == b.batching.max_tokens);
  CHECK(a.engine.default_max_sequences == b.batching.max_sequences);
}

TEST_CASE("flags of an engine read back as the deployment they came from") {
  const std::vector<std::string> attention = {"deployment.parallel.tensor=1",
                                              "deployment.parallel.data_attention=8",
                                              "deployment.parallel.expert=8"};
  for (const std::string engine : {"sglang-0.5.9", "vllm-0.19.0"}) {
    INFO(engine);
    for (const bool spread : {false, true}) {
      std::vector<std::string> sets = {"engine=" + engine, "deployment.kv_cache=fp8",
                                       "deployment.batching.max_sequences=96"};
      if (spread) sets.insert(sets.end(), attention.begin(), attention.end());
      const DeploymentSpec d = deployment(sets);
      const Launch launch = launch_of(d, d.engine.tables.engine);
      check_same(read_back(launch, d), d);
    }
  }
}

TEST_CASE("TensorRT-LLM: ranks are counted in GPUs, what is no flag is an option") {
  const DeploymentSpec d =
      deployment({"engine=trtllm-1.0.0", "deployment.parallel.tensor=1",
                  "deployment.parallel.data_attention=8", "deployment.parallel.expert=8"});
  const Launch launch = launch_of(d, "trtllm");
  const auto has = [](const std::vector<std::string>& list, const std::string& line) {
    return std::find(list.begin(), list.end(), line) != list.end();
  };
  CHECK(has(launch.flags, "--tp_size 8"));
  CHECK(has(launch.flags, "--ep_size 8"));
  CHECK(has(launch.options, "enable_attention_dp: true"));
  // Every flag is one that the engine has.
  CHECK_NOTHROW(loader::parse_engine_args(fmt::format("{}", fmt::join(launch.flags, " ")), "trtllm",
                                          catalogue()));
}

TEST_CASE("what an engine cannot be told is a note, never silence") {
  const DeploymentSpec d = deployment({"deployment.batching.policy=shortest_job_first"});
  const auto notes = [&](const std::string& engine) {
    return fmt::format("{}", fmt::join(launch_of(d, engine).notes, "\n"));
  };
  CHECK_THAT(notes("sglang"), Catch::Contains("shortest_job_first"));
  CHECK_THAT(notes("vllm"), Catch::Contains("the prediction is for sglang-0.5.9"));
  CHECK_THROWS_AS(launch_of(d, "mlc"), std::invalid_argument);
}

TEST_CASE("nodes a replica takes") {
  DeploymentSpec d;
  d.node.gpus = 8;
  d.layout.tensor = 8;
  d.layout.pipeline = 2;
  CHECK(exporters::nodes_a_replica(d) == 2);
  d.layout.pipeline = 1;
  d.layout.tensor = 2;
  CHECK(exporters::nodes_a_replica(d) == 1);
}

}  // namespace
}  // namespace foretoken::analysis
