#include "models/collective/fabric_graph.hpp"

#include <catch2/catch.hpp>

#include "models/collective/analytic.hpp"
#include "sim/core/error.hpp"

using namespace foretoken::models::collective;

namespace {

GraphLink link(std::size_t a, std::size_t b, double gb_per_s, double us) {
  GraphLink made;
  made.a = a;
  made.b = b;
  made.like.bandwidth = BytesPerSecond(gb_per_s * 1e9);
  made.like.latency = Duration::from_seconds(us * 1e-6);
  return made;
}

}  // namespace

TEST_CASE("the shape of a graph's servers is read off its links") {
  // Two servers of two GPUs, listed crosswise; 200 GB/s inside, 25 GB/s and 1 + 2 us outside.
  const std::vector<GraphNode> nodes = {{"a0", GraphRole::gpu, 0, 0, 0},
                                        {"b0", GraphRole::gpu, 0, 1, 0},
                                        {"a1", GraphRole::gpu, 0, 0, 1},
                                        {"b1", GraphRole::gpu, 0, 1, 1},
                                        {"s", GraphRole::switching, 8, -1, -1}};
  const Fabric fabric =
      graph_fabric(nodes, {link(0, 2, 200, 1), link(1, 3, 200, 1), link(0, 4, 25, 1),
                           link(2, 4, 25, 1), link(1, 4, 25, 2), link(3, 4, 25, 2)});
  REQUIRE(fabric.gpus.size() == 4);
  CHECK(fabric.topology.node(fabric.gpu(0, 1)).name == "a1");
  CHECK(fabric.topology.node(fabric.gpu(1, 0)).name == "b0");
  CHECK(fabric.server.gpus == 2);
  CHECK(fabric.server.scale_up_bandwidth.value() == 200e9);
  CHECK(fabric.server.nic_bandwidth.value() == 25e9);
  CHECK(fabric.server.nic_latency == Duration::from_seconds(3e-6));
  CHECK(wire_of(fabric).nics == 2);
}

TEST_CASE("servers of different sizes and graphs without GPUs are refused") {
  const GraphNode s{"s", GraphRole::switching, 0, -1, -1};
  CHECK_THROWS_WITH(graph_fabric({{"a", GraphRole::gpu, 0, 0, -1},
                                  {"b", GraphRole::gpu, 0, 0, -1},
                                  {"c", GraphRole::gpu, 0, 1, -1},
                                  s},
                                 {link(0, 3, 1, 1), link(1, 3, 1, 1), link(2, 3, 1, 1)}),
                    Catch::Contains("has 1 GPUs where another has 2"));
  CHECK_THROWS_WITH(graph_fabric({{"h", GraphRole::host, 0, -1, -1}, s}, {link(0, 1, 1, 1)}),
                    Catch::Contains("no GPU"));
}
