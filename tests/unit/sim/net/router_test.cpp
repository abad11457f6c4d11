#include "sim/net/router.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

using namespace foretoken::sim;
using namespace foretoken::sim::net;

namespace {
const core::BytesPerSecond kFast(50e9);
const core::Duration kHop = core::Duration::picoseconds(500'000);  // 0.5 us

// Two servers of two endpoints; endpoint r of each has an adapter on leaf r; two spines join the
// leaves; endpoints of a server share a switch.
struct TwoRails {
  Topology fabric;
  NodeId endpoint[2][2], adapter[2][2], inner[2], leaf[2], spine[2];
  TwoRails() {
    for (int r = 0; r < 2; ++r) leaf[r] = fabric.add_node({NodeRole::switching, "leaf", 8, -1, r});
    for (int s = 0; s < 2; ++s) {
      spine[s] = fabric.add_node({NodeRole::switching, "spine", 8, -1, -1});
      for (int r = 0; r < 2; ++r) fabric.connect(leaf[r], spine[s], kFast, kHop);
    }
    for (int s = 0; s < 2; ++s) {
      inner[s] = fabric.add_node({NodeRole::switching, "inner", 0, s, -1});
      for (int r = 0; r < 2; ++r) {
        const std::string name = "s" + std::to_string(s) + ".e" + std::to_string(r);
        endpoint[s][r] = fabric.add_node({NodeRole::endpoint, name, 2, s, r});
        adapter[s][r] = fabric.add_node({NodeRole::adapter, name + ".nic", 2, s, r});
        fabric.connect(endpoint[s][r], inner[s], kFast * 9.0, kHop);
        fabric.connect(endpoint[s][r], adapter[s][r], kFast, kHop);
        fabric.connect(adapter[s][r], leaf[r], kFast, kHop);
      }
    }
  }
  std::vector<NodeId> visited(const std::vector<LinkId>& path) const {
    std::vector<NodeId> nodes;
    for (const LinkId id : path) nodes.push_back(fabric.link(id).to);
    return nodes;
  }
};
}  // namespace

TEST_CASE("shortest paths stay inside a server and on a rail where they can") {
  TwoRails t;
  REQUIRE(t.fabric.problems().empty());
  Router router(t.fabric);
  std::vector<LinkId> path;
  // Same server: endpoint, inner switch, endpoint: two links.
  router.route(t.endpoint[0][0], t.endpoint[0][1], RoutePolicy::ecmp, 7, path);
  CHECK(t.visited(path) == std::vector<NodeId>{t.inner[0], t.endpoint[0][1]});
  // Same rail: adapter, leaf, adapter: four links, 4 x 0.5 us.
  router.route(t.endpoint[0][1], t.endpoint[1][1], RoutePolicy::ecmp, 7, path);
  CHECK(t.visited(path) ==
        std::vector<NodeId>{t.adapter[0][1], t.leaf[1], t.adapter[1][1], t.endpoint[1][1]});
  CHECK(router.latency(path) == core::Duration::picoseconds(2'000'000));
}

TEST_CASE("cross-rail traffic takes a spine, or changes rail inside the server") {
  TwoRails t;
  Router router(t.fabric);
  std::vector<LinkId> path;
  int through_first = 0;
  for (std::uint64_t flow = 0; flow < 1000; ++flow) {
    router.route(t.endpoint[0][0], t.endpoint[1][1], RoutePolicy::ecmp, flow, path);
    REQUIRE(path.size() == 6);
    through_first += t.visited(path)[2] == t.spine[0];
  }
  // A fair hash sends 500 +- 4 standard deviations (16 each) over either spine.
  CHECK(through_first > 436);
  CHECK(through_first < 564);
  router.route(t.endpoint[0][0], t.endpoint[1][1], RoutePolicy::rail_aligned, 7, path);
  CHECK(t.visited(path) == std::vector<NodeId>{t.inner[0], t.endpoint[0][1], t.adapter[0][1],
                                               t.leaf[1], t.adapter[1][1], t.endpoint[1][1]});
  // Adaptive: the loaded spine is avoided.
  std::vector<double> load(t.fabric.link_count(), 0.0);
  for (const LinkId id : t.fabric.links_into(t.spine[0])) load[id.value] = 1e9;
  router.route(t.endpoint[0][0], t.endpoint[1][1], RoutePolicy::adaptive, 7, path, load);
  CHECK(t.visited(path)[2] == t.spine[1]);
}

TEST_CASE("a failed spine leaves the other; when both fail the two nodes are named") {
  TwoRails t;
  Router router(t.fabric);
  std::vector<LinkId> path;
  const auto fail = [&](NodeId spine) {
    for (const LinkId id : t.fabric.links_into(spine)) router.set_down(id, true);
    for (const LinkId id : t.fabric.links_from(spine)) router.set_down(id, true);
  };
  fail(t.spine[0]);
  for (std::uint64_t flow = 0; flow < 20; ++flow) {
    router.route(t.endpoint[0][0], t.endpoint[1][1], RoutePolicy::ecmp, flow, path);
    CHECK(t.visited(path)[2] == t.spine[1]);
  }
  fail(t.spine[1]);
  CHECK_THROWS_WITH(router.route(t.endpoint[0][0], t.endpoint[1][1], RoutePolicy::ecmp, 1, path),
                    Catch::Contains("s0.e0") && Catch::Contains("s1.e1"));
  // Traffic never passes through somebody else's endpoint, but may change rail on purpose.
  router.route(t.endpoint[0][0], t.endpoint[1][1], RoutePolicy::rail_aligned, 1, path);
  CHECK(path.size() == 6);
}
