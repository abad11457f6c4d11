#include "sim/net/max_min.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

namespace {

// Two rates closer than this (relative) are the same: a few roundings.
constexpr double kTolerance = 1e-15;
// A link loaded to less than this share has room beyond doubt: loads are sums kept by differences.
constexpr double kRoom = 1.0 - 1e-9;
// Flows that fill a link to within rounding, held elsewhere, are not held by it as well.
constexpr double kFull = 1e-14;

// Levels that a solve may compute, for each link and flow, before it takes rates for equal sooner.
constexpr std::uint64_t kPatience = 16;

constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.level != b.level ? a.level > b.level : a.link > b.link;
};

}  // namespace

LinkId MaxMinSolver::add_link(double capacity_bytes_per_s) {
  SIM_ASSERT(capacity_bytes_per_s > 0.0 && std::isfinite(capacity_bytes_per_s),
             "a link needs a positive, finite capacity");
  Link link;
  link.capacity = capacity_bytes_per_s;
  links_.push_back(link);
  members_.emplace_back();
  return LinkId{static_cast<std::uint32_t>(links_.size() - 1)};
}

void MaxMinSolver::set_capacity(LinkId link, double capacity_bytes_per_s) {
  SIM_ASSERT(capacity_bytes_per_s > 0.0 && std::isfinite(capacity_bytes_per_s),
             "a link needs a positive, finite capacity; remove its flows to take it down");
  links_[link.value].capacity = capacity_bytes_per_s;
  queue(link.value, links_[link.value].level);
}

void MaxMinSolver::queue(std::uint32_t id, double level) {
  if (links_[id].queued) return;
  links_[id].queued = true;
  queue_.push_back({level, id});
  std::push_heap(queue_.begin(), queue_.end(), kLater);
}

bool MaxMinSolver::same(double a, double b) const {
  return a == b || std::abs(a - b) <= tolerance_ * std::max(std::abs(a), std::abs(b));
}

FlowId MaxMinSolver::add_flow(std::span<const LinkId> links, double cap_bytes_per_s,
                              std::span<const std::uint32_t> strands) {
  SIM_ASSERT(cap_bytes_per_s > 0.0, "a flow's rate cap must be positive");
  SIM_ASSERT(!links.empty() || std::isfinite(cap_bytes_per_s), "a flow over no link needs a cap");
  std::uint32_t id;
  if (free_flows_.empty()) {
    id = static_cast<std::uint32_t>(flows_.size());
    flows_.emplace_back();
    rest_.emplace_back();
  } else {
    id = free_flows_.back();
    free_flows_.pop_back();
  }
  Flow& flow = flows_[id];
  FlowRest& rest = rest_[id];
  rest.hop_count = static_cast<std::uint32_t>(links.size());
  if (free_hops_.size() <= links.size()) free_hops_.resize(links.size() + 1);
  if (auto& spare = free_hops_[links.size()]; !spare.empty()) {
    flow.first_hop = spare.back();
    spare.pop_back();
  } else {
    flow.first_hop = static_cast<std::uint32_t>(hops_.size());
    hops_.resize(hops_.size() + links.size());
  }
  rest.cap = cap_bytes_per_s;
  flow.rate = 0.0;
  flow.bottleneck = kNoLink;
  rest.touched = 0;
  rest.alive = rest.fresh = true;
  for (std::uint32_t hop = 0; hop < links.size(); ++hop) {
    std::vector<Member>& members = members_[links[hop].value];
    const float count = strands.empty() ? 1.0F : static_cast<float>(strands[hop]);
    hops_[flow.first_hop + hop] = {links[hop].value, static_cast<std::uint32_t>(members.size()),
                                   count};
    members.push_back({id, hop, count});
    links_[links[hop].value].strands += count;
  }
  started_.push_back(id);
  return FlowId{id};
}

void MaxMinSolver::remove_flow(FlowId id) {
  const Flow& flow = flows_[id.value];
  FlowRest& rest = rest_[id.value];
  SIM_ASSERT(rest.alive, "a flow is removed once");
  for (const Hop& hop : path(id.value)) {
    Link& link = links_[hop.link];
    std::vector<Member>& members = members_[hop.link];
    const Member last = members.back();
    members[hop.position] = last;
    hops_[flows_[last.flow].first_hop + last.hop].position = hop.position;
    members.pop_back();
    // An empty link carries exactly nothing: rounding does not pile up.
    link.strands -= hop.strands;
    link.load = members.empty() ? 0.0 : link.load - hop.strands * flow.rate;
    // Nobody gains where the flow was not missed.
    if (link.level != kNone) queue(hop.link, link.level);
  }
  rest.alive = rest.fresh = false;
  free_hops_[rest.hop_count].push_back(flow.first_hop);
  free_flows_.push_back(id.value);
}

MaxMinSolver::Offer MaxMinSolver::offer_elsewhere(std::uint32_t id, std::uint32_t link) const {
  Offer offer{rest_[id].cap, kCap, 1.0F};
  const std::uint32_t first = flows_[id].first_hop;
  for (std::uint32_t h = first; h < first + rest_[id].hop_count; ++h) {
    const std::uint32_t other = hops_[h].link;
    if (other == link || links_[other].level >= offer.rate) continue;
    offer.rate = links_[other].level;
    offer.bottleneck = other;
  }
  return offer;
}

// A first rate, near what the flow will get: every link that holds it back, or that it could fill,
// is queued.
void MaxMinSolver::start(std::uint32_t id) {
  if (!rest_[id].fresh) return;  // ended before it began
  rest_[id].fresh = false;
  double rate = rest_[id].cap;
  std::uint32_t at = kCap;
  for (const Hop& hop : path(id)) {
    const Link& link = links_[hop.link];
    const double even = link.capacity / link.strands;
    const double room = (link.capacity - link.load) / hop.strands;
    const double most = link.level != kNone ? link.level : std::max(even, room);
    if (most >= rate) continue;
    rate = most;
    at = hop.link;
  }
  set_rate(id, rate, at, kNoLink);
  if (at != kCap) queue(at, rate);
}

// Gives a flow its rate and queues the links that notice; not `at`, which is in hand.
void MaxMinSolver::set_rate(std::uint32_t id, double rate, std::uint32_t bottleneck,
                            std::uint32_t at) {
  Flow& flow = flows_[id];
  flow.bottleneck = bottleneck;
  if (same(rate, flow.rate)) return;
  if (FlowRest& rest = rest_[id]; rest.touched != epoch_) {
    rest.touched = epoch_;
    rest.previous = flow.rate;
    touched_.push_back(id);
  }
  const double more = rate - flow.rate;
  flow.rate = rate;
  for (const Hop& hop : path(id)) {
    Link& link = links_[hop.link];
    link.load += hop.strands * more;
    if (hop.link == at) continue;
    if (link.level != kNone)
      queue(hop.link, link.level);
    else if (more > 0.0 && link.load > link.capacity * kRoom)
      queue(hop.link, rate);
  }
}

// The level at which the link's flows fill it, each taking no more than it can have elsewhere. The
// offers that it found stay in offers_ for commit().
double MaxMinSolver::level_for(std::uint32_t id) {
  ++levels_computed_;
  const Link& link = links_[id];
  const std::vector<Member>& members = members_[id];
  offers_.resize(members.size());
  double offered = 0.0;
  bool holds = false;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Flow& flow = flows_[members[i].flow];
    // A flow held elsewhere can have just what it has; one held here, at least that.
    const bool held = flow.bottleneck == id;
    offers_[i] = {held ? kNone : flow.rate, flow.bottleneck, members[i].strands};
    holds = holds || held;
    offered += members[i].strands * offers_[i].rate;
  }
  if (holds) {
    // What they could have elsewhere matters only to a level that rises.
    if (link.level != kNone) {
      const double level = fill(link);
      if (level <= link.level) return level;
    }
    offered = ask_held(id);
  }
  if (offered <= link.capacity * (1.0 + kFull)) return kNone;
  return fill(link);
}

// Looks up what the flows held by a link can have elsewhere; the sum of all its offers.
double MaxMinSolver::ask_held(std::uint32_t id) {
  double offered = 0.0;
  for (std::size_t i = 0; i < offers_.size(); ++i) {
    Offer& offer = offers_[i];
    if (offer.bottleneck == id) {
      const float strands = offer.strands;
      offer = offer_elsewhere(members_[id][i].flow, id);
      offer.strands = strands;
    }
    offered += offer.strands * offer.rate;
  }
  return offered;
}

// The root of sum(strands x min(offer, level)) = capacity, by Newton's method: the sum is concave
// and piecewise linear in the level, so that from the second step on the iterates rise, and end at
// the root.
double MaxMinSolver::fill(const Link& link) const {
  const double even = link.capacity / link.strands;
  double level = link.level != kNone ? link.level : even;
  for (bool first = true;; first = false) {
    double left = link.capacity;
    double below = 0.0, above = kNone;  // the offers next to the level
    double open = 0.0;
    for (const Offer& offer : offers_) {
      if (offer.rate <= level) {
        left -= offer.strands * offer.rate;
        below = std::max(below, offer.rate);
      } else {
        open += offer.strands;
        above = std::min(above, offer.rate);
      }
    }
    if (open <= 0.0 && first) {  // all content, yet more than fits: the guess was far too high
      level = even;
      continue;
    }
    const double next = open > 0.0 ? left / open : level;
    if (next < level && !first) return level;
    if (next >= below && next < above) return next;
    level = next;
  }
}

void MaxMinSolver::commit(std::uint32_t id, double level) {
  links_[id].level = level;
  const std::vector<Member>& members = members_[id];
  double load = 0.0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::uint32_t f = members[i].flow;
    const Offer& offer = offers_[i];
    const Flow& flow = flows_[f];
    if (offer.rate > level)
      set_rate(f, level, id, id);
    else if (flow.bottleneck == id)
      set_rate(f, offer.rate, offer.bottleneck, id);
    load += offer.strands * flow.rate;
  }
  links_[id].load = load;
}

std::span<const FlowId> MaxMinSolver::solve() {
  result_.clear();
  tolerance_ = kTolerance;
  for (const std::uint32_t id : started_) start(id);
  started_.clear();
  std::uint64_t budget = levels_computed_ + kPatience * (links_.size() + flows_.size());
  while (!queue_.empty()) {
    if (levels_computed_ > budget) {
      // Ties that rounding keeps apart: links that hand an ulp to and fro.
      tolerance_ *= 10.0;
      budget += kPatience * (links_.size() + flows_.size());
      SIM_ASSERT(tolerance_ < 1e-11, "shares do not settle");
    }
    std::pop_heap(queue_.begin(), queue_.end(), kLater);
    const QueueEntry entry = queue_.back();
    queue_.pop_back();
    links_[entry.link].queued = false;
    const double level = level_for(entry.link);
    // Lower levels first: what is decided there is decided for good.
    if (!queue_.empty() && level > entry.level && level > queue_.front().level) {
      queue(entry.link, level);
      continue;
    }
    commit(entry.link, level);
  }
  for (const std::uint32_t id : touched_) {
    if (flows_[id].rate != rest_[id].previous) result_.push_back(FlowId{id});
  }
  touched_.clear();
  ++epoch_;
  return result_;
}

}  // namespace foretoken::sim::net
