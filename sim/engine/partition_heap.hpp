#pragma once
// Partitions by the time of their next event: a binary heap in which any of them can be moved.
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace foretoken::sim::engine {

class PartitionHeap {
 public:
  // Starts from these times, one a partition.
  void assign(std::vector<std::uint64_t> times) {
    times_ = std::move(times);
    heap_.resize(times_.size());
    place_.resize(times_.size());
    std::iota(heap_.begin(), heap_.end(), 0U);
    std::iota(place_.begin(), place_.end(), 0U);
    for (std::size_t i = heap_.size() / 2; i-- > 0;) sink(i);
  }

  [[nodiscard]] std::uint32_t top() const { return heap_[0]; }
  [[nodiscard]] std::uint64_t top_time() const { return times_[heap_[0]]; }
  [[nodiscard]] std::uint64_t time(std::uint32_t partition) const { return times_[partition]; }
  // The earliest of all but the top, which must not be alone.
  [[nodiscard]] std::uint32_t second() const {
    return heap_.size() > 2 && times_[heap_[2]] < times_[heap_[1]] ? heap_[2] : heap_[1];
  }
  // The earliest time of all but the top; UINT64_MAX if it is alone.
  [[nodiscard]] std::uint64_t second_time() const {
    std::uint64_t time = UINT64_MAX;
    for (std::size_t i = 1; i < heap_.size() && i < 3; ++i) {
      time = times_[heap_[i]] < time ? times_[heap_[i]] : time;
    }
    return time;
  }

  void update(std::uint32_t partition, std::uint64_t time) {
    const bool earlier = time < times_[partition];
    times_[partition] = time;
    if (earlier) {
      rise(place_[partition]);
    } else {
      sink(place_[partition]);
    }
  }

 private:
  void put(std::size_t at, std::uint32_t partition) {
    heap_[at] = partition;
    place_[partition] = static_cast<std::uint32_t>(at);
  }
  void rise(std::size_t at) {
    const std::uint32_t moving = heap_[at];
    while (at > 0 && times_[moving] < times_[heap_[(at - 1) / 2]]) {
      put(at, heap_[(at - 1) / 2]);
      at = (at - 1) / 2;
    }
    put(at, moving);
  }
  void sink(std::size_t at) {
    const std::uint32_t moving = heap_[at];
    for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
      if (child + 1 < heap_.size() && times_[heap_[child + 1]] < times_[heap_[child]]) ++child;
      if (times_[heap_[child]] >= times_[moving]) break;
      put(at, heap_[child]);
      at = child;
    }
    put(at, moving);
  }

  std::vector<std::uint64_t> times_;
  std::vector<std::uint32_t> heap_;   // partitions
  std::vector<std::uint32_t> place_;  // where in heap_ a partition is
};

}  // namespace foretoken::sim::engine
