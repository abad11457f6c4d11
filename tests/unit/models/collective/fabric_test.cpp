#include "models/collective/fabric.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "cards.hpp"
#include "sim/core/error.hpp"
#include "sim/net/router.hpp"

using namespace foretoken;
using namespace foretoken::models::collective;
using sim::net::NodeRole;
using sim::net::RoutePolicy;

namespace {

int switches(const Fabric& fabric, const std::string& word) {
  int count = 0;
  for (std::uint32_t n = 0; n < fabric.topology.node_count(); ++n)
    if (fabric.topology.node(NodeId{n}).name.find(word) != std::string::npos) ++count;
  return count;
}

std::vector<std::string> way(const Fabric& fabric, NodeId from, NodeId to,
                             RoutePolicy policy = RoutePolicy::ecmp) {
  sim::net::Router router(fabric.topology);
  std::vector<LinkId> path;
  router.route(from, to, policy, 1, path);
  std::vector<std::string> names;
  for (const LinkId id : path)
    names.push_back(fabric.topology.node(fabric.topology.link(id).to).name);
  return names;
}

void check_message(const ServerShape& server, int servers, const NetworkShape& network,
                   const std::string& words) {
  CHECK_THROWS_WITH(build_fabric(server, servers, network), Catch::Contains(words));
}

}  // namespace

TEST_CASE("a DGX pod: NVLink inside, rail r on leaf r, cross-rail over a spine") {
  // 40 servers, switches of 64 ports: 32 servers a leaf, so two leaves a rail, 16 leaves with 32
  // uplinks each: 16 x 32 / 64 = 8 spines.
  const Fabric fabric =
      build_fabric(tests::eight_gpus(), 40, tests::network_of(NetworkKind::rail_optimised));
  CHECK(fabric.gpus.size() == 320);
  CHECK(switches(fabric, ".leaf") == 16);
  CHECK(switches(fabric, "spine") == 8);
  CHECK(way(fabric, fabric.gpu(0, 0), fabric.gpu(0, 5)) ==
        std::vector<std::string>{"node0.nvswitch", "node0.gpu5"});
  CHECK(way(fabric, fabric.gpu(0, 3), fabric.gpu(9, 3)) ==
        std::vector<std::string>{"node0.pcie3", "node0.nic3", "rail3.leaf0", "node9.nic3",
                                 "node9.pcie3", "node9.gpu3"});
  // Another rail: over a spine, or inside the server first.
  CHECK(way(fabric, fabric.gpu(0, 0), fabric.gpu(9, 3)).size() == 8);
  const auto aligned = way(fabric, fabric.gpu(0, 0), fabric.gpu(9, 3), RoutePolicy::rail_aligned);
  CHECK(aligned[1] == "node0.gpu3");
  CHECK(aligned[4] == "rail3.leaf0");
  // Another pod: leaf, spine, leaf.
  CHECK(way(fabric, fabric.gpu(0, 3), fabric.gpu(39, 3)).size() == 8);
  CHECK(fabric.rank_of(fabric.gpu(9, 3)) == 75);
  CHECK(fabric.rank_of(fabric.hosts[0]) == -1);
}

TEST_CASE("GPUs without a switch: pairs by NVLink, the rest and all of a workstation by PCIe") {
  ServerShape pairs = tests::eight_gpus();
  pairs.gpus = pairs.nics = 4;
  pairs.scale_up = ScaleUp::nvlink_pairs;
  const Fabric paired = build_fabric(pairs, 1, tests::network_of(NetworkKind::none));
  CHECK(way(paired, paired.gpu(0, 2), paired.gpu(0, 3)) == std::vector<std::string>{"node0.gpu3"});
  CHECK(way(paired, paired.gpu(0, 1), paired.gpu(0, 2)) ==
        std::vector<std::string>{"node0.pcie1", "node0.pcie", "node0.pcie2", "node0.gpu2"});
  ServerShape workstation = pairs;
  workstation.nics = 0;
  workstation.scale_up = ScaleUp::pcie;
  const Fabric box = build_fabric(workstation, 1, tests::network_of(NetworkKind::none));
  CHECK(way(box, box.gpu(0, 0), box.gpu(0, 3)) ==
        std::vector<std::string>{"node0.pcie", "node0.gpu3"});
  CHECK(way(box, box.gpu(0, 0), box.hosts[0]) ==
        std::vector<std::string>{"node0.pcie", "node0.host"});
}

TEST_CASE("an oversubscribed fat tree has that much less above its leaves") {
  // 64 ports at 3:1: 48 down, 6 servers of 8 NICs; 48 NICs of 50 GB/s over 16 uplinks of 50 GB/s.
  NetworkShape network = tests::network_of(NetworkKind::fat_tree);
  network.oversubscription = 3.0;
  const Fabric fabric = build_fabric(tests::eight_gpus(), 12, network);
  const NodeId leaf = fabric.topology.find("leaf0");
  REQUIRE(leaf.valid());
  double down = 0.0, up = 0.0;
  for (const LinkId id : fabric.topology.links_from(leaf)) {
    const auto& to = fabric.topology.node(fabric.topology.link(id).to);
    (to.role == NodeRole::adapter ? down : up) += fabric.topology.link(id).bandwidth.value();
  }
  CHECK(down == Approx(48 * 50e9));
  CHECK(up == Approx(16 * 50e9));
}

TEST_CASE("a third layer where a spine cannot reach every leaf") {
  // 8 ports: 4 NICs a leaf. 16 servers of 4 NICs, one a leaf: 16 leaves > 8 ports: four pods.
  ServerShape server = tests::eight_gpus();
  server.gpus = server.nics = 4;
  const Fabric fabric = build_fabric(server, 16, tests::network_of(NetworkKind::fat_tree, 8));
  CHECK(switches(fabric, "pod") == 16);
  CHECK(switches(fabric, "core") == 8);
  // GPU, PCIe, NIC, leaf, aggregate, core, aggregate, leaf, NIC, PCIe, GPU.
  CHECK(way(fabric, fabric.gpu(0, 0), fabric.gpu(15, 0)).size() == 10);
  // 8-port switches hold 8^3 / 4 = 128 NICs at full bandwidth: 32 servers.
  CHECK_NOTHROW(build_fabric(server, 32, tests::network_of(NetworkKind::fat_tree, 8)));
  check_message(server, 33, tests::network_of(NetworkKind::fat_tree, 8), "larger than the fabric");
}

TEST_CASE("rail-only and planes have no path between rails but PCIe") {
  for (const NetworkKind kind : {NetworkKind::rail_only, NetworkKind::planes}) {
    const Fabric fabric = build_fabric(tests::eight_gpus(), 48, tests::network_of(kind));
    // Two leaves of 32 and 16 servers and a spine for each of eight rails.
    CHECK(switches(fabric, ".leaf") == 16);
    CHECK(switches(fabric, "spine") == 8);
    const auto cross = way(fabric, fabric.gpu(0, 0), fabric.gpu(1, 1));
    CHECK(std::any_of(cross.begin(), cross.end(),
                      [](const std::string& name) { return name.ends_with(".pcie"); }));
    const auto aligned = way(fabric, fabric.gpu(0, 0), fabric.gpu(1, 1), RoutePolicy::rail_aligned);
    CHECK(aligned[0] == "node0.nvswitch");
  }
  // A plane is two layers of 8 ports: 8 leaves of 4 servers, no more.
  CHECK_NOTHROW(build_fabric(tests::eight_gpus(), 32, tests::network_of(NetworkKind::planes, 8)));
  check_message(tests::eight_gpus(), 33, tests::network_of(NetworkKind::planes, 8),
                "larger than the fabric");
}

TEST_CASE("NVL72 is one server of 72 GPUs on one switch plane") {
  ServerShape rack = tests::eight_gpus();
  rack.gpus = rack.nics = 72;
  const Fabric fabric = build_fabric(rack, 2, tests::network_of(NetworkKind::rail_optimised));
  CHECK(way(fabric, fabric.gpu(1, 0), fabric.gpu(1, 71)) ==
        std::vector<std::string>{"node1.nvswitch", "node1.gpu71"});
  CHECK(switches(fabric, ".leaf") == 72);
}

TEST_CASE("dragonfly+ groups are joined by spines, a torus by its neighbours") {
  // 12 ports: one server of 4 NICs a leaf (half of the ports look down), six leaves a group.
  ServerShape server = tests::eight_gpus();
  server.gpus = server.nics = 4;
  const Fabric fly = build_fabric(server, 12, tests::network_of(NetworkKind::dragonfly, 12));
  const auto path = way(fly, fly.gpu(0, 0), fly.gpu(11, 0));
  CHECK(std::count_if(path.begin(), path.end(), [](const std::string& name) {
          return name.find("spine") != std::string::npos;
        }) >= 2);
  NetworkShape torus = tests::network_of(NetworkKind::torus);
  torus.torus = {4, 3, 2};
  const Fabric ring = build_fabric(server, 24, torus);
  // From (0,0,0) to (2,1,1): two steps in x, one in y, one in z: five routers.
  const auto steps = way(ring, ring.gpu(0, 0), ring.gpu(12 + 4 + 2, 0));
  CHECK(std::count_if(steps.begin(), steps.end(),
                      [](const std::string& name) { return name.starts_with("router"); }) == 5);
  check_message(server, 23, torus, "does not hold 23 servers");
}

TEST_CASE("shapes that make no fabric are described in words") {
  const ServerShape good = tests::eight_gpus();
  ServerShape server = good;
  server.nics = 3;
  check_message(server, 2, tests::network_of(NetworkKind::rail_optimised), "rail mismatch");
  server = good;
  server.nics = 16;
  check_message(server, 2, tests::network_of(NetworkKind::rail_optimised), "rail mismatch");
  server = good;
  server.nic_bandwidth = BytesPerSecond(0);
  check_message(server, 2, tests::network_of(NetworkKind::rail_optimised), "no bandwidth");
  check_message(good, 2, tests::network_of(NetworkKind::none), "need a network");
  check_message(good, 9, tests::network_of(NetworkKind::single_switch),
                "switch has 64 ports but 72 links");
  check_message(good, 2, tests::network_of(NetworkKind::fat_tree, 8), "too few for the 8 NICs");
  NetworkShape network = tests::network_of(NetworkKind::fat_tree);
  network.oversubscription = 0.5;
  check_message(good, 2, network, "oversubscription");
}

TEST_CASE("RoCE and headers take their share of the links between nodes") {
  NetworkShape network = tests::network_of(NetworkKind::rail_optimised);
  network.efficiency = 0.95;
  network.roce = true;
  network.roce_penalty = 0.1;
  const Fabric fabric = build_fabric(tests::eight_gpus(), 2, network);
  for (std::uint32_t l = 0; l < fabric.topology.link_count(); ++l) {
    const auto& link = fabric.topology.link(LinkId{l});
    const bool nic = fabric.topology.node(link.from).name.starts_with("rail");
    if (nic) CHECK(link.payload_bytes_per_s() == Approx(50e9 * 0.95 * 0.9));
  }
}
