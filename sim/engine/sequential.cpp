#include "sim/engine/sequential.hpp"

#include <algorithm>

namespace foretoken::sim::engine {

namespace {

// A turn ends after so many events, so that limits and interruptions are seen in time.
constexpr std::uint64_t kTurnEvents = 4096;

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return a > EventQueue::kNever - b ? EventQueue::kNever : a + b;
}

}  // namespace

std::uint64_t SequentialLoop::turn_limit(std::uint32_t running, std::uint64_t cut) const {
  std::uint64_t limit = std::min(cut, plus(heap_.second_time(), system_.lookahead));
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
  const std::uint64_t reply = !system_.stoppers.empty()                 ? 0
                              : system_.lookahead == EventQueue::kNever ? Partition::kNoReply
                                                                        : system_.lookahead;
  const std::uint64_t events = partition.run(turn_limit(p, cut), reply, outbox, kTurnEvents);
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
