#include "models/collective/analytic.hpp"

#include <catch2/catch.hpp>

#include "cards.hpp"
#include "models/collective/tree.hpp"
#include "sim/core/error.hpp"

using namespace foretoken;
using namespace foretoken::models::collective;

namespace {

Wire wire() {
  return wire_of(
      build_fabric(tests::eight_gpus(), 4, tests::network_of(NetworkKind::rail_optimised)));
}

// Everything free but the wire, so that a hand calculation stays short.
Parameters bare() {
  Parameters p;
  p.launch_s = {0, 0, 0};
  p.scale_up_step_s = p.network_step_s = {0, 0, 0};
  p.scale_up_efficiency = p.network_efficiency = {0.5, 1, 1};
  p.tree_efficiency = 1;
  p.peer_s = 0;
  return p;
}

Price run(Operation operation, double bytes, Group group, Algorithm algorithm, int concurrent = 1) {
  return price({operation, bytes, group, algorithm, concurrent}, wire(), bare());
}

}  // namespace

TEST_CASE("a ring all-reduce sends 2(n-1)/n of the message over every link") {
  // 8 GPUs, 400 MB, 400 GB/s: 2 x 7/8 x 1 ms = 1.75 ms, and 14 steps of 1 us.
  const Price p = run(Operation::all_reduce, 400e6, {8, 1}, Algorithm::ring);
  CHECK(p.seconds == Approx(1.75e-3 + 14e-6));
  CHECK(p.scale_up_bytes == Approx(700e6));
  CHECK(p.network_bytes == 0);
  // nccl-tests: algbw = size / time, busbw = algbw x 2(n-1)/n.
  CHECK(p.algbw == Approx(400e6 / 1.764e-3));
  CHECK(p.busbw == Approx(p.algbw * 1.75));
}

TEST_CASE("all-gather and reduce-scatter send (n-1)/n, in n-1 steps") {
  for (const Operation operation : {Operation::all_gather, Operation::reduce_scatter}) {
    const Price p = run(operation, 400e6, {8, 1}, Algorithm::ring);
    CHECK(p.seconds == Approx(0.875e-3 + 7e-6));
    CHECK(p.busbw == Approx(p.algbw * 0.875));
  }
}

TEST_CASE("a ring over nodes is as slow as its NICs") {
  // 4 nodes of 8, 320 MB: a node's NICs carry 2 x 31/32 x 320 MB = 620 MB at 8 x 50 GB/s: 1.55 ms.
  // Inside, 620 MB at 400 GB/s are hidden. Steps: 2 x 3 of 7 us, 2 x 28 of 1 us.
  const Price p = run(Operation::all_reduce, 320e6, {32, 4}, Algorithm::ring);
  CHECK(p.seconds == Approx(1.55e-3 + 42e-6 + 56e-6));
  // One GPU a node has one NIC: 2 x 3/4 x 320 MB at 50 GB/s = 9.6 ms; eight such groups at once
  // have one each as well.
  CHECK(run(Operation::all_reduce, 320e6, {4, 4}, Algorithm::ring).plan.wire_s() == Approx(9.6e-3));
  CHECK(run(Operation::all_reduce, 320e6, {4, 4}, Algorithm::ring, 8).plan.wire_s() ==
        Approx(9.6e-3));
  // Two groups of eight GPUs a node share the eight NICs.
  CHECK(run(Operation::all_reduce, 320e6, {32, 4}, Algorithm::ring, 2).plan.wire_s() ==
        Approx(3.1e-3));
}

TEST_CASE("in-switch reduction sends a message once and its own part again") {
  // 8 GPUs, 400 MB at 400 GB/s: 1 + 1/8 ms, two steps.
  Wire reducing = wire();
  reducing.in_switch_reduction = true;
  Parameters p = bare();
  p.nvls_efficiency = 1;
  p.nvls_launch_s = 0;
  const Price priced =
      price({Operation::all_reduce, 400e6, {8, 1}, Algorithm::nvls, 1}, reducing, p);
  CHECK(priced.seconds == Approx(1.125e-3 + 2e-6));
  CHECK_THROWS_WITH(run(Operation::all_reduce, 400e6, {8, 1}, Algorithm::nvls),
                    Catch::Contains("nvls cannot run it"));
}

TEST_CASE("the double tree sends twice the message, whatever the number of nodes") {
  // Two nodes: half a message each way in both trees, up and down: one message. From four nodes on
  // at most two; the depth is log2.
  CHECK(tree_share(2) == 1.0);
  CHECK(tree_share(4) == 1.5);
  CHECK(tree_share(64) == 2.0);
  CHECK(tree_depth(2) == 1);
  CHECK(tree_depth(64) == 6);
  // Long rings lose to trees for short messages and win for long ones.
  const Wire big = wire_of(
      build_fabric(tests::eight_gpus(), 64, tests::network_of(NetworkKind::rail_optimised)));
  const auto chosen = [&](double bytes) {
    return price({Operation::all_reduce, bytes, {512, 64}, Algorithm::automatic, 1}, big)
        .plan.algorithm;
  };
  CHECK(chosen(1e4) == Algorithm::tree);
  CHECK(chosen(4e10) == Algorithm::ring);
}

TEST_CASE("short messages go by LL, long ones by Simple, as NCCL chooses") {
  const auto chosen = [](double bytes) {
    return price({Operation::all_reduce, bytes, {8, 1}, Algorithm::automatic, 1}, wire())
        .plan.protocol;
  };
  CHECK(chosen(1e3) == Protocol::ll);
  CHECK(chosen(1e9) == Protocol::simple);
}

TEST_CASE("all-to-all: flat sends every pair, hierarchical changes rail inside first") {
  // 32 GPUs, 320 MB each: 10 MB a pair. 24 remote pairs: 240 MB at 50 GB/s = 4.8 ms both ways.
  const Price flat = run(Operation::all_to_all, 320e6, {32, 4}, Algorithm::flat);
  CHECK(flat.plan.wire_s() == Approx(4.8e-3));
  CHECK(flat.network_bytes == Approx(240e6));
  const Price levels = run(Operation::all_to_all, 320e6, {32, 4}, Algorithm::hierarchical);
  CHECK(levels.network_bytes == Approx(240e6));
  CHECK(levels.scale_up_bytes == Approx(280e6));
  CHECK(levels.plan.wire_s() == Approx(4.8e-3));
}

TEST_CASE("an engine's own all-reduce: one shot for short messages, two for long") {
  const auto seconds = [](double bytes, Algorithm algorithm) {
    return price({Operation::all_reduce, bytes, {8, 1}, algorithm, 1}, wire()).seconds;
  };
  CHECK(seconds(1e4, Algorithm::one_shot) < seconds(1e4, Algorithm::two_shot));
  CHECK(seconds(1e7, Algorithm::one_shot) > seconds(1e7, Algorithm::two_shot));
}

TEST_CASE("send-recv takes one step and one link") {
  // 50 MB at 50 GB/s = 1 ms and 7 us; inside 0.125 ms and 1 us.
  CHECK(run(Operation::send_recv, 50e6, {2, 2}, Algorithm::automatic).seconds == Approx(1.007e-3));
  CHECK(run(Operation::send_recv, 50e6, {2, 1}, Algorithm::automatic).seconds == Approx(0.126e-3));
}

TEST_CASE("nothing beats the wire, and more bytes never take less time") {
  const Wire w = wire();
  for (const Operation operation :
       {Operation::all_reduce, Operation::all_gather, Operation::reduce_scatter,
        Operation::broadcast, Operation::all_to_all, Operation::send_recv})
    for (const Group group : {Group{2, 1}, Group{8, 1}, Group{2, 2}, Group{32, 4}}) {
      if (operation == Operation::send_recv && group.gpus > 2) continue;
      double before = 0.0;
      for (double bytes = 256; bytes < 1e10; bytes *= 3) {
        const Call call{operation, bytes, group, Algorithm::automatic, 1};
        const double seconds = price(call, w).seconds;
        CHECK(seconds >= least_seconds(call, w));
        CHECK(seconds >= before);
        before = seconds;
      }
    }
}

TEST_CASE("a group that the fabric cannot hold is refused in words") {
  CHECK_THROWS_WITH(run(Operation::all_reduce, 1e6, {16, 1}, Algorithm::ring),
                    Catch::Contains("layout larger than the fabric"));
  CHECK_THROWS_WITH(run(Operation::all_reduce, 1e6, {9, 2}, Algorithm::ring),
                    Catch::Contains("evenly"));
  Wire alone = wire();
  alone.nics = 0;
  CHECK_THROWS_WITH(price({Operation::all_reduce, 1e6, {16, 2}, Algorithm::ring, 1}, alone),
                    Catch::Contains("no NIC"));
}
