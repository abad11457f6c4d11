// Training scenarios: what is shipped loads; slips are named with their place.
#include "scenarios/loader/scenario_training.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
const fs::path kRoot = FORETOKEN_SOURCE_DIR;

const std::string kGood =
    "foretoken: 1\nmodel: llama-3.1-70b\nsoftware: megatron-bridge\n"
    "hardware: {node: dgx-h100, nodes: 8}\n"
    "training:\n  arithmetic: bf16\n  parallel: {tensor: 8, pipeline: 4}\n"
    "  batch: {sequences: 128, micro: 1, sequence: 4096}\n"
    "cost: {gpu_hour: 2.00USD/GPU/h}\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// Every message of what loading throws, joined.
std::string problems(const std::string& text) {
  const TemporaryFolder folder;
  try {
    (void)load_training_scenario(folder.write("s.yaml", text), Catalogue(kRoot));
  } catch (const sim::core::InputError& error) {
    std::string all;
    for (const auto& d : error.diagnostics()) {
      CHECK(d.line > 0);
      all += d.message + "\n";
    }
    return all;
  }
  return "";
}

TEST_CASE("every shipped training scenario loads") {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "scenarios" / "training")) {
    if (entry.path().extension() != ".yaml") continue;
    INFO(entry.path().string());
    CHECK(is_training_scenario(entry.path()));
    const auto scenario = load_training_scenario(entry.path(), Catalogue(kRoot));
    CHECK(layout_errors(scenario.training).empty());
    CHECK(scenario.training.layout.gpus() == scenario.nodes * scenario.training.node.gpus);
    ++count;
  }
  CHECK(count >= 10);
  CHECK_FALSE(is_training_scenario(kRoot / "scenarios" / "quickstart.yaml"));
}

TEST_CASE("what a scenario leaves out is resolved and said") {
  const TemporaryFolder folder;
  const auto s = load_training_scenario(folder.write("s.yaml", kGood), Catalogue(kRoot));
  CHECK(s.training.layout.data == 2);  // 64 GPUs / (8 x 4)
  CHECK(s.training.schedule == models::training::Schedule::one_f_one_b);
  CHECK_FALSE(s.recompute_given);
  CHECK(s.run.faults.gpu > 0);
  const auto set =
      load_training_scenario(folder.write("s.yaml", kGood), Catalogue(kRoot),
                             {"training.parallel.virtual_stages=5", "hardware.nodes=16"});
  CHECK(set.training.layout.data == 4);
  CHECK(set.training.schedule == models::training::Schedule::interleaved);
}

TEST_CASE("bad input names the rule and the place") {
  CHECK(problems(kGood).empty());
  CHECK(problems(replaced(kGood, "tensor: 8", "tensor: 3")).find("does not divide") !=
        std::string::npos);
  CHECK(problems(replaced(kGood, "micro: 1", "micro: 256"))
            .find("micro batch of 256 is larger than the global batch of 128") !=
        std::string::npos);
  CHECK(problems(replaced(kGood, "pipeline: 4}", "pipeline: 4, stage_layers: [40, 0, 20, 20]}"))
            .find("zero layers in a stage") != std::string::npos);
  CHECK(problems(replaced(replaced(kGood, "{tensor: 8, pipeline: 4}", "{tensor: 8, pipeline: 1}"),
                          "arithmetic: bf16", "schedule: dualpipe"))
            .find("dualpipe needs an even number of stages") != std::string::npos);
  const std::string experts = replaced(kGood, "llama-3.1-70b", "mixtral-8x7b");
  CHECK(problems(replaced(experts, "pipeline: 4}", "pipeline: 4, expert: 64}"))
            .find("expert 64 does not divide the 16 GPUs of a stage") != std::string::npos);
  CHECK(problems(replaced(kGood, "nodes: 8", "nodes: 2, typo: 1")).find("typo") !=
        std::string::npos);
  CHECK(problems(replaced(kGood, "{tensor: 8, pipeline: 4}", "{tensor: 8, pipeline: 4, data: 4}"))
            .find("128 GPUs, but 8 nodes of 8 have 64") != std::string::npos);
  CHECK(problems(replaced(kGood, "sequence: 4096", "sequence: 0")).find("sequence") !=
        std::string::npos);
}

TEST_CASE("every key that a training scenario resolves is in its schema") {
  const auto schema = nlohmann::json::parse(training_json_schema());
  for (const auto& entry : fs::directory_iterator(kRoot / "scenarios" / "training")) {
    if (entry.path().extension() != ".yaml") continue;
    for (const auto& value : load_training_scenario(entry.path(), Catalogue(kRoot)).resolved) {
      if (value.path.rfind("training.", 0) != 0) continue;
      INFO(value.path);
      const nlohmann::json* at = &schema;
      for (std::size_t begin = 0; begin < value.path.size();) {
        const std::size_t end = std::min(value.path.find('.', begin), value.path.size());
        const std::string key = value.path.substr(begin, end - begin);
        if (at->contains("items")) break;  // items of a list
        REQUIRE(at->at("properties").contains(key));
        at = &at->at("properties").at(key);
        begin = end + 1;
      }
    }
  }
}

TEST_CASE("cards of training software state a source for every figure and few constants to fit") {
  for (const auto& entry : list_cards("training-software", Catalogue(kRoot))) {
    INFO(entry.name);
    const auto card = load_training_software(entry.name, Catalogue(kRoot)).card;
    CHECK(card.software.name == entry.name);
    CHECK_FALSE(card.sources.empty());
    if (!card.fitted.empty()) CHECK(card.folds.size() == 5);
  }
}

TEST_CASE("fault cards") {
  const auto faults = load_faults("llama-3-405b", Catalogue(kRoot)).card;
  // 419 interruptions in 54 days on 16,384 GPUs of 2,048 nodes.
  const double hours = 54 * 24.0;
  CHECK(hours * (16384 * (faults.gpu + faults.software) + 2048 * (faults.node + faults.link)) ==
        Approx(419).epsilon(0.02));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
