#include "sim/engine/sequential.hpp"

#include <algorithm>

namespace foretoken::sim::engine {

namespace {

// A turn ends after so many events, so that limits and interruptions are seen in time.
constexpr std::uint64_t kTurnEvents = 4096;
// With more edges into a partition than this, the global lookahead limits its turn.
constexpr std::uint32_t kMostEdges = 8;

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return a > EventQueue::kNever - b ? EventQueue::kNever : a + b;
}

}  // namespace

// Others act at `second` or later, so what reaches a sender arrives one lookahead after that, and
// what it then sends here later by the edge's delay. A sender that hears from nobody is bound by
// its own next event alone. What the running partition sets off itself, its reply limit covers.
std::uint64_t SequentialLoop::edge_limit(std::uint32_t running) const {
  const std::uint64_t second = heap_.second_time();
  const std::uint32_t first = system_.edges_to[running];
  const std::uint32_t last = system_.edges_to[running + 1];
  if (last - first > kMostEdges) return plus(second, system_.lookahead);
  std::uint64_t limit = EventQueue::kNever;
  for (std::uint32_t i = first; i < last; ++i) {
    const Edge& e = system_.edges[i];
    const bool hears = system_.edges_to[e.from] != system_.edges_to[e.from + 1];
    const std::uint64_t heard = hears ? plus(second, system_.lookahead) : EventQueue::kNever;
    limit = std::min(limit, plus(std::min(heap_.time(e.from), heard), e.delay));
  }
  return limit;
}

// An answer to what a partition sends needs at least this long to come back.
std::uint64_t SequentialLoop::shortest_way_in(std::uint32_t partition) const {
  if (!system_.dense && system_.edges_to[partition] == system_.edges_to[partition + 1]) {
    return Partition::kNoReply;
  }
  return std::min(system_.lookahead, Partition::kNoReply);
}

std::uint64_t SequentialLoop::turn_limit(std::uint32_t running, std::uint64_t cut) const {
  std::uint64_t limit =
      system_.dense ? plus(heap_.second_time(), system_.lookahead) : edge_limit(running);
  limit = std::min(limit, cut);
  if (!system_.stoppers.empty())
    limit = std::min(limit, plus(heap_.second_time(), system_.lookahead));
  for (const std::uint32_t p : system_.stoppers) {
    if (p != running) limit = std::min(limit, plus(heap_.time(p), 1));
  }
  return limit;
}

// What the same run would look like in windows: tells how much could run side by side.
void SequentialLoop::count_window(std::uint64_t now) {
  if (now < window_end_) return;
  ++tally_.windows;
  window_end_ = plus(now, system_.lookahead);
}

void SequentialLoop::deliver_notices() {
  Outbox& outbox = system_.outboxes[0];
  for (const std::uint32_t p : outbox.changed) {
    if (outbox.earliest[p] < heap_.time(p) && !system_.partitions[p]->failed()) {
      heap_.update(p, outbox.earliest[p]);
    }
  }
  outbox.changed.clear();
}

std::uint64_t SequentialLoop::take_turn(std::uint64_t cut) {
  const std::uint32_t p = heap_.top();
  Partition& partition = *system_.partitions[p];
  Outbox& outbox = system_.outboxes[0];
  count_window(heap_.top_time());
  if (outbox.earliest[p] != EventQueue::kNever) system_.drain(outbox, p);
  // A message to a process that may stop the run must not be overtaken at all.
  const std::uint64_t reply = system_.stoppers.empty() ? shortest_way_in(p) : 0;
  FetchAhead ahead;
  if (system_.size() > 1) {
    const std::uint32_t next = heap_.second();
    if (outbox.earliest[next] != EventQueue::kNever) ahead.add(outbox.to[next].memory());
    system_.partitions[next]->add_memory(ahead);
  }
  const std::uint64_t events = partition.run(turn_limit(p, cut), reply, outbox, kTurnEvents, ahead);
  heap_.update(p, partition.next_time());
  deliver_notices();
  return events;
}

Progress SequentialLoop::run(std::uint64_t until, std::uint64_t budget) {
  system_.drain_all();
  std::vector<std::uint64_t> times;
  for (const auto& partition : system_.partitions) times.push_back(partition->next_time());
  heap_.assign(std::move(times));
  std::uint64_t cut = std::min(until, system_.cut());
  while (heap_.top_time() < cut) {
    const std::uint32_t p = heap_.top();
    const std::uint64_t now = heap_.top_time();
    const std::uint64_t events = take_turn(cut);
    tally_.events += events;
    const Partition& partition = *system_.partitions[p];
    cut = std::min(cut, plus(partition.stop_time(), 1));
    if (partition.failed()) cut = std::min(cut, plus(partition.failure().key.time, 1));
    limit_ = control_.check(events, now);
    if (limit_) return Progress::limit_hit;
    if (events >= budget) return Progress::budget_spent;
    budget -= events;
  }
  return Progress::finished;
}

}  // namespace foretoken::sim::engine
