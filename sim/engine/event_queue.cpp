#include "sim/engine/event_queue.hpp"

#include <algorithm>
#include <stdexcept>

namespace foretoken::sim::engine {

namespace {
constexpr std::size_t kCompactAbove = 64;  // below this, dead entries cost less than a rebuild
}

bool EventQueue::cancel(EventHandle handle, std::uint32_t owner) {
  if (handle.slot >= slots_.size()) return false;
  Slot& s = slots_[handle.slot];
  if (s.generation != handle.generation || s.state != State::live || s.target != owner)
    return false;
  s.state = State::cancelled;
  ++dead_;
  if (dead_ > kCompactAbove && 2 * dead_ > heap_.size()) compact();
  return true;
}

std::uint32_t EventQueue::grow() {
  if (slots_.size() >= UINT32_MAX) {
    throw std::length_error("more than four billion events are pending in one partition");
  }
  slots_.emplace_back();
  return static_cast<std::uint32_t>(slots_.size() - 1);
}

void EventQueue::drop_dead_top() {
  while (dead_ != 0 && !heap_.empty() && slots_[heap_[0].slot].state == State::cancelled) {
    free_slot(heap_[0].slot);
    --dead_;
    fill_hole();
  }
}

void EventQueue::compact() {
  if (hole_) fill_hole();
  std::size_t kept = 0;
  for (const Entry& entry : heap_) {
    if (slots_[entry.slot].state == State::cancelled) {
      free_slot(entry.slot);
    } else {
      heap_[kept++] = entry;
    }
  }
  heap_.resize(kept);
  dead_ = 0;
  // A sorted array is a heap; keys are unique, so the order of events is the same as before.
  std::sort(heap_.begin(), heap_.end(),
            [](const Entry& a, const Entry& b) { return a.key < b.key; });
}

}  // namespace foretoken::sim::engine
