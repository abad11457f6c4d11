#pragma once
// Max-min fair sharing of links by flows, solved incrementally.
//
// An allocation is max-min fair if and only if it is feasible and every flow has a bottleneck: a
// saturated link on which no flow is faster, or its own rate cap (Bertsekas & Gallager, Data
// Networks, 6.5.2). Seen from the links: every link has a level, the rate that it grants each flow;
// a flow runs at the least level on its path, or at its cap; and a link's level is what fills it,
// given what its flows can have elsewhere (no level if they cannot fill it). Whatever satisfies
// this is the max-min allocation. So a change is carried from link to link, lowest level first, and
// only links whose level changes, and the flows that these hold, are touched.
#include <cstdint>
#include <limits>
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
  // `strands`, by link: it stands for several flows that go at one rate, that many of them over
  // this link; rate and cap are of one. None given = one each.
  FlowId add_flow(std::span<const LinkId> links, double cap_bytes_per_s,
                  std::span<const std::uint32_t> strands = {});
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
  [[nodiscard]] std::size_t flow_count(LinkId link) const { return members_[link.value].size(); }
  [[nodiscard]] std::size_t link_count() const { return links_.size(); }
  // Levels computed since construction, a measure of work.
  [[nodiscard]] std::uint64_t levels_computed() const { return levels_computed_; }

 private:
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  static constexpr std::uint32_t kNoLink = UINT32_MAX;
  static constexpr std::uint32_t kCap = UINT32_MAX - 1;

  struct Member {  // a flow's place on a link
    std::uint32_t flow;
    std::uint32_t hop;  // index of the link in the flow's path
    float strands;
  };
  struct Link {
    double capacity = 0.0;
    double load = 0.0;     // sum of the rates of its flows, kept up to date by differences
    double level = kNone;  // what it grants each flow; kNone where they do not fill it
    float strands = 0.0F;  // of all its flows
    bool queued = false;   // the level is to be computed anew
  };
  struct Hop {
    std::uint32_t link;
    std::uint32_t position;  // of this flow among the link's members
    float strands;
  };
  struct Flow {  // what the inner loops read, small
    double rate = 0.0;
    std::uint32_t bottleneck = kNoLink;  // link whose level is its rate; kCap if that is its cap
    std::uint32_t first_hop = 0;         // into hops_
  };
  struct FlowRest {
    double cap = 0.0;
    double previous = 0.0;      // rate before this epoch
    std::uint32_t touched = 0;  // in touched_ of this epoch
    std::uint32_t hop_count = 0;
    bool alive = false;
    bool fresh = false;  // since the last solve
  };
  struct QueueEntry {
    double level;  // of which the link was thought when it was queued
    std::uint32_t link;
  };
  struct Offer {  // what a flow can have on all links of its path but one
    double rate;
    std::uint32_t bottleneck;
    float strands;
  };

  std::span<Hop> path(std::uint32_t flow) {
    return {hops_.data() + flows_[flow].first_hop, rest_[flow].hop_count};
  }
  void queue(std::uint32_t link, double level);
  void start(std::uint32_t flow);
  [[nodiscard]] Offer offer_elsewhere(std::uint32_t flow, std::uint32_t link) const;
  [[nodiscard]] double level_for(std::uint32_t link);
  [[nodiscard]] double fill(const Link& link) const;
  double ask_held(std::uint32_t link);
  void commit(std::uint32_t link, double level);
  void set_rate(std::uint32_t flow, double rate, std::uint32_t bottleneck, std::uint32_t at);
  [[nodiscard]] bool same(double a, double b) const;

  std::vector<Link> links_;
  std::vector<std::vector<Member>> members_;  // by link
  std::vector<Flow> flows_;
  std::vector<FlowRest> rest_;  // by flow
  std::vector<Hop> hops_;
  std::vector<std::vector<std::uint32_t>> free_hops_;  // by hop count
  std::vector<std::uint32_t> free_flows_;
  std::vector<std::uint32_t> started_;  // since the last solve
  std::vector<QueueEntry> queue_;       // heap, lowest level first
  std::vector<Offer> offers_;           // scratch of one link, by member
  std::vector<std::uint32_t> touched_;  // flows given a rate since the last solve
  std::vector<FlowId> result_;          // what the last solve() returned
  double tolerance_ = 0.0;
  std::uint32_t epoch_ = 1;
  std::uint64_t levels_computed_ = 0;
};

}  // namespace foretoken::sim::net
