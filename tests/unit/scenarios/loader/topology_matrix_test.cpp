#include "scenarios/loader/topology_matrix.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"
#include "sim/net/router.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::collective::Fabric;
using models::hardware::BytesPerSecond;
using sim::core::InputError;

MatrixFigures figures() {
  MatrixFigures f;
  f.gpu.scale_up_bandwidth = BytesPerSecond(300e9);
  f.gpu.pcie_bandwidth = BytesPerSecond(25e9);
  f.nic_bandwidth = BytesPerSecond(25e9);
  f.socket_bandwidth = BytesPerSecond(40e9);
  f.link_latency = sim::core::Duration::from_seconds(1e-6);
  return f;
}

// What a user with two bridges between four GPUs on two sockets sees.
const char* const kPairs =
    "\t\033[4mGPU0\tGPU1\tGPU2\tGPU3\tNIC0\tCPU Affinity\tNUMA Affinity\033[0m\n"
    "GPU0\t X \tNV12\tSYS\tSYS\tPIX\t0-31\t0\n"
    "GPU1\tNV12\t X \tSYS\tSYS\tNODE\t0-31\t0\n"
    "GPU2\tSYS\tSYS\t X \tNV12\tSYS\t32-63\t1\n"
    "GPU3\tSYS\tSYS\tNV12\t X \tSYS\t32-63\t1\n"
    "NIC0\tPIX\tNODE\tSYS\tSYS\t X \t\t\n"
    "\nLegend:\n\n  X    = Self\n";

Fabric fabric_of(const std::string& text) {
  const MatrixGraph graph = read_topology_matrix(text, "topo.txt", figures());
  return models::collective::graph_fabric(graph.nodes, graph.links);
}

std::vector<std::string> way(const Fabric& fabric, const std::string& from, const std::string& to) {
  sim::net::Router router(fabric.topology);
  std::vector<sim::net::LinkId> path;
  router.route(fabric.topology.find(from), fabric.topology.find(to), sim::net::RoutePolicy::first,
               0, path);
  std::vector<std::string> names;
  for (const auto id : path)
    names.push_back(fabric.topology.node(fabric.topology.link(id).to).name);
  return names;
}

std::string square(int n, const std::string& between) {
  std::string text = "\t";
  for (int i = 0; i < n; ++i) text += "GPU" + std::to_string(i) + "\t";
  text += "\n";
  for (int i = 0; i < n; ++i) {
    text += "GPU" + std::to_string(i);
    for (int j = 0; j < n; ++j) text += "\t" + (i == j ? std::string("X") : between);
    text += "\n";
  }
  return text;
}

void check_problem(const std::string& text, int line, const std::string& words) {
  try {
    (void)read_topology_matrix(text, "topo.txt", figures());
    FAIL("no problem found in:\n" << text);
  } catch (const InputError& error) {
    REQUIRE(error.diagnostics().size() == 1);
    CHECK(error.diagnostics()[0].file == "topo.txt");
    CHECK(error.diagnostics()[0].line == line);
    CHECK_THAT(error.diagnostics()[0].message, Catch::Contains(words));
  }
}

TEST_CASE("bridged pairs: NVLink inside a pair, sockets in between for the rest") {
  const Fabric fabric = fabric_of(kPairs);
  CHECK(fabric.gpus.size() == 4);
  CHECK(fabric.hosts.size() == 2);
  CHECK(way(fabric, "gpu0", "gpu1") == std::vector<std::string>{"gpu1"});
  CHECK(way(fabric, "gpu1", "gpu2") ==
        std::vector<std::string>{"pcie1", "root0", "root1", "pcie2", "gpu2"});
  CHECK(way(fabric, "gpu0", "nic0") == std::vector<std::string>{"pcie0", "nic0"});
  // All twelve links of a GPU go to its one peer: the whole 300 GB/s.
  CHECK(fabric.server.scale_up_bandwidth.value() == 300e9);
}

TEST_CASE("more links than a GPU has mean a switch; as many are direct") {
  // 8 x NV12: 84 links a GPU, but there are at most 18: an NVSwitch.
  CHECK(way(fabric_of(square(8, "NV12")), "gpu0", "gpu7") ==
        std::vector<std::string>{"nvswitch", "gpu7"});
  // 4 x NV4: twelve links, four to each peer at a third of 300 GB/s.
  const Fabric board = fabric_of(square(4, "NV4"));
  CHECK(way(board, "gpu0", "gpu3") == std::vector<std::string>{"gpu3"});
  CHECK(board.server.scale_up_bandwidth.value() == Approx(100e9));
  // A workstation with no NVLink at all.
  CHECK(way(fabric_of(square(2, "PHB")), "gpu0", "gpu1") ==
        std::vector<std::string>{"pcie0", "root0", "pcie1", "gpu1"});
}

TEST_CASE("a damaged matrix is refused with its place") {
  std::string text = kPairs;
  check_problem(text.replace(text.find("NODE"), 4, "NEAR"), 3, "'NEAR' is none of X");
  text = kPairs;
  check_problem(text.replace(text.find("GPU2\tSYS"), 8, "GPU2\tPXB"), 4, "the other way around");
  text = kPairs;
  check_problem(text.substr(0, text.find("GPU3\tSYS")), 4, "ends after 3 of 5 rows");
  check_problem("hello\n", 1, "no matrix");
}

}  // namespace
}  // namespace foretoken::scenarios::loader
