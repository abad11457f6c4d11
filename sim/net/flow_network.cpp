#include "sim/net/flow_network.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

LinkId FlowNetwork::add_link(double capacity_bytes_per_s) {
  carried_.push_back(0.0);
  return solver_.add_link(capacity_bytes_per_s);
}

void FlowNetwork::set_capacity(LinkId link, double capacity_bytes_per_s, Time now) {
  refresh(now);
  solver_.set_capacity(link, capacity_bytes_per_s);
  stale_ = true;
  changed_at_ = now;
}

FlowId FlowNetwork::start(std::span<const LinkId> links, double bytes, double cap_bytes_per_s,
                          Time now, std::uint64_t tag) {
  SIM_ASSERT(bytes > 0.0 && std::isfinite(bytes), "a flow carries a positive number of bytes");
  if (stale_ && now > changed_at_) refresh(now);
  const FlowId id = solver_.add_flow(links, cap_bytes_per_s);
  if (id.value >= transfers_.size()) {
    transfers_.resize(id.value + 1);
    paths_.resize(id.value + 1);
  }
  Transfer& transfer = transfers_[id.value];
  transfer = Transfer{};
  transfer.remaining = bytes;
  transfer.since = now;
  transfer.due = Time::never();
  transfer.tag = tag;
  paths_[id.value].assign(links.begin(), links.end());
  transfer.heap_at = static_cast<std::uint32_t>(heap_.size());
  heap_.push_back(id.value);
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
  if (watcher_ != nullptr)
    watcher_->rate_changed(transfers_[flow.value].tag, paths_[flow.value],
                           transfers_[flow.value].rate, 0.0);
  heap_remove(flow.value);
  forget(flow.value);
  stale_ = true;
  changed_at_ = now;
  return left;
}

void FlowNetwork::forget(std::uint32_t flow) {
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
    for (const LinkId link : paths_[flow]) carried_[link.value] += moved;
    if (watcher_ != nullptr)
      watcher_->moved(
          {transfer.tag, paths_[flow], now - transfer.since, transfer.rate, transfer.bottleneck});
  }
  transfer.since = now;
}

void FlowNetwork::settle_all(Time now) {
  refresh(now);
  for (const std::uint32_t flow : heap_) settle(flow, now);
}

void FlowNetwork::refresh(Time now) {
  if (!stale_) return;
  stale_ = false;
  // Changes took effect when they were made; between then and `now` nothing else happened.
  const Time at = std::min(now, changed_at_);
  const std::span<const FlowId> changed = solver_.solve();
  if (watcher_ != nullptr)  // every account at the old rates before any new rate
    for (const FlowId id : changed) settle(id.value, at);
  for (const FlowId id : changed) {
    Transfer& transfer = transfers_[id.value];
    settle(id.value, at);
    if (watcher_ != nullptr)
      watcher_->rate_changed(transfer.tag, paths_[id.value], transfer.rate, solver_.rate(id));
    transfer.rate = solver_.rate(id);
    transfer.bottleneck = solver_.bottleneck(id);
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
  return heap_.empty() ? Time::never() : transfers_[heap_.front()].due;
}

std::span<const FlowNetwork::Completion> FlowNetwork::complete(Time now) {
  refresh(now);
  completions_.clear();
  while (!heap_.empty() && transfers_[heap_.front()].due <= now) {
    const std::uint32_t flow = heap_.front();
    Transfer& transfer = transfers_[flow];
    if (watcher_ != nullptr) {
      settle(flow, now);
      watcher_->rate_changed(transfer.tag, paths_[flow], transfer.rate, 0.0);
    }
    // What rounding left over has been carried too: bytes in equal bytes out.
    for (const LinkId link : paths_[flow]) carried_[link.value] += transfer.remaining;
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

double FlowNetwork::bytes_carried(LinkId link, Time now) {
  refresh(now);
  for (const std::uint32_t flow : heap_)
    if (std::find(paths_[flow].begin(), paths_[flow].end(), link) != paths_[flow].end())
      settle(flow, now);
  return carried_[link.value];
}

bool FlowNetwork::before(std::uint32_t a, std::uint32_t b) const {
  const Time ta = transfers_[a].due, tb = transfers_[b].due;
  return ta != tb ? ta < tb : transfers_[a].tag < transfers_[b].tag;
}

void FlowNetwork::set_due(std::uint32_t flow, Time due) {
  const Time old = transfers_[flow].due;
  transfers_[flow].due = due;
  if (due < old)
    sift_up(transfers_[flow].heap_at);
  else
    sift_down(transfers_[flow].heap_at);
}

void FlowNetwork::sift_up(std::uint32_t at) {
  const std::uint32_t flow = heap_[at];
  while (at > 0) {
    const std::uint32_t parent = (at - 1) / 4;
    if (!before(flow, heap_[parent])) break;
    heap_[at] = heap_[parent];
    transfers_[heap_[at]].heap_at = at;
    at = parent;
  }
  heap_[at] = flow;
  transfers_[flow].heap_at = at;
}

void FlowNetwork::sift_down(std::uint32_t at) {
  const std::uint32_t flow = heap_[at];
  const auto size = static_cast<std::uint32_t>(heap_.size());
  for (;;) {
    const std::uint32_t first = 4 * at + 1;
    if (first >= size) break;
    std::uint32_t best = first;
    for (std::uint32_t child = first + 1; child < std::min(first + 4, size); ++child)
      if (before(heap_[child], heap_[best])) best = child;
    if (!before(heap_[best], flow)) break;
    heap_[at] = heap_[best];
    transfers_[heap_[at]].heap_at = at;
    at = best;
  }
  heap_[at] = flow;
  transfers_[flow].heap_at = at;
}

void FlowNetwork::heap_remove(std::uint32_t flow) {
  const std::uint32_t at = transfers_[flow].heap_at;
  const std::uint32_t last = heap_.back();
  heap_.pop_back();
  if (last == flow) return;
  heap_[at] = last;
  transfers_[last].heap_at = at;
  sift_up(at);
  sift_down(transfers_[last].heap_at);
}

}  // namespace foretoken::sim::net
