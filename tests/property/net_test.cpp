// Max-min shares against the textbook algorithm on a thousand random fabrics, and bytes on random
// networks of servers.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "models/collective/fabric.hpp"
#include "sim/core/random.hpp"
#include "sim/net/max_min.hpp"
#include "sim/net/traffic.hpp"

using namespace foretoken;
using sim::core::Random;
using sim::core::Time;
using sim::net::FlowId;
using sim::net::LinkId;
using sim::net::MaxMinSolver;

namespace {

struct Demand {
  FlowId id;
  std::vector<std::size_t> links;
  std::vector<std::uint32_t> strands;  // by link
  double cap;
};

// Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2) over all flows from nothing:
// the link, or cap, that allows least stops its flows; again with what is left.
std::vector<double> reference(const std::vector<double>& capacity,
                              const std::vector<Demand>& flows) {
  std::vector<double> left = capacity, rate(flows.size(), -1.0);
  std::vector<std::size_t> open(capacity.size(), 0);
  for (const Demand& flow : flows)
    for (std::size_t i = 0; i < flow.links.size(); ++i) open[flow.links[i]] += flow.strands[i];
  for (std::size_t frozen = 0; frozen < flows.size();) {
    double least = std::numeric_limits<double>::infinity();
    std::size_t at = capacity.size();
    for (std::size_t l = 0; l < capacity.size(); ++l) {
      if (open[l] == 0 || left[l] / static_cast<double>(open[l]) >= least) continue;
      least = left[l] / static_cast<double>(open[l]);
      at = l;
    }
    std::size_t capped = flows.size();
    for (std::size_t f = 0; f < flows.size(); ++f)
      if (rate[f] < 0 && flows[f].cap < least) {
        least = flows[f].cap;
        capped = f;
      }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      const auto& links = flows[f].links;
      const bool stops = capped < flows.size()
                             ? f == capped
                             : std::find(links.begin(), links.end(), at) != links.end();
      if (rate[f] >= 0 || !stops) continue;
      rate[f] = least;
      ++frozen;
      for (std::size_t i = 0; i < links.size(); ++i) {
        left[links[i]] = std::max(0.0, left[links[i]] - flows[f].strands[i] * least);
        open[links[i]] -= flows[f].strands[i];
      }
    }
  }
  return rate;
}

Demand random_flow(Random& random, std::size_t links) {
  Demand flow;
  flow.cap =
      random.chance(0.3) ? random.uniform(0.1, 40.0) : std::numeric_limits<double>::infinity();
  const std::size_t hops = 1 + random.below(std::min<std::size_t>(links, 6));
  while (flow.links.size() < hops) {
    const std::size_t link = random.below(links);
    if (std::find(flow.links.begin(), flow.links.end(), link) == flow.links.end())
      flow.links.push_back(link);
  }
  // Now and then a bundle.
  const std::uint64_t most = random.chance(0.2) ? 5 : 1;
  for (std::size_t i = 0; i < hops; ++i)
    flow.strands.push_back(static_cast<std::uint32_t>(1 + random.below(most)));
  return flow;
}

// Largest relative difference on one fabric, over a life of arrivals, departures and changes.
double worst_difference(std::uint32_t seed) {
  Random random(seed, 0, 0);
  const std::size_t links = 2 + random.below(30);
  std::vector<double> capacity;
  MaxMinSolver solver;
  for (std::size_t l = 0; l < links; ++l) {
    // Equal capacities now and then: ties are where solvers differ.
    capacity.push_back(random.chance(0.5) ? 100.0 : random.uniform(1.0, 200.0));
    solver.add_link(capacity.back());
  }
  std::vector<Demand> flows;
  double worst = 0.0;
  for (int round = 0; round < 4; ++round) {
    const std::size_t arrivals = random.below(15);
    for (std::size_t i = 0; i < arrivals; ++i) {
      Demand flow = random_flow(random, links);
      std::vector<LinkId> path;
      for (const std::size_t link : flow.links)
        path.push_back(LinkId{static_cast<std::uint32_t>(link)});
      flow.id = solver.add_flow(path, flow.cap, flow.strands);
      flows.push_back(flow);
    }
    for (std::size_t i = random.below(6); i > 0 && !flows.empty(); --i) {
      const auto at = flows.begin() + static_cast<std::ptrdiff_t>(random.below(flows.size()));
      solver.remove_flow(at->id);
      flows.erase(at);
    }
    if (random.chance(0.3)) {
      const std::size_t link = random.below(links);
      capacity[link] = random.uniform(1.0, 200.0);
      solver.set_capacity(LinkId{static_cast<std::uint32_t>(link)}, capacity[link]);
    }
    solver.solve();
    const auto expected = reference(capacity, flows);
    for (std::size_t f = 0; f < flows.size(); ++f)
      worst = std::max(
          worst, std::abs(solver.rate(flows[f].id) - expected[f]) / std::max(1e-3, expected[f]));
  }
  return worst;
}

}  // namespace

TEST_CASE("max-min shares equal the textbook algorithm to 1e-9 on 1,000 random fabrics") {
  for (std::uint32_t seed = 0; seed < 1000; ++seed) {
    const double worst = worst_difference(seed);
    INFO("fabric " << seed);
    REQUIRE(worst <= 1e-9);
  }
}

TEST_CASE("on random networks every byte that enters a switch leaves it") {
  using namespace models::collective;
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    Random random(seed, 1, 0);
    ServerShape server;
    server.name = "random";
    server.gpus = server.nics = static_cast<int>(1 + random.below(4));
    server.scale_up = random.chance(0.5) ? ScaleUp::nvswitch : ScaleUp::pcie;
    server.scale_up_bandwidth = BytesPerSecond(400e9);
    server.pcie_bandwidth = BytesPerSecond(64e9);
    server.nic_bandwidth = BytesPerSecond(random.uniform(10e9, 100e9));
    NetworkShape network;
    constexpr NetworkKind kKinds[] = {NetworkKind::single_switch, NetworkKind::rail_optimised,
                                      NetworkKind::rail_only,     NetworkKind::planes,
                                      NetworkKind::fat_tree,      NetworkKind::dragonfly};
    network.kind = kKinds[random.below(6)];
    network.ports = 16;
    network.oversubscription = random.chance(0.5) ? 1.0 : 2.0;
    const int servers = static_cast<int>(2 + random.below(3));
    const Fabric fabric = build_fabric(server, servers, network);
    sim::net::Traffic traffic(fabric.topology);
    double sent = 0.0;
    for (int j = 0; j < 5; ++j) {
      sim::net::Job job;
      job.route = random.chance(0.5) ? sim::net::RoutePolicy::rail_aligned
                                     : sim::net::RoutePolicy::adaptive;
      job.stages.emplace_back();
      for (int i = 0; i < 8; ++i) {
        const NodeId from = fabric.gpus[random.below(fabric.gpus.size())];
        const NodeId to = fabric.gpus[random.below(fabric.gpus.size())];
        const double bytes = random.uniform(1.0, 1e8);
        if (from != to) sent += bytes;
        job.stages[0].transfers.push_back({from, to, bytes, sim::net::kNoCap, 0.0, {}});
      }
      traffic.submit(std::move(job), Time::zero());
    }
    const Time end = traffic.run();
    INFO("network " << seed);
    CHECK(traffic.jobs_in_flight() == 0);
    for (std::uint32_t n = 0; n < fabric.topology.node_count(); ++n) {
      if (fabric.topology.node(NodeId{n}).role == sim::net::NodeRole::endpoint) continue;
      double in = 0.0, out = 0.0;
      for (const LinkId id : fabric.topology.links_into(NodeId{n}))
        in += traffic.bytes_carried(id, end);
      for (const LinkId id : fabric.topology.links_from(NodeId{n}))
        out += traffic.bytes_carried(id, end);
      CHECK(in == Approx(out).epsilon(1e-9).margin(1e-3));
    }
    CHECK(sent > 0.0);
  }
}
