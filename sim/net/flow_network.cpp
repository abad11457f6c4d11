#include "sim/net/flow_network.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

LinkId FlowNetwork::add_link(double capacity_bytes_per_s) {
  carried_.push_back(0.0);
  capacity_.push_back(capacity_bytes_per_s);
  solver_link_.push_back(solver_.add_link(capacity_bytes_per_s));
  solver_place_.push_back(UINT32_MAX);
  return solver_link_.back();
}

LinkId FlowNetwork::standing_for(LinkId link) const {
  while (solver_link_[link.value] != link) link = solver_link_[link.value];
  return link;
}

void FlowNetwork::merge(LinkId link, LinkId with) {
  SIM_ASSERT(transfers_.empty(), "links are merged before the first flow");
  const LinkId old = standing_for(link), now = standing_for(with);
  if (old == now) return;
  solver_link_[old.value] = now;
  solver_.set_capacity(now, std::min(solver_.capacity(old), solver_.capacity(now)));
}

void FlowNetwork::set_capacity(LinkId link, double capacity_bytes_per_s, Time now) {
  refresh(now);
  capacity_[link.value] = capacity_bytes_per_s;
  const LinkId stands = standing_for(link);
  double least = capacity_bytes_per_s;
  for (std::uint32_t l = 0; l < solver_link_.size(); ++l)
    if (standing_for(LinkId{l}) == stands) least = std::min(least, capacity_[l]);
  solver_.set_capacity(stands, least);
  stale_ = true;
  changed_at_ = now;
}

FlowId FlowNetwork::start(std::span<const LinkId> links, double bytes, double cap_bytes_per_s,
                          Time now, std::uint64_t tag, std::span<const std::uint32_t> strands) {
  SIM_ASSERT(bytes > 0.0 && std::isfinite(bytes), "a flow carries a positive number of bytes");
  if (stale_ && now > changed_at_) refresh(now);
  solver_path_.clear();
  solver_strands_.clear();
  for (std::size_t i = 0; i < links.size(); ++i) {
    const LinkId stands = standing_for(links[i]);
    std::uint32_t& place = solver_place_[stands.value];
    if (place != UINT32_MAX) continue;  // all strands over one of merged links go over the other
    place = static_cast<std::uint32_t>(solver_path_.size());
    solver_path_.push_back(stands);
    if (!strands.empty()) solver_strands_.push_back(strands[i]);
  }
  for (const LinkId link : solver_path_) solver_place_[link.value] = UINT32_MAX;
  const FlowId id = solver_.add_flow(solver_path_, cap_bytes_per_s, solver_strands_);
  if (id.value >= transfers_.size()) {
    transfers_.resize(id.value + 1);
    paths_.resize(id.value + 1);
    strands_.resize(id.value + 1);
  }
  Transfer& transfer = transfers_[id.value];
  transfer = Transfer{};
  transfer.remaining = bytes;
  transfer.since = now;
  transfer.tag = tag;
  paths_[id.value].assign(links.begin(), links.end());
  strands_[id.value].assign(strands.begin(), strands.end());
  transfer.heap_at = static_cast<std::uint32_t>(heap_.size());
  heap_.push_back({Time::never(), id.value});
  sift_up(transfer.heap_at);
  stale_ = true;
  changed_at_ = now;
  ++starts_and_ends_;
  return id;
}

double FlowNetwork::abort(FlowId flow, Time now) {
  refresh(now);
  settle(flow.value, now);
  const double left = transfers_[flow.value].remaining;
  tell_change(flow.value, 0.0);
  heap_remove(flow.value);
  forget(flow.value);
  stale_ = true;
  changed_at_ = now;
  return left;
}

void FlowNetwork::book(std::uint32_t flow) {
  const std::vector<LinkId>& path = paths_[flow];
  const std::vector<std::uint32_t>& strands = strands_[flow];
  for (std::size_t i = 0; i < path.size(); ++i)
    carried_[path[i].value] += transfers_[flow].unbooked * (strands.empty() ? 1.0 : strands[i]);
  transfers_[flow].unbooked = 0.0;
}

void FlowNetwork::forget(std::uint32_t flow) {
  book(flow);
  solver_.remove_flow(FlowId{flow});
  ++starts_and_ends_;
}

// Moves a flow's account to `now`: bytes left, bytes its links have carried for it.
void FlowNetwork::settle(std::uint32_t flow, Time now) {
  Transfer& transfer = transfers_[flow];
  if (now > transfer.since && transfer.rate > 0.0) {
    const double moved =
        std::min(transfer.remaining, transfer.rate * (now - transfer.since).seconds());
    transfer.remaining -= moved;
    transfer.unbooked += moved;
    if (watcher_ != nullptr)
      watcher_->moved({transfer.tag, paths_[flow], strands_[flow], now - transfer.since,
                       transfer.rate, transfer.bottleneck});
  }
  transfer.since = now;
}

void FlowNetwork::tell_change(std::uint32_t flow, double after) {
  if (watcher_ == nullptr) return;
  const Transfer& transfer = transfers_[flow];
  watcher_->rate_changed({transfer.tag, paths_[flow], strands_[flow], transfer.rate, after});
}

void FlowNetwork::settle_all(Time now) {
  refresh(now);
  for (const Due& due : heap_) settle(due.flow, now);
}

void FlowNetwork::refresh(Time now) {
  if (!stale_) return;
  stale_ = false;
  // Changes took effect when they were made; between then and `now` nothing else happened.
  const Time at = std::min(now, changed_at_);
  const std::span<const FlowId> changed = solver_.solve();
  if (watcher_ != nullptr)  // every account at the old rates before any new rate
    for (const FlowId id : changed) settle(id.value, at);
  // Of merged links, the narrowest is the one that holds: the solver knows only which stands for
  // all of them.
  const auto holder = [this](std::uint32_t flow, LinkId stands) {
    if (!stands.valid() || watcher_ == nullptr) return stands;
    LinkId narrowest = stands;
    for (const LinkId link : paths_[flow])
      if (standing_for(link) == stands && capacity_[link.value] < capacity_[narrowest.value])
        narrowest = link;
    return narrowest;
  };
  for (const FlowId id : changed) {
    Transfer& transfer = transfers_[id.value];
    if (watcher_ == nullptr) settle(id.value, at);
    tell_change(id.value, solver_.rate(id));
    transfer.rate = solver_.rate(id);
    transfer.bottleneck = holder(id.value, solver_.bottleneck(id));
    const double seconds = transfer.remaining / transfer.rate;
    // Rounded up: a flow never ends before its last byte has left. Beyond the clock's range the
    // flow stands still for all purposes.
    const double limit = (Time::never() - at).seconds();
    const Time due =
        transfer.rate > 0.0 && seconds < limit * 0.999
            ? at + Duration::picoseconds(static_cast<std::int64_t>(std::ceil(seconds * 1e12)))
            : Time::never();
    set_due(id.value, due);
  }
}

Time FlowNetwork::next_completion() {
  refresh(changed_at_);
  find_next();
  return heap_.empty() ? Time::never() : heap_.front().at;
}

std::span<const FlowNetwork::Completion> FlowNetwork::complete(Time now) {
  refresh(now);
  completions_.clear();
  for (find_next(); !heap_.empty() && heap_.front().at <= now; find_next()) {
    const std::uint32_t flow = heap_.front().flow;
    Transfer& transfer = transfers_[flow];
    if (watcher_ != nullptr) {
      settle(flow, now);
      tell_change(flow, 0.0);
    }
    // What rounding left over has been carried too: bytes in equal bytes out.
    transfer.unbooked += transfer.remaining;
    transfer.remaining = 0.0;
    completions_.push_back({FlowId{flow}, transfer.tag});
    heap_remove(flow);
    forget(flow);
    stale_ = true;
    changed_at_ = now;
  }
  return completions_;
}

double FlowNetwork::rate(FlowId flow) {
  refresh(changed_at_);
  return transfers_[flow.value].rate;
}

LinkId FlowNetwork::bottleneck(FlowId flow) {
  refresh(changed_at_);
  return transfers_[flow.value].bottleneck;
}

double FlowNetwork::bytes_carried(LinkId link, Time now) {
  refresh(now);
  double sum = carried_[link.value];
  for (const Due& due : heap_) {
    const std::vector<LinkId>& path = paths_[due.flow];
    const auto at = std::find(path.begin(), path.end(), link);
    if (at == path.end()) continue;
    settle(due.flow, now);
    const std::vector<std::uint32_t>& strands = strands_[due.flow];
    sum += transfers_[due.flow].unbooked *
           (strands.empty() ? 1.0 : strands[static_cast<std::size_t>(at - path.begin())]);
  }
  return sum;
}

bool FlowNetwork::before(const Due& a, const Due& b) const {
  return a.at != b.at ? a.at < b.at : transfers_[a.flow].tag < transfers_[b.flow].tag;
}

// A flow that ends later keeps its place until it comes to the front: most change again before.
void FlowNetwork::set_due(std::uint32_t flow, Time due) {
  Transfer& transfer = transfers_[flow];
  transfer.due = due;
  if (due >= heap_[transfer.heap_at].at) return;
  heap_[transfer.heap_at].at = due;
  sift_up(transfer.heap_at);
}

// Brings the flow that ends first to the front.
void FlowNetwork::find_next() {
  while (!heap_.empty() && heap_.front().at != transfers_[heap_.front().flow].due) {
    heap_.front().at = transfers_[heap_.front().flow].due;
    sift_down(0);
  }
}

void FlowNetwork::sift_up(std::uint32_t at) {
  const Due entry = heap_[at];
  while (at > 0) {
    const std::uint32_t parent = (at - 1) / 4;
    if (!before(entry, heap_[parent])) break;
    heap_[at] = heap_[parent];
    transfers_[heap_[at].flow].heap_at = at;
    at = parent;
  }
  heap_[at] = entry;
  transfers_[entry.flow].heap_at = at;
}

void FlowNetwork::sift_down(std::uint32_t at) {
  const Due entry = heap_[at];
  const auto size = static_cast<std::uint32_t>(heap_.size());
  for (;;) {
    const std::uint32_t first = 4 * at + 1;
    if (first >= size) break;
    std::uint32_t best = first;
    for (std::uint32_t child = first + 1; child < std::min(first + 4, size); ++child)
      if (before(heap_[child], heap_[best])) best = child;
    if (!before(heap_[best], entry)) break;
    heap_[at] = heap_[best];
    transfers_[heap_[at].flow].heap_at = at;
    at = best;
  }
  heap_[at] = entry;
  transfers_[entry.flow].heap_at = at;
}

void FlowNetwork::heap_remove(std::uint32_t flow) {
  const std::uint32_t at = transfers_[flow].heap_at;
  const Due last = heap_.back();
  heap_.pop_back();
  if (last.flow == flow) return;
  heap_[at] = last;
  transfers_[last.flow].heap_at = at;
  sift_up(at);
  sift_down(transfers_[last.flow].heap_at);
}

void merge_adapters(const Topology& topology, FlowNetwork& network) {
  for (std::uint32_t n = 0; n < topology.node_count(); ++n) {
    const NodeId node{n};
    if (topology.node(node).role != NodeRole::adapter) continue;
    const auto out = topology.links_from(node);
    const auto in = topology.links_into(node);
    if (out.size() != 2 || in.size() != 2) continue;
    // Into it over one, out of it over the other, both ways.
    for (const LinkId from : in)
      for (const LinkId to : out)
        if (topology.link(from).from != topology.link(to).to) network.merge(from, to);
  }
}

}  // namespace foretoken::sim::net
