#pragma once
// The pending events of one partition: an implicit 4-ary heap of 24-byte entries, an 8-byte slot
// for each that says whether it is still wanted, and a payload only where there is one. So a turn's
// worth of events fits the cache. Cancelling marks the slot; the entry leaves the heap when it
// reaches the top or when more than half of the entries are dead.
#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
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

// Lets a vector begin on a cache line.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  LineAllocator() = default;
  template <class U>
  explicit LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, kLine); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) { return true; }
};

struct Span {
  const char* begin = nullptr;
  const char* end = nullptr;
};
inline Span span(const void* first, std::size_t bytes) {
  const char* const begin = static_cast<const char*>(first);
  return {begin, begin + bytes};
}

// Fetches memory of what runs next into the second-level cache, one line for each event that runs
// meanwhile: turns are short, and without this every one would begin with a cold queue.
class FetchAhead {
 public:
  FetchAhead() = default;
  void add(Span memory) {
    if (memory.begin != memory.end && count_ < spans_.size()) spans_[count_++] = memory;
  }
  void step() {
    if (at_ >= end_) {
      if (next_ == count_) return;
      at_ = spans_[next_].begin;
      end_ = spans_[next_++].end;
    }
    __builtin_prefetch(at_, 0, 2);
    at_ += 64;
  }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::array<Span, 4> spans_;
};

class EventQueue {
 public:
  static constexpr std::uint64_t kNever = UINT64_MAX;

  EventQueue() : heap_(kRoot) {}

  // `target` is the index of the receiver inside the partition.
  EventHandle push(const Key& key, std::uint32_t target, std::uint32_t kind,
                   const Payload& payload) {
    if (hole_) {
      hole_ = false;
      const std::uint32_t slot = heap_[kRoot].slot;
      const std::uint32_t generation = occupy(slot, kind, payload);
      sift_from_root(key.time, key.order, slot, target);
      return EventHandle{slot, generation, target};
    }
    if (end_ == heap_.size()) grow();
    const std::uint32_t slot = heap_[end_].slot;
    const std::uint32_t generation = occupy(slot, kind, payload);
    sift_up(end_++, Entry{key, slot, target});
    return EventHandle{slot, generation, target};
  }

  // False if the event already ran, was cancelled, or belongs to another process.
  bool cancel(EventHandle handle, std::uint32_t owner);

  // Time of the earliest live event, kNever if there is none.
  [[nodiscard]] std::uint64_t next_time() {
    settle();
    return end_ == kRoot ? kNever : heap_[kRoot].key.time;
  }
  // Valid after next_time() said there is one, until the queue changes.
  [[nodiscard]] const Key& top_key() const { return heap_[kRoot].key; }
  [[nodiscard]] std::uint32_t top_target() const { return heap_[kRoot].target; }
  [[nodiscard]] std::uint32_t top_kind() const { return slots_[heap_[kRoot].slot].kind; }
  // Null if the event has none.
  [[nodiscard]] const Payload* top_payload() const {
    const std::uint32_t slot = heap_[kRoot].slot;
    return (slots_[slot].stamp & kLoaded) != 0 ? &payloads_[slot] : nullptr;
  }
  // Leaves a hole at the root: the next push, which usually follows, fills it with one sift.
  void pop() {
    release(heap_[kRoot].slot);
    hole_ = true;
  }

  [[nodiscard]] std::size_t size() const { return end_ - kRoot - (hole_ ? 1 : 0) - dead_; }
  [[nodiscard]] std::size_t bytes() const {
    return heap_.capacity() * sizeof(Entry) + slots_.capacity() * sizeof(Slot) +
           payloads_.capacity() * sizeof(Payload);
  }

  // Where the next events will look, to be fetched ahead. Stays so until the queue changes.
  struct Memory {
    const void* heap = nullptr;
    const void* slots = nullptr;
    std::uint32_t events = 0;

    void add_to(FetchAhead& ahead) const {
      ahead.add(span(heap, (events + kRoot) * sizeof(Entry)));
      ahead.add(span(slots, events * sizeof(Slot)));
    }
  };
  [[nodiscard]] Memory memory() const {
    return {heap_.data(), slots_.data(), static_cast<std::uint32_t>(slots_.size())};
  }

 private:
  // Where the root lies: then the four children of any entry share two cache lines.
  static constexpr std::size_t kRoot = 3;
  static constexpr std::size_t children_of(std::size_t at) { return 4 * (at - kRoot + 1); }
  static constexpr std::size_t parent_of(std::size_t at) { return at / 4 + kRoot - 1; }

  // A slot's stamp: generation 29 bits, then these.
  static constexpr std::uint32_t kLive = 1;
  static constexpr std::uint32_t kCancelled = 2;
  static constexpr std::uint32_t kLoaded = 4;  // has a payload
  static constexpr std::uint32_t kFlags = 7;

  struct Entry {
    Key key;
    std::uint32_t slot = 0;  // of what lies behind the heap's end: a free one
    std::uint32_t target = 0;
  };
  struct Slot {
    std::uint32_t stamp = 0;
    std::uint32_t kind = 0;
  };

  std::uint32_t occupy(std::uint32_t slot, std::uint32_t kind, const Payload& payload) {
    Slot& s = slots_[slot];
    s.kind = kind;
    s.stamp |= kLive;
    if (!payload.empty()) {
      s.stamp |= kLoaded;
      if (slot >= payloads_.size()) grow_payloads();
      payloads_[slot] = payload;
    }
    return s.stamp & ~kFlags;
  }
  void release(std::uint32_t slot) {
    Slot& s = slots_[slot];
    s.stamp = (s.stamp | kFlags) + 1;
  }
  void grow();
  void grow_payloads();

  void sift_up(std::size_t at, const Entry& entry) {
    Entry* const h = heap_.data();
    while (at > kRoot) {
      const std::size_t parent = parent_of(at);
      if (!(entry.key < h[parent].key)) break;
      h[at] = h[parent];
      at = parent;
    }
    h[at] = entry;
  }

  // Puts an entry into the hole at the root.
  void sift_from_root(std::uint64_t time, std::uint64_t order, std::uint32_t slot,
                      std::uint32_t target);

  void settle() {
    if (hole_) fill_hole();
    if (dead_ != 0) drop_dead_top();
  }
  // The root's slot, already released, becomes the first free one.
  void fill_hole() {
    hole_ = false;
    const std::uint32_t slot = heap_[kRoot].slot;
    const Entry last = heap_[--end_];
    if (end_ > kRoot) sift_from_root(last.key.time, last.key.order, last.slot, last.target);
    heap_[end_].slot = slot;
  }
  void drop_dead_top();
  void compact();

  std::vector<Entry, LineAllocator<Entry>> heap_;  // [kRoot, end_), then the free slots
  std::size_t end_ = kRoot;
  std::vector<Slot> slots_;
  std::vector<Payload> payloads_;  // by slot; empty while no event has had one
  bool hole_ = false;
  std::size_t dead_ = 0;
};

}  // namespace foretoken::sim::engine
