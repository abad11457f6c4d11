#include "sim/engine/horizon.hpp"

#include <algorithm>

namespace foretoken::sim::engine {

namespace {

// When the first message that a partition sends of its own accord arrives after `delay`.
std::uint64_t own_output(const Outlook& o, std::uint64_t delay) {
  return saturating_add(std::max(o.next, o.silent), delay);
}

// The same, if a message may reach the partition at `arrival` and be answered at once.
std::uint64_t any_output(const Outlook& o, std::uint64_t arrival, std::uint64_t delay) {
  const std::uint64_t leaves = o.absolute ? std::max(std::min(o.next, arrival), o.silent)
                                          : std::min(std::max(o.next, o.silent), arrival);
  return saturating_add(leaves, delay);
}

}  // namespace

std::uint64_t Horizon::earliest_arrival(std::span<const Outlook> outlooks) const {
  std::uint64_t earliest = EventQueue::kNever;
  for (std::uint32_t p = 0; p < system_.size(); ++p) {
    earliest = std::min(earliest, own_output(outlooks[p], system_.leaving[p]));
  }
  return earliest;
}

std::span<const std::uint64_t> Horizon::limits(std::span<const Outlook> outlooks,
                                               std::uint64_t earliest) {
  if (system_.dense) {
    dense_limits(outlooks, earliest);
  } else {
    sparse_limits(outlooks, earliest);
  }
  if (!system_.stoppers.empty()) hold_for_stoppers(outlooks);
  return limits_;
}

// Everyone may hear from everyone. Only the partition that speaks first is held by the second,
// or by an answer to itself.
void Horizon::dense_limits(std::span<const Outlook> outlooks, std::uint64_t earliest) {
  std::fill(limits_.begin(), limits_.end(), earliest);
  std::uint64_t second = saturating_add(earliest, system_.lookahead);
  std::uint32_t first = system_.size();
  for (std::uint32_t p = 0; p < system_.size(); ++p) {
    const std::uint64_t out = own_output(outlooks[p], system_.leaving[p]);
    if (out == earliest && first == system_.size()) {
      first = p;
    } else {
      second = std::min(second, out);
    }
  }
  if (first < system_.size()) limits_[first] = std::max(earliest, second);
}

// Along the edges. The first pass takes `earliest` for when anything can reach a sender, the
// second the limits of the first, which bound the same thing more closely.
void Horizon::sparse_limits(std::span<const Outlook> outlooks, std::uint64_t earliest) {
  arrivals_.assign(system_.size(), earliest);
  for (int pass = 0; pass < 2; ++pass) {
    if (pass > 0) arrivals_ = limits_;
    std::fill(limits_.begin(), limits_.end(), EventQueue::kNever);
    for (const Edge& e : system_.edges) {
      limits_[e.to] =
          std::min(limits_[e.to], any_output(outlooks[e.from], arrivals_[e.from], e.delay));
    }
  }
}

// A run that is stopped at t must not have gone past t anywhere.
void Horizon::hold_for_stoppers(std::span<const Outlook> outlooks) {
  arrivals_ = limits_;
  for (const std::uint32_t s : system_.stoppers) {
    const std::uint64_t hold = saturating_add(std::min(outlooks[s].next, arrivals_[s]), 1);
    for (std::uint32_t p = 0; p < system_.size(); ++p) {
      if (p != s) limits_[p] = std::min(limits_[p], hold);
    }
  }
}

}  // namespace foretoken::sim::engine
