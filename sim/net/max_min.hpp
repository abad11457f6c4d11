#pragma once
// Max-min fair sharing of links by flows, solved incrementally.
//
// An allocation is max-min fair if and only if it is feasible and every flow has a bottleneck: a
// saturated link on which no flow is faster, or its own rate cap (Bertsekas & Gallager, Data
// Networks, 6.5.2). The solver uses this as a stopping rule: after a change it re-solves only the
// flows of the links that changed, holds all others fixed, and takes in a fixed flow only when its
// bottleneck no longer is one. What it returns is the exact max-min allocation of all flows.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/id.hpp"

namespace foretoken::sim::net {

using LinkId = core::Id<struct LinkTag>;
using FlowId = core::Id<struct FlowTag>;

class MaxMinSolver {
 public:
  // capacity in bytes/s, positive.
  LinkId add_link(double capacity_bytes_per_s);
  void set_capacity(LinkId link, double capacity_bytes_per_s);

  // A flow over distinct links; cap in bytes/s (infinity = none). A flow over no link needs a cap.
  FlowId add_flow(std::span<const LinkId> links, double cap_bytes_per_s);
  void remove_flow(FlowId flow);

  // Brings every rate up to date; the flows whose rate changed, new ones included, each once.
  std::span<const FlowId> solve();

  [[nodiscard]] double rate(FlowId flow) const { return flows_[flow.value].rate; }
  // The saturated link that holds the flow to its rate; invalid if its cap does. After solve().
  [[nodiscard]] LinkId bottleneck(FlowId flow) const {
    const std::uint32_t link = flows_[flow.value].bottleneck;
    return link < kCap ? LinkId{link} : LinkId{};
  }
  [[nodiscard]] double capacity(LinkId link) const { return links_[link.value].capacity; }
  // Sum of the rates on a link (bytes/s), valid after solve().
  [[nodiscard]] double load(LinkId link) const { return links_[link.value].load; }
  [[nodiscard]] std::size_t flow_count(LinkId link) const {
    return links_[link.value].members.size();
  }
  [[nodiscard]] std::size_t link_count() const { return links_.size(); }
  // Flows re-solved since construction, a measure of work.
  [[nodiscard]] std::uint64_t flows_resolved() const { return flows_resolved_; }

 private:
  struct Member {  // a flow's place on a link
    std::uint32_t flow;
    std::uint32_t hop;  // index of the link in the flow's path
  };
  struct Link {
    double capacity = 0.0;
    double load = 0.0;       // sum of the rates of its flows, as of the last solve
    std::uint32_t held = 0;  // flows whose bottleneck this is
    bool dirty = false;      // flows came or went since the last solve
    bool resized = false;    // the capacity changed
    // Scratch of one solve, valid while `mark` equals the solver's epoch.
    std::uint32_t mark = 0;
    std::uint32_t open = 0;  // flows of the re-solved set not yet frozen
    double fixed = 0.0;      // load of the flows outside that set
    double residual = 0.0;   // capacity left for the open ones
    double wanted = 0.0;     // most that the open ones could use
    double top_rate = 0.0;   // fastest re-solved flow after the fill
    double held_rate = 0.0;  // slowest re-solved flow that this link holds back
    std::vector<Member> members;
  };
  struct Hop {
    std::uint32_t link;
    std::uint32_t position;  // of this flow in Link::members
  };
  struct Flow {
    std::uint32_t first_hop = 0;  // into hops_
    std::uint32_t hop_count = 0;
    double cap = 0.0;
    double rate = 0.0;
    double previous = 0.0;
    double limit = 0.0;                  // of this fill: its cap, or a link that it has to itself
    std::uint32_t limit_link = 0;        // which; kCap for the cap
    std::uint32_t mark = 0;              // in the re-solved set of this epoch
    std::uint32_t bottleneck = kNoLink;  // link that froze it; kCap if its cap did
    bool frozen = false;
    bool alive = false;
  };
  struct HeapEntry {
    double share;
    std::uint32_t link;
  };
  static constexpr std::uint32_t kNoLink = UINT32_MAX;
  static constexpr std::uint32_t kCap = UINT32_MAX - 1;

  std::span<Hop> path(std::uint32_t flow) {
    return {hops_.data() + flows_[flow].first_hop, flows_[flow].hop_count};
  }
  void mark_dirty(std::uint32_t link);
  void take_flow(std::uint32_t flow);
  void touch_link(std::uint32_t link);
  void fill();
  void freeze(std::uint32_t flow, double rate, std::uint32_t bottleneck);
  void reset_links();
  void limit_flows();
  void freeze_next(std::size_t& next, std::size_t& left);
  bool take_violated();
  void drop_bottleneck(Flow& flow);

  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<Hop> hops_;
  std::vector<std::vector<std::uint32_t>> free_hops_;  // by hop count
  std::vector<std::uint32_t> free_flows_;
  std::vector<std::uint32_t> dirty_links_;
  std::vector<std::uint32_t> active_flows_;   // re-solved in this epoch
  std::vector<std::uint32_t> touched_links_;  // links of those
  std::vector<HeapEntry> heap_;
  std::vector<std::uint32_t> by_limit_;  // active flows, lowest limit first
  std::vector<FlowId> changed_;          // found since the last solve()
  std::vector<FlowId> result_;           // what the last solve() returned
  std::uint32_t epoch_ = 0;
  std::uint64_t flows_resolved_ = 0;
};

}  // namespace foretoken::sim::net
