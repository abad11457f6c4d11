#include "sim/net/max_min.hpp"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <map>

using namespace foretoken::sim::net;

namespace {

constexpr double kNoCap = std::numeric_limits<double>::infinity();

struct Demand {
  std::vector<std::uint32_t> links;
  double cap;
};

// The textbook algorithm, written for clarity: raise all unfrozen rates together until a link or a
// cap stops some of them, freeze those, repeat.
std::vector<double> reference_shares(const std::vector<double>& capacity,
                                     const std::vector<Demand>& flows) {
  std::vector<double> rate(flows.size(), -1.0);
  for (;;) {
    double best = kNoCap;
    for (std::size_t l = 0; l < capacity.size(); ++l) {
      double used = 0.0;
      int open = 0;
      for (std::size_t f = 0; f < flows.size(); ++f) {
        if (std::find(flows[f].links.begin(), flows[f].links.end(), l) == flows[f].links.end())
          continue;
        if (rate[f] < 0)
          ++open;
        else
          used += rate[f];
      }
      if (open > 0) best = std::min(best, std::max(0.0, capacity[l] - used) / open);
    }
    for (std::size_t f = 0; f < flows.size(); ++f)
      if (rate[f] < 0) best = std::min(best, flows[f].cap);
    if (std::isinf(best)) return rate;
    // Freeze what cannot rise above `best`.
    std::vector<std::size_t> stop;
    for (std::size_t f = 0; f < flows.size(); ++f)
      if (rate[f] < 0 && flows[f].cap <= best * (1 + 1e-13)) stop.push_back(f);
    for (std::size_t l = 0; l < capacity.size(); ++l) {
      double used = 0.0;
      std::vector<std::size_t> open;
      for (std::size_t f = 0; f < flows.size(); ++f) {
        if (std::find(flows[f].links.begin(), flows[f].links.end(), l) == flows[f].links.end())
          continue;
        if (rate[f] < 0)
          open.push_back(f);
        else
          used += rate[f];
      }
      if (!open.empty() && std::max(0.0, capacity[l] - used) / static_cast<double>(open.size()) <=
                               best * (1 + 1e-13))
        stop.insert(stop.end(), open.begin(), open.end());
    }
    for (const std::size_t f : stop) rate[f] = best;
  }
}

}  // namespace

TEST_CASE("two flows share one link equally") {
  // x1 + x2 <= 10, both on the same link: 5 and 5.
  MaxMinSolver solver;
  const LinkId link = solver.add_link(10);
  const FlowId a = solver.add_flow({{link}}, kNoCap);
  const FlowId b = solver.add_flow({{link}}, kNoCap);
  CHECK(solver.solve().size() == 2);
  CHECK(solver.rate(a) == 5);
  CHECK(solver.rate(b) == 5);
  // b leaves: a has the link.
  solver.remove_flow(b);
  CHECK(solver.solve().size() == 1);
  CHECK(solver.rate(a) == 10);
  CHECK(solver.load(link) == 10);
}

TEST_CASE("the parking lot: a long flow meets one short flow on each of three links") {
  // Links of 6, 9, 12; long flow x0 over all, short flows x1, x2, x3.
  // Link 1: 6/2 = 3 is smallest: x0 = x1 = 3; then x2 = 9 - 3 = 6, x3 = 12 - 3 = 9.
  MaxMinSolver solver;
  const LinkId l1 = solver.add_link(6), l2 = solver.add_link(9), l3 = solver.add_link(12);
  const FlowId x0 = solver.add_flow({{l1, l2, l3}}, kNoCap);
  const FlowId x1 = solver.add_flow({{l1}}, kNoCap);
  const FlowId x2 = solver.add_flow({{l2}}, kNoCap);
  const FlowId x3 = solver.add_flow({{l3}}, kNoCap);
  solver.solve();
  CHECK(solver.rate(x0) == 3);
  CHECK(solver.rate(x1) == 3);
  CHECK(solver.rate(x2) == 6);
  CHECK(solver.rate(x3) == 9);
}

TEST_CASE("a capped flow leaves the rest of the link to the others") {
  // Link of 10, caps 2 and none: 2 and 8. Raising the capacity to 30 changes only the second.
  MaxMinSolver solver;
  const LinkId link = solver.add_link(10);
  const FlowId a = solver.add_flow({{link}}, 2);
  const FlowId b = solver.add_flow({{link}}, kNoCap);
  solver.solve();
  CHECK(solver.rate(a) == 2);
  CHECK(solver.rate(b) == 8);
  solver.set_capacity(link, 30);
  CHECK(solver.solve().size() == 1);
  CHECK(solver.rate(b) == 28);
  // A flow over no link runs at its cap.
  const FlowId local = solver.add_flow({}, 7);
  CHECK(solver.solve().size() == 1);
  CHECK(solver.rate(local) == 7);
}

TEST_CASE("strands of one flow go at the pace of the slowest") {
  // Three strands over a link of 12, one each over links of 2, 8 and 8, and a flow y beside them on
  // the first: the strands get 2, y 12 - 3 x 2 = 6. With 8 in place of 2: 12 / 4 = 3 for each.
  MaxMinSolver solver;
  const LinkId trunk = solver.add_link(12), slow = solver.add_link(2);
  const LinkId b = solver.add_link(8), c = solver.add_link(8);
  const std::uint32_t strands[] = {3, 1, 1, 1};
  const FlowId x = solver.add_flow({{trunk, slow, b, c}}, kNoCap, strands);
  const FlowId y = solver.add_flow({{trunk}}, kNoCap);
  solver.solve();
  CHECK(solver.rate(x) == 2);
  CHECK(solver.bottleneck(x) == slow);
  CHECK(solver.rate(y) == 6);
  CHECK(solver.load(trunk) == 12);
  solver.set_capacity(slow, 8);
  solver.solve();
  CHECK(solver.rate(x) == 3);
  CHECK(solver.rate(y) == 3);
}

TEST_CASE("a link that halves slows exactly the flows it holds back") {
  // Two separate links of 8; halving the first to 4 leaves the second alone.
  MaxMinSolver solver;
  const LinkId l1 = solver.add_link(8), l2 = solver.add_link(8);
  const FlowId a = solver.add_flow({{l1}}, kNoCap);
  const FlowId b = solver.add_flow({{l2}}, kNoCap);
  solver.solve();
  solver.set_capacity(l1, 4);
  const auto changed = solver.solve();
  REQUIRE(changed.size() == 1);
  CHECK(changed[0] == a);
  CHECK(solver.rate(a) == 4);
  CHECK(solver.rate(b) == 8);
}

TEST_CASE("incremental shares equal the textbook algorithm on random fabrics") {
  REQUIRE(rc::check("arrivals, departures and capacity changes", [] {
    const auto link_count = *rc::gen::inRange<std::size_t>(1, 12);
    MaxMinSolver solver;
    std::vector<double> capacity;
    for (std::size_t l = 0; l < link_count; ++l) {
      capacity.push_back(*rc::gen::inRange(1, 200));
      solver.add_link(capacity.back());
    }
    std::map<std::uint32_t, Demand> alive;
    const int steps = *rc::gen::inRange(1, 30);
    for (int step = 0; step < steps; ++step) {
      const int action = *rc::gen::inRange(0, 10);
      if (action < 6 || alive.empty()) {
        auto links = *rc::gen::unique<std::vector<std::uint32_t>>(
            *rc::gen::inRange<std::size_t>(1, std::min<std::size_t>(link_count, 4) + 1),
            rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(link_count)));
        const double cap = *rc::gen::inRange(0, 3) == 0 ? *rc::gen::inRange(1, 60) : kNoCap;
        std::vector<LinkId> path;
        for (const auto l : links) path.push_back(LinkId{l});
        alive[solver.add_flow(path, cap).value] = {links, cap};
      } else if (action < 9) {
        auto victim =
            std::next(alive.begin(), *rc::gen::inRange<long>(0, static_cast<long>(alive.size())));
        solver.remove_flow(FlowId{victim->first});
        alive.erase(victim);
      } else {
        const auto l = *rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(link_count));
        capacity[l] = *rc::gen::inRange(1, 200);
        solver.set_capacity(LinkId{l}, capacity[l]);
      }
      if (*rc::gen::inRange(0, 3) == 0) continue;  // several changes before one solve
      solver.solve();
      std::vector<Demand> demands;
      for (const auto& [id, demand] : alive) demands.push_back(demand);
      const auto expected = reference_shares(capacity, demands);
      std::size_t i = 0;
      for (const auto& [id, demand] : alive) {
        const double got = solver.rate(FlowId{id});
        RC_ASSERT(std::abs(got - expected[i]) <= 1e-9 * std::max(1.0, expected[i]));
        ++i;
      }
    }
  }));
}
