// The fabric of a deployment: what is read, and each mistake at its place.
#include <catch2/catch.hpp>
#include <filesystem>

#include "scenarios/loader/scenario.hpp"
#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::collective::NetworkKind;

const std::string kBase =
    "foretoken: 1\n"
    "model: llama-3.1-70b\n"
    "engine: sglang-0.5.9\n"
    "hardware: {node: hgx-h100, nodes: 2}\n"
    "deployment:\n"
    "  prefill: {parallel: {tensor: 8}}\n"
    "  decode: {parallel: {tensor: 8}}\n"
    "network: {kind: rail_optimised, ports: 64, mode: analytic}\n"
    "workload: {arrivals: {poisson: 1/s}, input: {tokens: 100}, output: {tokens: 10}, requests: "
    "9}\n";

Scenario load(const std::string& text) {
  const TemporaryFolder folder;
  return load_scenario(folder.write("s.yaml", text), Catalogue(fs::path(FORETOKEN_SOURCE_DIR)));
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

void check_problem(const std::string& text, int line, const std::string& words) {
  std::string all;
  bool found = false;
  try {
    (void)load(text);
  } catch (const sim::core::InputError& error) {
    for (const auto& problem : error.diagnostics()) {
      all += std::to_string(problem.line) + ": " + problem.message + "\n";
      found = found || (problem.line == line && problem.message.find(words) != std::string::npos);
    }
  }
  INFO("wanted " << line << ": " << words << "\ngot\n" << all);
  CHECK(found);
}

}  // namespace

TEST_CASE("a deployment's network joins all its nodes, at what its ports reach") {
  const Scenario scenario = load(kBase);
  REQUIRE(scenario.serving.cluster.network);
  CHECK_FALSE(scenario.serving.cluster.network->flows);
  CHECK(scenario.serving.cluster.network->shape.kind == NetworkKind::rail_optimised);
  CHECK(scenario.serving.cluster.network->shape.efficiency == 1.0);
  const Scenario carded =
      load(with(with(kBase, "nodes: 2", "nodes: 2, nic: infiniband-ndr"), ", mode: analytic", ""));
  CHECK(carded.serving.cluster.network->flows);
  CHECK(carded.serving.cluster.network->shape.efficiency == 0.97);  // of the card
  // Over a network, the rate of a hand-over is a limit and need not be given.
  CHECK(load(with(kBase, "  decode:", "  kv_transfer: {latency: 1ms}\n  decode:"))
            .serving.cluster.transfer.latency_s == 1e-3);
}

TEST_CASE("a network that cannot be is refused where it stands") {
  check_problem(with(kBase, "rail_optimised, ports: 64", "single_switch, ports: 8"), 8,
                "8 ports but 16 links");
  check_problem(with(kBase, "ports: 64", "ports: 64, bandwidth: 400GB/s"), 8, "then write 400Gb/s");
  check_problem(with(kBase, "ports: 64", "ports: 64, bandwidth: 0Gb/s"), 8, "greater than 0");
  check_problem(with(kBase, "rail_optimised, ports: 64", "torus, torus: [3, 1, 1]"), 8, "torus");
  check_problem(with(kBase, "kind: rail_optimised", "kind: rail_optimized"), 8, "rail_optimised");
  check_problem(with(kBase, "decode: {", "decode: {node: hgx-h200, "), 8, "nodes of one kind");
  check_problem(with(kBase, "nodes: 2}", "nodes: 2, nic_bandwidth: 0Gb/s}"), 8, "no bandwidth");
  check_problem(
      with(with(kBase, "network: {kind: rail_optimised, ports: 64, mode: analytic}\n", ""),
           "  decode:", "  kv_transfer: {latency: 1ms}\n  decode:"),
      7, "bandwidth");
}

TEST_CASE("a network that nothing goes over is pointed out") {
  const Scenario scenario =
      load(with(kBase, "  prefill: {parallel: {tensor: 8}}\n  decode: {parallel: {tensor: 8}}\n",
                "  parallel: {tensor: 8}\n"));
  bool said = false;
  for (const auto& warning : scenario.warnings)
    said = said || warning.message.find("nothing goes over this network") != std::string::npos;
  CHECK(said);
}

}  // namespace foretoken::scenarios::loader
