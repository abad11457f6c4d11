#pragma once
// The pending events of one partition: an implicit 4-ary heap of 24-byte entries {key, slot} over
// a slab of 64-byte slots that hold the payloads. Cancelling marks the slot; the entry leaves the
// heap when it reaches the top or when more than half of the entries are dead.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/engine/event.hpp"

namespace foretoken::sim::engine {

// The total order of events: time, then priority, source entity and the source's own count.
// Nothing in it depends on addresses, threads or arrival order.
struct Key {
  static constexpr std::uint32_t kMaxEntities = 1U << 24;

  std::uint64_t time = 0;   // picoseconds, never negative
  std::uint64_t order = 0;  // priority 8 | source 24 | sequence 32

  static Key make(std::uint64_t time_ps, Priority priority, std::uint32_t source,
                  std::uint32_t sequence) {
    return Key{time_ps, (std::uint64_t{static_cast<std::uint8_t>(priority)} << 56) |
                            (std::uint64_t{source} << 32) | sequence};
  }
  [[nodiscard]] std::uint32_t source() const {
    return static_cast<std::uint32_t>(order >> 32) & (kMaxEntities - 1);
  }
  friend bool operator==(const Key&, const Key&) = default;
  friend bool operator<(const Key& a, const Key& b) {
    __extension__ typedef unsigned __int128 Wide;  // one subtract-with-borrow, no branch
    return ((Wide{a.time} << 64) | a.order) < ((Wide{b.time} << 64) | b.order);
  }
};

class EventQueue {
 public:
  static constexpr std::uint64_t kNever = UINT64_MAX;

  enum class State : std::uint32_t { free, live, cancelled };

  // One pending event; `target` is the index of the receiver inside the partition.
  struct alignas(64) Slot {
    Payload payload;
    std::uint32_t target = 0;
    std::uint32_t kind = 0;
    std::uint32_t generation = 0;
    State state = State::free;
  };

  EventHandle push(const Key& key, std::uint32_t target, std::uint32_t kind,
                   const Payload& payload) {
    const std::uint32_t slot = take_slot();
    Slot& s = slots_[slot];
    s.payload = payload;
    s.target = target;
    s.kind = kind;
    s.state = State::live;
    insert(Entry{key, slot});
    return EventHandle{slot, s.generation};
  }

  // False if the event already ran, was cancelled, or belongs to another process.
  bool cancel(EventHandle handle, std::uint32_t owner);

  // Time of the earliest live event, kNever if there is none.
  [[nodiscard]] std::uint64_t next_time() {
    settle();
    return heap_.empty() ? kNever : heap_[0].key.time;
  }
  // Valid after next_time() said there is one, until the queue changes.
  [[nodiscard]] const Key& top_key() const { return heap_[0].key; }
  [[nodiscard]] const Slot& top_slot() const { return slots_[heap_[0].slot]; }
  // Leaves a hole at the root: the next push, which usually follows, fills it with one sift.
  void pop() {
    free_slot(heap_[0].slot);
    hole_ = true;
  }

  [[nodiscard]] std::size_t size() const { return heap_.size() - (hole_ ? 1 : 0) - dead_; }
  [[nodiscard]] std::size_t bytes() const {
    return heap_.capacity() * sizeof(Entry) + slots_.capacity() * sizeof(Slot) +
           free_.capacity() * sizeof(std::uint32_t);
  }

  // Brings the heap, if it is small, into the cache before many events are run.
  void prefetch() const {
    const std::size_t lines = std::min(heap_.size() * sizeof(Entry), kPrefetchBytes) / 64;
    const char* const first = reinterpret_cast<const char*>(heap_.data());
    for (std::size_t i = 0; i <= lines; ++i) __builtin_prefetch(first + 64 * i);
  }
  // The slot that the push after `ahead` others will take.
  void prefetch_slot(std::size_t ahead) const {
    if (ahead < free_.size()) {
      __builtin_prefetch(&slots_[free_[free_.size() - 1 - ahead]], 1);
    }
  }

 private:
  static constexpr std::size_t kPrefetchBytes = std::size_t{32} << 10;

  struct Entry {
    Key key;
    std::uint32_t slot;
  };

  std::uint32_t take_slot() {
    if (free_.empty()) return grow();
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void free_slot(std::uint32_t slot) {
    Slot& s = slots_[slot];
    ++s.generation;
    s.state = State::free;
    free_.push_back(slot);
  }
  std::uint32_t grow();

  void insert(const Entry& entry) {
    if (hole_) {
      hole_ = false;
      sift_from_root(entry);
      return;
    }
    heap_.push_back(entry);
    sift_up(heap_.size() - 1, entry);
  }

  void sift_up(std::size_t at, const Entry& entry) {
    Entry* const h = heap_.data();
    while (at > 0) {
      const std::size_t parent = (at - 1) / 4;
      if (!(entry.key < h[parent].key)) break;
      h[at] = h[parent];
      at = parent;
    }
    h[at] = entry;
  }

  // The hole sinks to a leaf along the smallest children, then the entry rises: the entry is
  // nearly always late, so this saves a compare and an unpredictable branch a level.
  void sift_from_root(const Entry& entry) {
    Entry* const h = heap_.data();
    const std::size_t n = heap_.size();
    std::size_t at = 0;
    std::size_t child = 1;
    while (child + 4 <= n) {
      // Selected by arithmetic: which child is smallest is a coin flip to a branch predictor.
      const std::size_t left = child + (h[child + 1].key < h[child].key ? 1U : 0U);
      const std::size_t right = child + 2 + (h[child + 3].key < h[child + 2].key ? 1U : 0U);
      const std::size_t mask = std::size_t{0} - (h[right].key < h[left].key ? 1U : 0U);
      const std::size_t best = left ^ ((left ^ right) & mask);
      h[at] = h[best];
      // What now sits just below the root runs within a few events: fetch its payload.
      if (at - 1 < 4) __builtin_prefetch(&slots_[h[at].slot]);
      at = best;
      child = 4 * at + 1;
    }
    if (child < n) {
      std::size_t best = child;
      for (std::size_t i = child + 1; i < n; ++i) best = h[i].key < h[best].key ? i : best;
      h[at] = h[best];
      at = best;
    }
    sift_up(at, entry);
  }

  void settle() {
    if (hole_) fill_hole();
    if (dead_ != 0) drop_dead_top();
  }
  void fill_hole() {
    hole_ = false;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_from_root(last);
  }
  void drop_dead_top();
  void compact();

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;  // a stack beside the slab: no chain of cache misses
  bool hole_ = false;
  std::size_t dead_ = 0;
};

}  // namespace foretoken::sim::engine
