#include "models/collective/fabric_traffic.hpp"

#include <catch2/catch.hpp>

#include "cards.hpp"

using namespace foretoken;
using namespace foretoken::models::collective;

namespace {

// 89 MB from GPU `from` of node 0 to GPU `to` of node 1: 2 ms at 0.89 x 50 GB/s, 17 us before.
Stream copy(const Fabric& fabric, const char* name, int from, int to) {
  Stream stream;
  stream.name = name;
  BulkTraffic bulk;
  bulk.transfer = {89e6, 1, 1, false, 1.0};
  bulk.from = {fabric.gpu(0, from)};
  bulk.to = {fabric.gpu(1, to)};
  stream.what = bulk;
  return stream;
}

TrafficSpec pair_of_nodes() {
  TrafficSpec spec;
  spec.fabric =
      build_fabric(tests::eight_gpus(), 2, tests::network_of(NetworkKind::rail_optimised));
  return spec;
}

}  // namespace

TEST_CASE("repeats follow each other, or begin at their times") {
  TrafficSpec spec = pair_of_nodes();
  spec.streams.push_back(copy(spec.fabric, "back to back", 0, 0));
  spec.streams.back().repeat = 3;
  spec.streams.push_back(copy(spec.fabric, "every 10 ms", 1, 1));
  spec.streams.back().repeat = 3;
  spec.streams.back().every_s = 10e-3;
  spec.streams.back().start_s = 1e-3;
  const TrafficResult result = simulate(spec);
  CHECK(result.conservation_errors.empty());
  REQUIRE(result.streams[0].seconds.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(result.streams[0].seconds[i] == Approx(2.017e-3));
    CHECK(result.streams[0].start_s[i] == Approx(2.017e-3 * static_cast<double>(i)));
    CHECK(result.streams[1].start_s[i] == Approx(1e-3 + 10e-3 * static_cast<double>(i)));
  }
  CHECK(result.streams[0].alone_s == Approx(2.017e-3));
  CHECK(result.streams[0].closed_s == Approx(2.017e-3));
  CHECK(result.end_s == Approx(23.017e-3));
  CHECK(result.waits.empty());
}

TEST_CASE("overlapping repeats of one traffic wait on each other") {
  // One begins every 1 ms and takes 2 alone: the second meets the first half way. First: 1 ms of
  // its bytes alone, the other at half rate: done after 1 + 2 = 3 ms. From 2 to 3 ms the link is
  // shared by two, then by the second and what the first left.
  TrafficSpec spec = pair_of_nodes();
  spec.streams.push_back(copy(spec.fabric, "dense", 0, 0));
  spec.streams.back().repeat = 2;
  spec.streams.back().every_s = 1e-3;
  const TrafficResult result = simulate(spec);
  REQUIRE(result.streams[0].seconds.size() == 2);
  CHECK(result.streams[0].seconds[0] == Approx(3.017e-3).epsilon(1e-6));
  CHECK(result.streams[0].seconds[1] == Approx(3.017e-3).epsilon(1e-6));
  REQUIRE(!result.waits.empty());
  CHECK(result.waits[0].who == result.waits[0].whom);
}

TEST_CASE("a link that fails is left for another, a NIC that fails too") {
  // NIC 0 of node 0 fails while its transfer is under way: what is left goes over PCIe to another
  // NIC and takes no more time, since that is free.
  TrafficSpec spec = pair_of_nodes();
  spec.streams.push_back(copy(spec.fabric, "moved", 0, 0));
  HealthChange change;
  change.at_s = 1e-3;
  change.node = spec.fabric.topology.find("node0.nic0");
  change.share = 0.0;
  REQUIRE(change.node.valid());
  spec.health.push_back(change);
  const TrafficResult result = simulate(spec);
  CHECK(result.conservation_errors.empty());
  CHECK(result.streams[0].seconds[0] == Approx(2.017e-3).epsilon(1e-6));
  bool other = false;
  for (const auto& account : result.links) {
    const auto& from = spec.fabric.topology.node(spec.fabric.topology.link(account.link).from);
    other = other || (from.name.starts_with("node0.nic") && from.name != "node0.nic0" &&
                      account.owner_bytes[0] > 0);
  }
  CHECK(other);
}
