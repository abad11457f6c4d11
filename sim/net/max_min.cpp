#include "sim/net/max_min.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

namespace {
// Two rates closer than this (relative) are the same rate; far above rounding, far below 1e-9.
constexpr double kTolerance = 1e-12;
// A link with less than this share of its capacity left is saturated. Wider, since loads are sums
// kept up to date by differences.
constexpr double kSaturated = 1e-10;
bool above(double a, double b) { return a > b * (1.0 + kTolerance); }

constexpr auto later = [](const auto& a, const auto& b) {
  return a.share != b.share ? a.share > b.share : a.link > b.link;
};
}  // namespace

LinkId MaxMinSolver::add_link(double capacity_bytes_per_s) {
  SIM_ASSERT(capacity_bytes_per_s > 0.0 && std::isfinite(capacity_bytes_per_s),
             "a link needs a positive, finite capacity");
  Link link;
  link.capacity = capacity_bytes_per_s;
  links_.push_back(std::move(link));
  return LinkId{static_cast<std::uint32_t>(links_.size() - 1)};
}

void MaxMinSolver::set_capacity(LinkId link, double capacity_bytes_per_s) {
  SIM_ASSERT(capacity_bytes_per_s > 0.0 && std::isfinite(capacity_bytes_per_s),
             "a link needs a positive, finite capacity; remove its flows to take it down");
  links_[link.value].capacity = capacity_bytes_per_s;
  links_[link.value].resized = true;
  mark_dirty(link.value);
}

void MaxMinSolver::mark_dirty(std::uint32_t link) {
  if (links_[link].dirty) return;
  links_[link].dirty = true;
  dirty_links_.push_back(link);
}

FlowId MaxMinSolver::add_flow(std::span<const LinkId> links, double cap_bytes_per_s) {
  SIM_ASSERT(cap_bytes_per_s > 0.0, "a flow's rate cap must be positive");
  SIM_ASSERT(!links.empty() || std::isfinite(cap_bytes_per_s), "a flow over no link needs a cap");
  std::uint32_t id;
  if (free_flows_.empty()) {
    id = static_cast<std::uint32_t>(flows_.size());
    flows_.emplace_back();
  } else {
    id = free_flows_.back();
    free_flows_.pop_back();
  }
  Flow& flow = flows_[id];
  flow.hop_count = static_cast<std::uint32_t>(links.size());
  if (free_hops_.size() <= links.size()) free_hops_.resize(links.size() + 1);
  if (auto& spare = free_hops_[links.size()]; !spare.empty()) {
    flow.first_hop = spare.back();
    spare.pop_back();
  } else {
    flow.first_hop = static_cast<std::uint32_t>(hops_.size());
    hops_.resize(hops_.size() + links.size());
  }
  flow.cap = cap_bytes_per_s;
  flow.rate = links.empty() ? cap_bytes_per_s : 0.0;
  flow.bottleneck = links.empty() ? kCap : kNoLink;
  flow.mark = 0;
  flow.alive = true;
  if (links.empty()) changed_.push_back(FlowId{id});
  for (std::uint32_t hop = 0; hop < links.size(); ++hop) {
    Link& link = links_[links[hop].value];
    hops_[flow.first_hop + hop] = {links[hop].value,
                                   static_cast<std::uint32_t>(link.members.size())};
    link.members.push_back({id, hop});
    mark_dirty(links[hop].value);
  }
  return FlowId{id};
}

void MaxMinSolver::drop_bottleneck(Flow& flow) {
  if (flow.bottleneck < kCap) --links_[flow.bottleneck].held;
  flow.bottleneck = kNoLink;
}

void MaxMinSolver::remove_flow(FlowId id) {
  Flow& flow = flows_[id.value];
  SIM_ASSERT(flow.alive, "a flow is removed once");
  drop_bottleneck(flow);
  for (const Hop& hop : path(id.value)) {
    Link& link = links_[hop.link];
    const Member last = link.members.back();
    link.members[hop.position] = last;
    hops_[flows_[last.flow].first_hop + last.hop].position = hop.position;
    link.members.pop_back();
    // An empty link carries exactly nothing: rounding does not pile up.
    link.load = link.members.empty() ? 0.0 : link.load - flow.rate;
    mark_dirty(hop.link);
  }
  flow.alive = false;
  free_hops_[flow.hop_count].push_back(flow.first_hop);
  free_flows_.push_back(id.value);
}

void MaxMinSolver::touch_link(std::uint32_t id) {
  Link& link = links_[id];
  if (link.mark == epoch_) return;
  link.mark = epoch_;
  link.fixed = link.load;
  touched_links_.push_back(id);
}

void MaxMinSolver::take_flow(std::uint32_t id) {
  Flow& flow = flows_[id];
  if (flow.mark == epoch_) return;
  flow.mark = epoch_;
  flow.previous = flow.rate;
  drop_bottleneck(flow);
  active_flows_.push_back(id);
  for (const Hop& hop : path(id)) {
    touch_link(hop.link);
    links_[hop.link].fixed -= flow.rate;
  }
}

void MaxMinSolver::freeze(std::uint32_t id, double rate, std::uint32_t bottleneck) {
  Flow& flow = flows_[id];
  flow.frozen = true;
  flow.rate = rate;
  flow.bottleneck = bottleneck;
  if (bottleneck < kCap) {
    ++links_[bottleneck].held;
    links_[bottleneck].held_rate = std::min(links_[bottleneck].held_rate, rate);
  }
  for (const Hop& hop : path(id)) {
    Link& link = links_[hop.link];
    --link.open;
    link.residual = std::max(0.0, link.residual - rate);
    link.top_rate = std::max(link.top_rate, rate);
  }
}

void MaxMinSolver::reset_links() {
  for (const std::uint32_t id : touched_links_) {
    Link& link = links_[id];
    link.open = 0;
    link.residual = std::max(0.0, link.capacity - link.fixed);
    link.wanted = 0.0;
    link.top_rate = 0.0;
    link.held_rate = std::numeric_limits<double>::infinity();
  }
  for (const std::uint32_t id : active_flows_) {
    Flow& flow = flows_[id];
    drop_bottleneck(flow);
    flow.frozen = false;
    for (const Hop& hop : path(id)) ++links_[hop.link].open;
  }
}

// A link with one open flow is a plain limit of that flow; a link that its open flows cannot fill
// even at their limits never binds. Only the others need the heap.
void MaxMinSolver::limit_flows() {
  by_limit_.clear();
  for (const std::uint32_t id : active_flows_) {
    Flow& flow = flows_[id];
    flow.limit = flow.cap;
    flow.limit_link = kCap;
    for (const Hop& hop : path(id)) {
      const Link& link = links_[hop.link];
      if (link.open != 1 || link.residual >= flow.limit) continue;
      flow.limit = link.residual;
      flow.limit_link = hop.link;
    }
    for (const Hop& hop : path(id)) links_[hop.link].wanted += flow.limit;
    if (std::isfinite(flow.limit)) by_limit_.push_back(id);
  }
  std::sort(by_limit_.begin(), by_limit_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return flows_[a].limit != flows_[b].limit ? flows_[a].limit < flows_[b].limit : a < b;
  });
  heap_.clear();
  for (const std::uint32_t id : touched_links_) {
    const Link& link = links_[id];
    if (link.open > 1 && link.wanted >= link.residual)
      heap_.push_back({link.residual / link.open, id});
  }
  std::make_heap(heap_.begin(), heap_.end(), later);
}

// Progressive filling of the active flows over the touched links, all others held fixed: the link
// with the smallest fair share freezes its flows, and so on (shares never fall as flows freeze).
void MaxMinSolver::fill() {
  flows_resolved_ += active_flows_.size();
  reset_links();
  limit_flows();
  std::size_t next = 0;
  std::size_t left = active_flows_.size();
  while (left > 0) freeze_next(next, left);
}

void MaxMinSolver::freeze_next(std::size_t& next, std::size_t& left) {
  while (next < by_limit_.size() && flows_[by_limit_[next]].frozen) ++next;
  const double limit = next < by_limit_.size() ? flows_[by_limit_[next]].limit
                                               : std::numeric_limits<double>::infinity();
  // The top's share may be stale: it only grows as flows freeze, so re-insert until it holds.
  while (!heap_.empty() && heap_.front().share < limit) {
    const Link& link = links_[heap_.front().link];
    const double share = link.open > 0 ? link.residual / link.open : 0.0;
    if (link.open > 0 && !above(share, heap_.front().share)) break;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    if (link.open > 0) {
      heap_.back().share = share;
      std::push_heap(heap_.begin(), heap_.end(), later);
    } else {
      heap_.pop_back();
    }
  }
  if (heap_.empty() || limit <= heap_.front().share) {
    SIM_ASSERT(next < by_limit_.size(), "an unfrozen flow has neither a link nor a cap");
    freeze(by_limit_[next], limit, flows_[by_limit_[next]].limit_link);
    --left;
    return;
  }
  const std::uint32_t id = heap_.front().link;
  const double share = links_[id].residual / links_[id].open;
  for (const Member& member : links_[id].members) {
    const Flow& flow = flows_[member.flow];
    if (flow.mark != epoch_ || flow.frozen) continue;
    freeze(member.flow, share, id);
    --left;
  }
}

// Takes in fixed flows that lost their bottleneck, and those faster than a re-solved flow on the
// link that is supposed to be its bottleneck. False if there are none: the allocation is max-min.
bool MaxMinSolver::take_violated() {
  const std::size_t before = active_flows_.size();
  const std::size_t link_count = touched_links_.size();
  for (std::size_t i = 0; i < link_count; ++i) {
    const std::uint32_t id = touched_links_[i];
    const Link& link = links_[id];
    if (link.held == 0) continue;  // nobody's bottleneck, before or now
    const bool saturated = link.residual <= link.capacity * kSaturated;
    const double top = link.top_rate, held = link.held_rate;
    for (const Member& member : link.members) {
      const Flow& flow = flows_[member.flow];
      if (flow.mark == epoch_) continue;
      const bool lost = flow.bottleneck == id && (!saturated || above(top, flow.rate));
      if (lost || above(flow.rate, held)) take_flow(member.flow);
    }
  }
  return active_flows_.size() > before;
}

std::span<const FlowId> MaxMinSolver::solve() {
  result_.clear();
  result_.swap(changed_);  // flows over no link added since the last call
  if (dirty_links_.empty()) return result_;
  ++epoch_;
  active_flows_.clear();
  touched_links_.clear();
  for (const std::uint32_t id : dirty_links_) {
    // Flows held back elsewhere stay fixed at first: freed capacity here does not concern them,
    // and take_violated() finds those that a newcomer must slow down.
    Link& link = links_[id];
    for (const Member& member : link.members) {
      const std::uint32_t bottleneck = flows_[member.flow].bottleneck;
      if (link.resized || bottleneck == id || bottleneck == kNoLink) take_flow(member.flow);
    }
    link.dirty = link.resized = false;
  }
  dirty_links_.clear();
  do fill();
  while (take_violated());
  for (const std::uint32_t id : active_flows_) {
    const Flow& flow = flows_[id];
    if (flow.rate != flow.previous) result_.push_back(FlowId{id});
  }
  for (const std::uint32_t id : touched_links_)
    links_[id].load = links_[id].capacity - links_[id].residual;
  return result_;
}

}  // namespace foretoken::sim::net
