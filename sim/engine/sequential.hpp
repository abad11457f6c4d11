#pragma once
// Runs all partitions on the calling thread. The partition with the earliest event runs until
// another one could reach it: turns as long as windows where there is lookahead, single events
// where there is none, O(log partitions) a turn.
#include <cstdint>
#include <optional>

#include "sim/engine/control.hpp"
#include "sim/engine/partition_heap.hpp"
#include "sim/engine/system.hpp"

namespace foretoken::sim::engine {

// What a run has done so far, whatever executed it.
struct Tally {
  std::uint64_t events = 0;
  std::uint64_t windows = 0;
  std::uint64_t parallel_events = 0;
  std::uint64_t peak_pending = 0;
  double sequential_s = 0.0;
  double parallel_s = 0.0;
  double exchange_s = 0.0;
};

enum class Progress { finished, budget_spent, limit_hit };

class SequentialLoop {
 public:
  SequentialLoop(System& system, RunControl& control, Tally& tally)
      : system_(system), control_(control), tally_(tally) {}

  // Runs events before `until`, about `budget` of them at most.
  Progress run(std::uint64_t until, std::uint64_t budget);
  // Set when run() returned limit_hit.
  [[nodiscard]] StopReason limit() const { return *limit_; }

 private:
  std::uint64_t take_turn(std::uint64_t cut);
  [[nodiscard]] std::uint64_t turn_limit(std::uint32_t running, std::uint64_t cut) const;
  [[nodiscard]] std::uint64_t edge_limit(std::uint32_t running) const;
  [[nodiscard]] std::uint64_t shortest_way_in(std::uint32_t partition) const;
  void count_window(std::uint64_t now);
  void deliver_notices();

  System& system_;
  RunControl& control_;
  Tally& tally_;
  PartitionHeap heap_;
  std::uint64_t window_end_ = 0;
  std::optional<StopReason> limit_;
};

}  // namespace foretoken::sim::engine
