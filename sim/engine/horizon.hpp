#pragma once
// How far each partition may run without hearing from the others.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/system.hpp"

namespace foretoken::sim::engine {

// What a partition is about to do, known between two windows.
struct Outlook {
  std::uint64_t next = EventQueue::kNever;  // its earliest event or message
  std::uint64_t silent = 0;                 // nothing leaves it before this ...
  bool absolute = true;                     // ... not even in answer to a message
};

constexpr std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  return a > EventQueue::kNever - b ? EventQueue::kNever : a + b;
}

class Horizon {
 public:
  explicit Horizon(const System& system) : system_(system), limits_(system.size()) {}

  // No message that is not yet known can arrive anywhere before this.
  [[nodiscard]] std::uint64_t earliest_arrival(std::span<const Outlook> outlooks) const;
  // For each partition, the time before which nothing new can reach it; at least `earliest`,
  // the above. Events before it may run. Valid until the next call.
  std::span<const std::uint64_t> limits(std::span<const Outlook> outlooks, std::uint64_t earliest);

 private:
  void dense_limits(std::span<const Outlook> outlooks, std::uint64_t earliest);
  void sparse_limits(std::span<const Outlook> outlooks, std::uint64_t earliest);
  void hold_for_stoppers(std::span<const Outlook> outlooks);

  const System& system_;
  std::vector<std::uint64_t> limits_;
  std::vector<std::uint64_t> arrivals_;
};

}  // namespace foretoken::sim::engine
