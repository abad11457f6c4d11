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
