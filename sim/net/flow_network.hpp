#pragma once
// Fluid flows over shared links in time: rates follow max-min fairness, bytes drain at those
// rates, and the earliest completion is always known. A flow first waits for its path's latency,
// then occupies its links until its last byte has left.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/time.hpp"
#include "sim/net/max_min.hpp"
#include "sim/net/topology.hpp"

namespace foretoken::sim::net {

using core::Duration;
using core::Time;

// Told what flows do, for those who keep accounts. A span of time at one rate is reported when the
// rate changes, at settle_all(), and at the end.
class FlowWatcher {
 public:
  virtual ~FlowWatcher() = default;
  struct Span {
    std::uint64_t tag;
    std::span<const LinkId> links;
    std::span<const std::uint32_t> strands;  // by link; empty = one each
    Duration time;
    double rate;        // bytes/s, of one strand
    LinkId bottleneck;  // what held the flow to that rate; invalid: its own cap
  };
  virtual void moved(const Span& span) = 0;
  struct Change {
    std::uint64_t tag;
    std::span<const LinkId> links;
    std::span<const std::uint32_t> strands;
    double before, after;  // bytes/s, of one strand
  };
  virtual void rate_changed(const Change& change) = 0;
};

class FlowNetwork {
 public:
  // Not owned; null = none.
  void watch(FlowWatcher* watcher) { watcher_ = watcher; }
  // Brings every flow's account to `now`.
  void settle_all(Time now);

  LinkId add_link(double capacity_bytes_per_s);
  // Every flow over one of the two goes over the other as well (in and out of an adapter): the
  // solver then sees one link, the narrower. Before the first flow.
  void merge(LinkId link, LinkId with);
  // Degrades or restores a link; rates of flows in flight follow from `now` on.
  void set_capacity(LinkId link, double capacity_bytes_per_s, Time now);

  // Starts `bytes` (positive) over the links at `now`; `tag` is handed back on completion.
  // `strands`, by link: as many flows that go at one rate, `bytes` and cap being of each.
  FlowId start(std::span<const LinkId> links, double bytes, double cap_bytes_per_s, Time now,
               std::uint64_t tag, std::span<const std::uint32_t> strands = {});
  // Ends a flow early; returns the bytes (of one strand) that had not left.
  double abort(FlowId flow, Time now);

  // When the next flow ends if nothing else changes; Time::never() if none is in flight.
  [[nodiscard]] Time next_completion();
  // Ends every flow due at or before `now` (which must not pass over an earlier completion).
  struct Completion {
    FlowId flow;
    std::uint64_t tag;
  };
  std::span<const Completion> complete(Time now);

  [[nodiscard]] double rate(FlowId flow);
  // The saturated link that holds it to that rate; invalid: its own cap.
  [[nodiscard]] LinkId bottleneck(FlowId flow);
  // Flows over a link now, those over a link merged with it included.
  [[nodiscard]] std::size_t flows_on(LinkId link) const {
    return solver_.flow_count(standing_for(link));
  }
  [[nodiscard]] std::span<const LinkId> path(FlowId flow) const { return paths_[flow.value]; }
  // By link of the path; empty = one each.
  [[nodiscard]] std::span<const std::uint32_t> strands(FlowId flow) const {
    return strands_[flow.value];
  }
  [[nodiscard]] std::size_t in_flight() const { return heap_.size(); }
  [[nodiscard]] std::size_t link_count() const { return solver_.link_count(); }
  // Bytes that have left over a link up to `now`: the integral of its load.
  [[nodiscard]] double bytes_carried(LinkId link, Time now);
  [[nodiscard]] std::uint64_t starts_and_ends() const { return starts_and_ends_; }

 private:
  struct Transfer {
    double remaining = 0.0;  // bytes at `since`, of one strand
    double unbooked = 0.0;   // bytes moved that carried_ does not know yet
    Time since;
    Time due = Time::never();  // completion at the present rate
    double rate = 0.0;
    LinkId bottleneck;
    std::uint64_t tag = 0;
    std::uint32_t heap_at = UINT32_MAX;
  };
  struct Due {  // heap entry: completion at the present rate, or earlier if that has been put off
    Time at;
    std::uint32_t flow;
  };

  void refresh(Time now);
  [[nodiscard]] LinkId standing_for(LinkId link) const;
  void tell_change(std::uint32_t flow, double after);
  void set_due(std::uint32_t flow, Time due);
  void find_next();
  void book(std::uint32_t flow);
  void sift_up(std::uint32_t at);
  void sift_down(std::uint32_t at);
  void heap_remove(std::uint32_t flow);
  void settle(std::uint32_t flow, Time now);
  void forget(std::uint32_t flow);
  [[nodiscard]] bool before(const Due& a, const Due& b) const;

  FlowWatcher* watcher_ = nullptr;
  MaxMinSolver solver_;
  std::vector<Transfer> transfers_;         // by flow id
  std::vector<std::vector<LinkId>> paths_;  // by flow id
  std::vector<std::vector<std::uint32_t>> strands_;
  std::vector<double> carried_;      // by link, booked
  std::vector<double> capacity_;     // by link
  std::vector<LinkId> solver_link_;  // by link: one that stands for it, or itself
  std::vector<LinkId> solver_path_;  // scratch
  std::vector<std::uint32_t> solver_strands_;
  std::vector<std::uint32_t> solver_place_;  // by link: in solver_path_
  std::vector<Due> heap_;                    // 4-ary, earliest completion first
  std::vector<Completion> completions_;
  bool stale_ = false;  // flows came or went since the last solve
  Time changed_at_;
  std::uint64_t starts_and_ends_ = 0;
};

// Merges the links on both sides of every adapter (a NIC between its PCIe switch and the network).
// `network` holds the links of the topology, in order.
void merge_adapters(const Topology& topology, FlowNetwork& network);

}  // namespace foretoken::sim::net
