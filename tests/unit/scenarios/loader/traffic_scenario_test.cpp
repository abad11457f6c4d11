#include "scenarios/loader/traffic_scenario.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;

const Catalogue& shipped() {
  static const Catalogue catalogue{fs::path(FORETOKEN_SOURCE_DIR)};
  return catalogue;
}

const std::string kBase =
    "foretoken: 1\n"
    "fabric:\n"
    "  node: hgx-h800\n"
    "  nodes: 2\n"
    "  network: {kind: rail_optimised, ports: 64}\n"
    "traffic:\n"
    "  - name: reduce\n"
    "    operation: all_reduce\n"
    "    members: {nodes: 0-1}\n"
    "    bytes: 64MB\n";

const std::string kGraph =
    "foretoken: 1\n"
    "fabric:\n"
    "  graph:\n"
    "    nodes:\n"
    "      - {name: a, role: gpu}\n"
    "      - {name: b, role: gpu}\n"
    "      - {name: s, role: switch, ports: 2}\n"
    "    links:\n"
    "      - {between: [a, s], bandwidth: 400Gb/s, latency: 1us}\n"
    "      - {between: [b, s], bandwidth: 400Gb/s, latency: 1us}\n"
    "traffic:\n"
    "  - {name: one, operation: kv_transfer, from: {names: [a]}, to: {names: [b]}, bytes: 50MB}\n";

TrafficScenario load(const std::string& text) {
  const TemporaryFolder folder;
  folder.write("t.yaml", text);
  return load_traffic(folder.path() / "t.yaml", shipped());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// The first problem: its line and words of it.
void check_problem(const std::string& text, int line, const std::string& words) {
  try {
    (void)load(text);
    FAIL("no problem found in:\n" << text);
  } catch (const InputError& error) {
    std::string all;
    bool found = false;
    for (const auto& problem : error.diagnostics()) {
      all += std::to_string(problem.line) + ": " + problem.message + "\n";
      found = found || (problem.line == line && problem.message.find(words) != std::string::npos);
    }
    INFO("wanted " << line << ": " << words << "\ngot\n" << all);
    CHECK(found);
  }
}

double mean_ms(const models::collective::TrafficResult& result, const std::string& name) {
  for (const auto& stream : result.streams)
    if (stream.name == name) return stream.mean_s() * 1e3;
  return 0.0;
}

TEST_CASE("a fabric of cards and its traffic are read") {
  const TrafficScenario scenario = load(kBase);
  CHECK(scenario.traffic.fabric.gpus.size() == 16);
  REQUIRE(scenario.traffic.streams.size() == 1);
  const auto& reduce =
      std::get<models::collective::CollectiveTraffic>(scenario.traffic.streams[0].what);
  CHECK(reduce.bytes == 64e6);
  REQUIRE(reduce.groups.size() == 1);
  CHECK(reduce.groups[0].group.nodes == 2);
  const auto by_rail = load(replaced(kBase, "    bytes:", "    group_by_rail: true\n    bytes:"));
  CHECK(std::get<models::collective::CollectiveTraffic>(by_rail.traffic.streams[0].what)
            .groups.size() == 8);
}

TEST_CASE("a graph drawn by hand carries what its links allow") {
  // 50 MB at 0.89 x 50 GB/s: 1.124 ms, and a launch of 10 us with 2 us on the way.
  const auto scenario = load(kGraph);
  const auto result = models::collective::simulate(scenario.traffic);
  CHECK(result.conservation_errors.empty());
  CHECK(mean_ms(result, "one") == Approx(50e6 / (0.89 * 50e9) * 1e3 + 0.012).epsilon(1e-3));
}

TEST_CASE("failed and degraded links slow what goes over them") {
  const auto slow =
      load(replaced(kGraph, "traffic:", "  failures: [{link: [a, s], rate: 50%}]\ntraffic:"));
  const auto result = models::collective::simulate(slow.traffic);
  CHECK(mean_ms(result, "one") == Approx(50e6 / (0.89 * 25e9) * 1e3 + 0.012).epsilon(1e-3));
  // Half way through: 0.5 ms of the whole link, then half of it.
  const auto later = load(
      replaced(kGraph, "traffic:", "  failures: [{link: [a, s], rate: 50%, at: 512us}]\ntraffic:"));
  const double sent = 0.5e-3 * 50e9 * 0.89;
  CHECK(mean_ms(models::collective::simulate(later.traffic), "one") ==
        Approx(0.512 + (50e6 - sent) / (0.89 * 25e9) * 1e3).epsilon(1e-3));
}

TEST_CASE("every problem has its place and says what to do") {
  check_problem(replaced(kBase, "nodes: 0-1", "nodes: 0-2"), 9, "layout larger than the fabric");
  check_problem(replaced(kBase, "  network: {kind: rail_optimised, ports: 64}\n", ""), 2,
                "need a network");
  check_problem(replaced(kBase, "  nodes: 2\n", "  nodes: 2\n  nics: 3\n"), 2, "rail mismatch");
  check_problem(replaced(kBase, "  nodes: 2\n", "  nodes: 2\n  nic_bandwidth: 400GB/s\n"), 5,
                "then write 400Gb/s");
  check_problem(replaced(kBase, "  nodes: 2\n", "  nodes: 2\n  nic_bandwidth: 0Gb/s\n"), 2,
                "no bandwidth");
  check_problem(replaced(kBase, "rail_optimised, ports: 64", "single_switch, ports: 8"), 2,
                "switch has 8 ports but 16 links");
  check_problem(replaced(kBase, "bytes: 64MB", "bytes: 64"), 10, "64");
  check_problem(replaced(kBase, "operation: all_reduce", "operation: all_redoce"), 8, "all_reduce");
  check_problem(replaced(kBase, "members:", "membres:"), 9, "membres");
  check_problem(
      replaced(kGraph, "between: [b, s], bandwidth: 400Gb/s", "between: [b, s], bandwidth: 0Gb/s"),
      10, "greater than 0");
  check_problem(replaced(kGraph, "between: [b, s]", "between: [b, t]"), 10, "no node 't'");
  check_problem(replaced(kGraph, "ports: 2", "ports: 1"), 3, "s has 1 ports but 2 links");
  check_problem(
      replaced(kGraph, "      - {between: [b, s], bandwidth: 400Gb/s, latency: 1us}\n", ""), 3,
      "no path between a and b");
  check_problem(replaced(kGraph, "from: {names: [a]}", "from: {names: [s]}"), 12, "no endpoint");
}

TEST_CASE("KV transfer slows expert all-to-all on shared rails and not on separate ones") {
  const fs::path folder = fs::path(FORETOKEN_SOURCE_DIR) / "scenarios/network";
  const auto run = [&](const char* name) {
    return models::collective::simulate(load_traffic(folder / name, shipped()).traffic);
  };
  const auto shared = run("contention-shared-rails.yaml");
  const auto apart = run("contention-separate-rails.yaml");
  for (const auto* result : {&shared, &apart}) CHECK(result->conservation_errors.empty());
  const double alone = shared.streams[0].alone_s * 1e3;
  CHECK(apart.streams[0].alone_s * 1e3 == Approx(alone));
  CHECK(mean_ms(apart, "experts") == Approx(alone).epsilon(1e-6));
  CHECK(mean_ms(shared, "experts") > 1.15 * alone);
  // The books name the culprit: experts (0) waited on kv (1), and the other way around.
  double waited = 0.0;
  for (const auto& wait : shared.waits)
    if (wait.who == 0 && wait.whom == 1) waited += wait.seconds;
  CHECK(waited > 0.0);
  for (const auto& wait : apart.waits) CHECK(wait.who == wait.whom);
}

}  // namespace
}  // namespace foretoken::scenarios::loader
