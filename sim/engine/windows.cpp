#include "sim/engine/windows.hpp"

#include <algorithm>
#include <numeric>

namespace foretoken::sim::engine {

namespace {

// At most so many events of a partition in a window, so that limits are seen in time.
constexpr std::uint64_t kWindowEvents = 16384;
constexpr std::uint64_t kBalanceEvery = 64;  // windows
constexpr double kImbalance = 1.1;           // busiest worker over mean
// Partitions that take less than this, in seconds, are slower to move to another core's cache than
// to wait for: so many of them are left to their owner at the end of a window.
constexpr double kWorthMoving = 20e-6;
constexpr std::size_t kLeave = 2;

double seconds(WindowLoop::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

WindowLoop::WindowLoop(System& system, RunControl& control, Tally& tally, Team& team, Ranks* ranks)
    : system_(system),
      control_(control),
      tally_(tally),
      team_(team),
      ranks_(ranks),
      horizon_(system),
      states_(system.size()),
      outlooks_(system.size()),
      limits_(system.size()),
      mail_(system.size()),
      order_(system.size()),
      owner_(system.size()),
      load_(system.size()),
      lists_(static_cast<std::size_t>(team.size())),
      errors_(static_cast<std::size_t>(team.size())) {
  std::iota(order_.begin(), order_.end(), 0U);
  std::fill(load_.begin(), load_.end(), 1);
  share_out();
  std::fill(load_.begin(), load_.end(), 0);
  system_.resize_outboxes(2 * static_cast<std::size_t>(team.size()));
}

void WindowLoop::begin() {
  system_.drain_all();
  for (std::uint32_t p = 0; p < system_.size(); ++p) {
    if (mine(p)) refresh(p);
  }
}

void WindowLoop::refresh(std::uint32_t p) {
  Partition& partition = *system_.partitions[p];
  Outlook& outlook = states_[p].outlook;
  outlook.next = partition.next_time();
  outlook.silent = partition.silent_until(outlook.absolute);
}

// Takes what was posted in the last window into account: it is read in this one.
void WindowLoop::add_mail() {
  const std::size_t first = set(writing_ ^ 1U);
  for (std::uint32_t p = 0; p < system_.size(); ++p) {
    outlooks_[p] = states_[p].outlook;
    std::uint64_t earliest = EventQueue::kNever;
    for (std::size_t t = 0; t < lists_.size(); ++t) {
      earliest = std::min(earliest, system_.outboxes[first + t].earliest[p]);
    }
    mail_[p] = earliest != EventQueue::kNever;
    if (mail_[p] == 0 || system_.partitions[p]->failed()) continue;
    outlooks_[p].next = std::min(outlooks_[p].next, earliest);
    if (!outlooks_[p].absolute) outlooks_[p].silent = 0;
  }
}

// False when the run is over.
bool WindowLoop::plan(std::uint64_t until) {
  add_mail();
  std::uint64_t next = EventQueue::kNever;
  for (const Outlook& o : outlooks_) next = std::min(next, o.next);
  std::uint64_t arrival = horizon_.earliest_arrival(outlooks_);
  std::uint64_t cut = std::min(until, system_.cut());
  if (ranks_ != nullptr) {
    std::uint64_t stopper = EventQueue::kNever;
    for (const std::uint32_t s : system_.stoppers) {
      if (mine(s)) stopper = std::min(stopper, outlooks_[s].next);
    }
    limit_ = ranks_->agree(next, arrival, cut, stopper, limit_);
    if (limit_) return false;
    const std::uint64_t hold = system_.stoppers.empty()
                                   ? EventQueue::kNever
                                   : saturating_add(std::min(stopper, arrival), 1);
    std::fill(limits_.begin(), limits_.end(), std::min({arrival, cut, hold}));
  } else {
    const auto limits = horizon_.limits(outlooks_, arrival);
    for (std::size_t p = 0; p < limits_.size(); ++p) limits_[p] = std::min(limits[p], cut);
  }
  now_ = next;
  stopped_ = cut < until;
  return next < cut;
}

std::size_t WindowLoop::make_lists() {
  std::size_t active = 0;
  for (List& list : lists_) {
    list.partitions.clear();
    list.reset();
  }
  for (const std::uint32_t p : order_) {
    const bool runs = outlooks_[p].next < limits_[p];
    if (!runs && mail_[p] == 0) continue;
    active += runs ? 1U : 0U;
    lists_[owner_[p]].partitions.push_back(p);
  }
  return active;
}

FetchAhead WindowLoop::fetch_ahead(std::uint32_t p) const {
  FetchAhead ahead;
  if (mail_[p] != 0) {
    const std::size_t first = set(writing_ ^ 1U);
    for (std::size_t t = 0; t < lists_.size(); ++t) {
      const Outbox& box = system_.outboxes[first + t];
      if (box.earliest[p] != EventQueue::kNever) ahead.add(box.to[p].memory());
    }
  }
  system_.partitions[p]->add_memory(ahead);
  return ahead;
}

// Where that will look, for the partition after: other threads have written there.
void WindowLoop::fetch_headers(std::uint32_t p) const {
  if (mail_[p] == 0) return;
  const std::size_t first = set(writing_ ^ 1U);
  for (std::size_t t = 0; t < lists_.size(); ++t)
    __builtin_prefetch(&system_.outboxes[first + t].to[p]);
}

void WindowLoop::advance(std::uint32_t p, Outbox& outbox, const FetchAhead& ahead) {
  Partition& partition = *system_.partitions[p];
  if (mail_[p] != 0) {
    const std::size_t first = set(writing_ ^ 1U);
    for (std::size_t t = 0; t < lists_.size(); ++t) {
      Outbox& box = system_.outboxes[first + t];
      if (box.earliest[p] != EventQueue::kNever) partition.drain(box.to[p]);
    }
  }
  if (!partition.failed() && outlooks_[p].next < limits_[p]) {
    const std::uint64_t events =
        partition.run(limits_[p], Partition::kNoReply, outbox, kWindowEvents, ahead);
    states_[p].events = static_cast<std::uint32_t>(events);
  }
  refresh(p);
}

// A worker's own partitions first, from the front; then what the others have left, from the back,
// since the owner has already fetched what is next at the front.
void WindowLoop::work(int worker) {
  const auto first = static_cast<std::size_t>(worker);
  Outbox& outbox = system_.outboxes[set(writing_) + first];
  List& own = lists_[first];
  own.owner_came.store(true, std::memory_order_relaxed);
  for (std::size_t at = own.claim_front(); at < own.partitions.size(); at = own.claim_front()) {
    FetchAhead ahead;
    if (at + 2 < own.partitions.size()) fetch_headers(own.partitions[at + 2]);
    if (at + 1 < own.partitions.size()) ahead = fetch_ahead(own.partitions[at + 1]);
    advance(own.partitions[at], outbox, ahead);
  }
  for (std::size_t i = 1; i < lists_.size(); ++i) {
    List& other = lists_[(first + i) % lists_.size()];
    while (other.left() > (other.owner_came.load(std::memory_order_relaxed) ? leave_ : 0)) {
      const std::size_t at = other.claim_back();
      if (at >= other.partitions.size()) break;
      advance(other.partitions[at], outbox, FetchAhead());
    }
  }
}

void WindowLoop::execute(std::size_t active) {
  if (active < 2 || team_.size() < 2) {
    work(0);
    return;
  }
  gate_.open();
  work(0);
  gate_.close();
  for (const std::exception_ptr& error : errors_) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

void WindowLoop::help(int worker) {
  gate_.help([this, worker] {
    try {
      work(worker);
    } catch (...) {
      errors_[static_cast<std::size_t>(worker)] = std::current_exception();
    }
  });
}

void WindowLoop::finish_window() {
  const std::size_t read = set(writing_ ^ 1U);
  for (std::size_t t = 0; t < lists_.size(); ++t) {
    auto& earliest = system_.outboxes[read + t].earliest;
    std::fill(earliest.begin(), earliest.end(), EventQueue::kNever);
    system_.outboxes[set(writing_) + t].changed.clear();
  }
  if (ranks_ != nullptr) {
    ranks_->exchange({system_.outboxes.data() + set(writing_), lists_.size()});
  }
  writing_ ^= 1U;
  if (++windows_ % kBalanceEvery == 0 && team_.size() > 1) balance();
}

// Neighbours to one worker, as much load to each: neighbours lie side by side in memory, and often
// talk to each other.
void WindowLoop::share_out() {
  const std::uint64_t total = std::accumulate(load_.begin(), load_.end(), std::uint64_t{0});
  const std::uint64_t workers = lists_.size();
  std::uint64_t before = 0;
  for (std::uint32_t p = 0; p < system_.size(); ++p) {
    const std::uint64_t middle = 2 * before + load_[p];  // twice, to stay whole
    owner_[p] = static_cast<std::uint32_t>(
        std::min(middle * workers / std::max<std::uint64_t>(2 * total, 1), workers - 1));
    before += load_[p];
  }
}

// Only when the present owners are uneven: a partition that moves leaves its cache behind.
void WindowLoop::balance() {
  std::vector<std::uint64_t> per_worker(lists_.size(), 0);
  for (std::uint32_t p = 0; p < system_.size(); ++p) per_worker[owner_[p]] += load_[p];
  const std::uint64_t total =
      std::accumulate(per_worker.begin(), per_worker.end(), std::uint64_t{0});
  const std::uint64_t most = *std::max_element(per_worker.begin(), per_worker.end());
  const double mean = static_cast<double>(total) / static_cast<double>(lists_.size());
  if (static_cast<double>(most) > kImbalance * mean) {
    std::sort(order_.begin(), order_.end(), [this](std::uint32_t a, std::uint32_t b) {
      return load_[a] != load_[b] ? load_[a] > load_[b] : a < b;
    });
    share_out();
  }
  std::fill(load_.begin(), load_.end(), 0);
}

Progress WindowLoop::run(std::uint64_t until, Clock::time_point deadline) {
  begin();
  Progress progress = Progress::finished;
  gate_.reset();
  team_.run(
      [&] {
        struct EndOfHelp {
          Gate& gate;
          ~EndOfHelp() { gate.end(); }
        } const end{gate_};
        progress = lead(until, deadline);
      },
      [this](int worker) { help(worker); });
  return progress;
}

Progress WindowLoop::lead(std::uint64_t until, Clock::time_point deadline) {
  auto mark = Clock::now();
  while (plan(until)) {
    const std::size_t active = make_lists();
    const auto planned = Clock::now();
    execute(active);
    const auto executed = Clock::now();
    std::uint64_t events = 0;
    for (std::uint32_t p = 0; p < system_.size(); ++p) {
      load_[p] += states_[p].events;
      events += states_[p].events;
      states_[p].events = 0;
    }
    finish_window();
    const bool together = active >= 2 && team_.size() > 1;
    tally_.events += events;
    tally_.windows += 1;
    if (together) tally_.parallel_events += events;
    (together ? tally_.parallel_s : tally_.sequential_s) += seconds(executed - planned);
    const double each = seconds(executed - planned) * static_cast<double>(team_.size());
    leave_ = each < kWorthMoving * static_cast<double>(active) ? kLeave : 0;
    const auto now = Clock::now();
    tally_.exchange_s += seconds(planned - mark) + seconds(now - executed);
    mark = now;
    limit_ = control_.check(events, now_);
    if (ranks_ != nullptr) continue;  // agreed upon before the next window
    if (limit_) return Progress::limit_hit;
    if (now >= deadline) return Progress::budget_spent;
  }
  return limit_ ? Progress::limit_hit : Progress::finished;
}

}  // namespace foretoken::sim::engine
