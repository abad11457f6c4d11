#include "models/collective/schedule.hpp"

#include <catch2/catch.hpp>

#include "cards.hpp"
#include "sim/core/error.hpp"

using namespace foretoken;
using namespace foretoken::models::collective;
using sim::core::Time;
using sim::net::Traffic;

namespace {

Fabric pod(int servers = 4) {
  return build_fabric(tests::eight_gpus(), servers, tests::network_of(NetworkKind::rail_optimised));
}

}  // namespace

TEST_CASE("closed form and flows agree on an idle fabric") {
  const Fabric fabric = pod();
  const Wire wire = wire_of(fabric);
  struct Case {
    Operation operation;
    Algorithm algorithm;
    int nodes, local;
  };
  for (const Case& c :
       std::initializer_list<Case>{{Operation::all_reduce, Algorithm::ring, 1, 8},
                                   {Operation::all_reduce, Algorithm::ring, 4, 8},
                                   {Operation::all_reduce, Algorithm::ring, 4, 1},
                                   {Operation::all_reduce, Algorithm::tree, 4, 8},
                                   {Operation::all_reduce, Algorithm::two_shot, 1, 8},
                                   {Operation::all_reduce, Algorithm::one_shot, 1, 4},
                                   {Operation::all_reduce, Algorithm::hierarchical, 4, 8},
                                   {Operation::all_gather, Algorithm::ring, 2, 4},
                                   {Operation::reduce_scatter, Algorithm::ring, 1, 8},
                                   {Operation::broadcast, Algorithm::ring, 4, 8},
                                   {Operation::all_to_all, Algorithm::flat, 4, 8},
                                   {Operation::all_to_all, Algorithm::hierarchical, 4, 8},
                                   {Operation::send_recv, Algorithm::flat, 2, 1},
                                   {Operation::send_recv, Algorithm::flat, 1, 2}})
    for (const double bytes : {1e3, 1e6, 1e9}) {
      const Members members = members_of(fabric, 0, c.nodes, 0, c.local);
      const Call call{c.operation, bytes, members.group, c.algorithm, 1};
      const double closed = price(call, wire).seconds;
      INFO(to_string(c.operation) << " " << to_string(c.algorithm) << " " << bytes);
      CHECK(flow_seconds(call, fabric, members) == Approx(closed).epsilon(1e-3));
    }
}

TEST_CASE("two groups that share their links take twice as long, apart they do not") {
  // Two all-to-alls over the same eight GPUs of two nodes, 100 MB from each to the other node: half
  // of the NIC each. On GPUs of their own they have nothing in common.
  const Fabric fabric = pod();
  const Members first = members_of(fabric, 0, 2, 0, 4), second = members_of(fabric, 0, 2, 4, 4);
  Parameters p;
  p.launch_s = p.scale_up_step_s = p.network_step_s = {0, 0, 0};
  const Call call{Operation::all_to_all, 200e6, first.group, Algorithm::hierarchical, 1};
  const Plan plan = price(call, wire_of(fabric), p).plan;
  const auto both = [&](const Members& other) {
    Traffic traffic(fabric.topology);
    traffic.submit(schedule(plan, fabric, first), Time::zero());
    traffic.submit(schedule(plan, fabric, other), Time::zero());
    return traffic.run().seconds();
  };
  CHECK(both(second) == Approx(plan.seconds()).epsilon(1e-3));
  CHECK(both(first) == Approx(plan.seconds() + plan.wire_s()).epsilon(1e-3));
}

TEST_CASE("bytes into a switch equal bytes out of it, and symmetric links carry the same") {
  const Fabric fabric = pod();
  const Members members = members_of(fabric, 0, 4, 0, 8);
  const Call call{Operation::all_to_all, 64e6, members.group, Algorithm::hierarchical, 1};
  Traffic traffic(fabric.topology);
  traffic.submit(schedule(price(call, wire_of(fabric)).plan, fabric, members), Time::zero());
  const Time end = traffic.run();
  double rail = -1.0;
  for (std::uint32_t n = 0; n < fabric.topology.node_count(); ++n) {
    const auto& node = fabric.topology.node(NodeId{n});
    if (node.role == sim::net::NodeRole::endpoint) continue;
    double in = 0.0, out = 0.0;
    for (const LinkId id : fabric.topology.links_into(NodeId{n}))
      in += traffic.bytes_carried(id, end);
    for (const LinkId id : fabric.topology.links_from(NodeId{n}))
      out += traffic.bytes_carried(id, end);
    CHECK(in == Approx(out).epsilon(1e-9).margin(1e-3));
    if (!node.name.starts_with("rail")) continue;
    if (rail < 0) rail = in;
    CHECK(in == Approx(rail));
  }
  CHECK(rail > 0.0);
}

TEST_CASE("a fat tree at 2:1 halves what crosses its leaves") {
  // 8 ports at 2:1: 5 down, so one server of 4 NICs a leaf and two uplinks. Every server sends to
  // the next: all of it crosses. 4 NICs of 50 GB/s over two uplinks of 50 GB/s.
  ServerShape server = tests::eight_gpus();
  server.gpus = server.nics = 4;
  NetworkShape network = tests::network_of(NetworkKind::fat_tree, 8);
  network.oversubscription = 2.0;
  const Fabric fabric = build_fabric(server, 4, network);
  sim::net::Job job;
  job.route = sim::net::RoutePolicy::adaptive;
  job.stages.emplace_back();
  for (int s = 0; s < 4; ++s)
    for (int g = 0; g < 4; ++g)
      job.stages[0].transfers.push_back(
          {fabric.gpu(s, g), fabric.gpu((s + 1) % 4, g), 50e6, sim::net::kNoCap, 0.0, {}});
  Traffic traffic(fabric.topology);
  traffic.submit(std::move(job), Time::zero());
  // 200 MB a leaf over 100 GB/s = 2 ms, and the path's latency: 7 us and one switch of 0.6 us more.
  CHECK(traffic.run().seconds() == Approx(2e-3 + 7.6e-6).epsilon(1e-3));
}

TEST_CASE("a failed spine leaves half of the way between leaves") {
  ServerShape server = tests::eight_gpus();
  server.gpus = server.nics = 4;
  Fabric fabric = build_fabric(server, 4, tests::network_of(NetworkKind::fat_tree, 8));
  REQUIRE(fabric.topology.find("spine1").valid());
  const auto seconds = [&] {
    sim::net::Job job;
    job.route = sim::net::RoutePolicy::adaptive;
    job.stages.emplace_back();
    for (int g = 0; g < 4; ++g)
      job.stages[0].transfers.push_back(
          {fabric.gpu(0, g), fabric.gpu(1, g), 50e6, sim::net::kNoCap, 0.0, {}});
    Traffic traffic(fabric.topology);
    traffic.submit(std::move(job), Time::zero());
    return traffic.run().seconds();
  };
  CHECK(seconds() == Approx(1e-3 + 7.6e-6).epsilon(1e-3));
  fabric.topology.set_health(fabric.topology.find("spine1"), 0.0);
  CHECK(seconds() == Approx(2e-3 + 7.6e-6).epsilon(1e-3));
  fabric.topology.set_health(fabric.topology.find("spine0"), 0.0);
  CHECK_THROWS_WITH(seconds(), Catch::Contains("node0.gpu0") && Catch::Contains("node1.gpu0"));
}

TEST_CASE("groups are checked against the fabric") {
  const Fabric fabric = pod(2);
  CHECK_THROWS_WITH(members_of(fabric, 1, 2, 0, 8), Catch::Contains("layout larger"));
  CHECK_THROWS_WITH(members_of(fabric, 0, 1, 4, 5), Catch::Contains("layout larger"));
  CHECK_THROWS_WITH(members_of(fabric, {fabric.gpu(0, 0), fabric.gpu(0, 1), fabric.gpu(1, 0)}),
                    Catch::Contains("node1 has 1"));
  const Members members = members_of(fabric, {fabric.gpu(1, 3), fabric.gpu(0, 3)});
  CHECK(members.group.nodes == 2);
  CHECK(members.gpus[0] == fabric.gpu(0, 3));
}
