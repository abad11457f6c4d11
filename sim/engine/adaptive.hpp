#pragma once
// Windows on several threads where they pay, turns on one thread where they do not. Which is
// faster is measured as the run goes, so it holds for light and heavy handlers and on a busy
// machine; results are the same either way.
#include <cstdint>

#include "sim/engine/sequential.hpp"
#include "sim/engine/windows.hpp"

namespace foretoken::sim::engine {

class AdaptiveLoop {
 public:
  AdaptiveLoop(System& system, RunControl& control, Tally& tally, Team& team);

  Progress run(std::uint64_t until);
  [[nodiscard]] StopReason limit() const { return limit_; }

 private:
  struct Mode {
    double rate = 0.0;  // events a second, smoothed; zero until tried
    void observe(double events, double seconds);
  };

  Progress phase(bool windows, std::uint64_t until, double seconds);
  Progress first_look(std::uint64_t until);
  [[nodiscard]] bool windows_pay() const;

  Tally& tally_;
  SequentialLoop turns_;
  WindowLoop windows_;
  Mode turn_mode_;
  Mode window_mode_;
  double took_ = 0.0;  // seconds of the last phase
  StopReason limit_ = StopReason::drained;
};

}  // namespace foretoken::sim::engine
