#include "sim/net/topology.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::sim;
using namespace foretoken::sim::net;

namespace {
const core::BytesPerSecond kFast(50e9);
const core::Duration kHop = core::Duration::picoseconds(500'000);  // 0.5 us
}  // namespace

TEST_CASE("an unsound fabric is described in words") {
  Topology fabric;
  const NodeId a = fabric.add_node({NodeRole::endpoint, "a", 1, -1, -1});
  const NodeId b = fabric.add_node({NodeRole::endpoint, "b", 0, -1, -1});
  const NodeId s = fabric.add_node({NodeRole::switching, "s", 0, -1, -1});
  fabric.add_node({NodeRole::endpoint, "island", 0, -1, -1});
  fabric.connect(a, s, core::BytesPerSecond(0), kHop);
  fabric.connect(a, b, kFast, kHop);
  const auto problems = fabric.problems();
  REQUIRE(problems.size() == 3);
  CHECK_THAT(problems[0], Catch::Contains("link a - s has no bandwidth"));
  CHECK_THAT(problems[1], Catch::Contains("a has 1 ports but 2 links"));
  CHECK_THAT(problems[2], Catch::Contains("no path between a and island"));
}

TEST_CASE("lookahead is the smallest latency between servers") {
  // Inside the server 0.5 us, between the two 2 us: the engine may look 2 us ahead. With one
  // server only, any link counts.
  Topology fabric;
  const NodeId a = fabric.add_node({NodeRole::endpoint, "a", 0, 0, -1});
  const NodeId b = fabric.add_node({NodeRole::endpoint, "b", 0, 0, -1});
  fabric.connect(a, b, kFast, kHop);
  CHECK(fabric.lookahead() == kHop);
  const NodeId c = fabric.add_node({NodeRole::endpoint, "c", 0, 1, -1});
  fabric.connect(b, c, kFast, kHop * 4);
  CHECK(fabric.lookahead() == kHop * 4);
  CHECK(Topology().lookahead() == core::Duration());
}

TEST_CASE("between servers a message takes at least the way out of both") {
  // Endpoint, adapter, switch: 0.5 + 1 us out of the first server; 0.5 + 2 us out of the second:
  // 4 us together. A link from endpoint to endpoint of 3 us is less.
  Topology fabric;
  const NodeId a = fabric.add_node({NodeRole::endpoint, "a", 0, 0, -1});
  const NodeId a_nic = fabric.add_node({NodeRole::adapter, "a.nic", 0, 0, -1});
  const NodeId b = fabric.add_node({NodeRole::endpoint, "b", 0, 1, -1});
  const NodeId b_nic = fabric.add_node({NodeRole::adapter, "b.nic", 0, 1, -1});
  const NodeId s = fabric.add_node({NodeRole::switching, "s", 0, -1, -1});
  fabric.connect(a, a_nic, kFast, kHop);
  CHECK(fabric.lookahead_between_servers() == core::Duration());
  fabric.connect(b, b_nic, kFast, kHop);
  fabric.connect(a_nic, s, kFast, kHop * 2);
  fabric.connect(b_nic, s, kFast, kHop * 4);
  CHECK(fabric.lookahead_between_servers() == kHop * 8);
  fabric.connect(a, b, kFast, kHop * 6);
  CHECK(fabric.lookahead_between_servers() == kHop * 6);
}

TEST_CASE("health is of both directions; a failed link joins nothing") {
  Topology fabric;
  const NodeId a = fabric.add_node({NodeRole::endpoint, "a", 0, -1, -1});
  const NodeId b = fabric.add_node({NodeRole::endpoint, "b", 0, -1, -1});
  const LinkId link = fabric.connect(a, b, kFast, kHop, 0.8);
  fabric.set_health(link, 0.5);
  for (const LinkId id : {fabric.links_from(a)[0], fabric.links_from(b)[0]})
    CHECK(fabric.link(id).payload_bytes_per_s() == Approx(50e9 * 0.8 * 0.5));
  CHECK(fabric.problems().empty());
  fabric.set_health(b, 0.0);
  REQUIRE(fabric.problems().size() == 1);
  CHECK_THAT(fabric.problems()[0], Catch::Contains("no path between a and b"));
  CHECK(fabric.find("b") == b);
  CHECK_FALSE(fabric.find("c").valid());
}
