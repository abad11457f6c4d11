#include "sim/engine/event_queue.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace foretoken::sim::engine {

namespace {
constexpr std::size_t kCompactAbove = 64;  // below this, dead entries cost less than a rebuild
constexpr std::size_t kFirstRoom = 32;     // events

// A vector would double: half of the memory of a large queue would lie idle.
constexpr std::size_t grown(std::size_t room) { return room + room / 4 + kFirstRoom; }
}  // namespace

bool EventQueue::cancel(EventHandle handle, std::uint32_t owner) {
  if (handle.slot >= slots_.size() || handle.owner != owner) return false;
  Slot& s = slots_[handle.slot];
  if ((s.stamp & ~kLoaded) != (handle.generation | kLive)) return false;
  s.stamp |= kCancelled;
  ++dead_;
  if (dead_ > kCompactAbove && 2 * dead_ > end_ - kRoot) compact();
  return true;
}

namespace {

// The first of four entries, if two that matter have equal times.
template <class Entry>
[[gnu::noinline]] Entry* first_of_ties(Entry* e) {
  Entry* const left = e[1].key < e[0].key ? e + 1 : e;
  Entry* const right = e[3].key < e[2].key ? e + 3 : e + 2;
  return right->key < left->key ? right : left;
}

// The first of four entries. Selected by conditional moves, since it is a coin flip to a branch
// predictor, and by time alone: the rest of the key is looked at where two times are equal.
template <class Entry>
[[gnu::always_inline]] inline Entry* first_of_four(Entry* e) {
  const std::uint64_t t0 = e[0].key.time;
  const std::uint64_t t1 = e[1].key.time;
  const std::uint64_t t2 = e[2].key.time;
  const std::uint64_t t3 = e[3].key.time;
  if (__builtin_expect(t0 == t1 || t2 == t3, 0)) return first_of_ties(e);
  const std::uint64_t left = t1 < t0 ? t1 : t0;
  const std::uint64_t right = t3 < t2 ? t3 : t2;
  if (__builtin_expect(left == right, 0)) return first_of_ties(e);
  Entry* const in_left = t1 < t0 ? e + 1 : e;
  Entry* const in_right = t3 < t2 ? e + 3 : e + 2;
  return right < left ? in_right : in_left;
}

}  // namespace

// The hole sinks to a leaf along the smallest children, then the entry rises: the entry is nearly
// always late, so this saves a compare and an unpredictable branch a level.
void EventQueue::sift_from_root(std::uint64_t time, std::uint64_t order, std::uint32_t slot,
                                std::uint32_t target) {
  Entry* const h = heap_.data();
  Entry* const end = h + end_;
  // children_of() in bytes, since counting entries of 24 takes a multiplication.
  const auto children = [h](Entry* e) {
    std::byte* const first = reinterpret_cast<std::byte*>(h);
    const std::ptrdiff_t offset = 4 * (reinterpret_cast<std::byte*>(e) - first);
    return reinterpret_cast<Entry*>(first + offset) - 4 * (kRoot - 1);
  };
  Entry* at = h + kRoot;
  Entry* child = at + 1;
  while (child + 4 <= end) {
    Entry* const best = first_of_four(child);
    *at = *best;
    // What now lies at the root runs next.
    if (child == h + kRoot + 1) __builtin_prefetch(&slots_[best->slot]);
    at = best;
    child = children(at);
  }
  if (child < end) {
    Entry* best = child;
    for (Entry* i = child + 1; i < end; ++i) best = i->key < best->key ? i : best;
    *at = *best;
    at = best;
  }
  sift_up(static_cast<std::size_t>(at - h), Entry{Key{time, order}, slot, target});
}

void EventQueue::grow() {
  if (slots_.size() >= UINT32_MAX) {
    throw std::length_error("more than four billion events are pending in one partition");
  }
  if (slots_.size() == slots_.capacity()) {
    slots_.reserve(grown(slots_.size()));
    heap_.reserve(kRoot + slots_.capacity());
  }
  Entry entry;
  entry.slot = static_cast<std::uint32_t>(slots_.size());
  slots_.emplace_back();
  heap_.push_back(entry);
}

void EventQueue::grow_payloads() {
  payloads_.reserve(slots_.capacity());
  payloads_.resize(slots_.size());
}

void EventQueue::drop_dead_top() {
  while (dead_ != 0 && end_ > kRoot && (slots_[heap_[kRoot].slot].stamp & kCancelled) != 0) {
    release(heap_[kRoot].slot);
    --dead_;
    fill_hole();
  }
}

void EventQueue::compact() {
  if (hole_) fill_hole();
  const auto first = heap_.begin() + kRoot;
  const auto end = heap_.begin() + static_cast<std::ptrdiff_t>(end_);
  // The dead, and with them their slots, go behind the end.
  const auto kept = std::partition(
      first, end, [this](const Entry& e) { return (slots_[e.slot].stamp & kCancelled) == 0; });
  for (auto dead = kept; dead != end; ++dead) release(dead->slot);
  end_ = static_cast<std::size_t>(kept - heap_.begin());
  dead_ = 0;
  // A sorted array is a heap; keys are unique, so the order of events is the same as before.
  std::sort(first, kept, [](const Entry& a, const Entry& b) { return a.key < b.key; });
}

}  // namespace foretoken::sim::engine
