#pragma once
// Wall-clock limits, interruption and progress of a run. Nothing simulated depends on it.
#include <chrono>
#include <cstdint>
#include <optional>

#include "sim/engine/simulation.hpp"

namespace foretoken::sim::engine {

double resident_bytes();  // the most this process has held so far

class RunControl {
 public:
  explicit RunControl(const RunOptions& options);

  // Called between turns and windows with the events run since the last call; looks at the clock
  // only now and then. The reason to end early, if there is one.
  std::optional<StopReason> check(std::uint64_t new_events, std::uint64_t now_ps) {
    events_ += new_events;
    if (options_.interrupt != nullptr && options_.interrupt->load(std::memory_order_relaxed)) {
      return StopReason::interrupted;
    }
    unchecked_ += new_events;
    if (++calls_ < kCallsPerLook && unchecked_ < kEventsPerLook) return std::nullopt;
    return look(now_ps);
  }
  [[nodiscard]] double elapsed_s() const;

 private:
  static constexpr int kCallsPerLook = 64;
  static constexpr std::uint64_t kEventsPerLook = 1024;

  std::optional<StopReason> look(std::uint64_t now_ps);

  const RunOptions& options_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point next_progress_;
  std::chrono::steady_clock::time_point next_memory_;
  std::uint64_t events_ = 0;
  std::uint64_t unchecked_ = 0;
  int calls_ = 0;
};

}  // namespace foretoken::sim::engine
