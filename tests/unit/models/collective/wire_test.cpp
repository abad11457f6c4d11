#include <catch2/catch.hpp>

#include "cards.hpp"
#include "models/collective/analytic.hpp"

using namespace foretoken::models::collective;

TEST_CASE("a wire has what the fabric's links give a payload") {
  NetworkShape network = tests::network_of(NetworkKind::rail_optimised);
  network.efficiency = 0.96;
  network.roce = true;
  network.roce_penalty = 0.25;
  const Wire wire = wire_of(build_fabric(tests::eight_gpus(), 4, network));
  CHECK(wire.nic_rate == Approx(50e9 * 0.96 * 0.75));
  CHECK(wire.scale_up_rate == 400e9);
  CHECK(wire.network_latency_s == Approx(7e-6));
  CHECK(wire.pod_nodes == 32);
}

TEST_CASE("nodes below one leaf, by kind of network") {
  const auto pod = [](NetworkKind kind, double oversubscription) {
    NetworkShape network = tests::network_of(kind);
    network.oversubscription = oversubscription;
    return wire_of(build_fabric(tests::eight_gpus(), 4, network)).pod_nodes;
  };
  CHECK(pod(NetworkKind::rail_optimised, 1.0) == 32);
  CHECK(pod(NetworkKind::rail_only, 3.0) == 48);
  CHECK(pod(NetworkKind::fat_tree, 1.0) == 4);
  CHECK(pod(NetworkKind::fat_tree, 3.0) == 6);
  CHECK(pod(NetworkKind::single_switch, 1.0) == 0);
}

TEST_CASE("beyond a leaf an exchange has the oversubscribed rate") {
  // 64 nodes, 32 below a leaf: 32 of the 63 others are beyond it. At 4:1 their share of the bytes
  // takes 32 / 63 x 4 = 2.03 times as long as all of them at full rate.
  Wire wire =
      wire_of(build_fabric(tests::eight_gpus(), 4, tests::network_of(NetworkKind::rail_optimised)));
  const Call call{Operation::all_to_all, 1e9, {512, 64}, Algorithm::hierarchical, 1};
  const double full = price(call, wire).plan.wire_s();
  wire.oversubscription = 4.0;
  CHECK(price(call, wire).plan.wire_s() == Approx(full * 32 / 63 * 4));
}

TEST_CASE("words for results") {
  CHECK(to_string(Operation::reduce_scatter) == "reduce-scatter");
  CHECK(to_string(Algorithm::two_shot) == "two-shot");
  CHECK(to_string(Protocol::ll128) == "LL128");
  CHECK(reduces_in_switch("hopper"));
  CHECK_FALSE(reduces_in_switch("ampere"));
}
