#include "sim/engine/adaptive.hpp"

#include <algorithm>

namespace foretoken::sim::engine {

namespace {

using Clock = WindowLoop::Clock;

constexpr double kPhase = 4e-3;    // seconds between decisions
constexpr double kTrial = 0.4e-3;  // seconds given to the mode that is not in use
constexpr int kFirstStay = 4;      // phases before the other mode is tried again, doubling
constexpr int kLongestStay = 64;
constexpr double kClearly = 1.05;  // faster by so much to be worth a change
constexpr double kFirstRate = 2e6;

}  // namespace

AdaptiveLoop::AdaptiveLoop(System& system, RunControl& control, Tally& tally, Team& team)
    : tally_(tally),
      turns_(system, control, tally),
      windows_(system, control, tally, team, nullptr) {}

void AdaptiveLoop::Mode::observe(double events, double seconds) {
  if (events <= 0.0 || seconds <= 0.0) return;
  const double now = events / seconds;
  rate = rate == 0.0 ? now : 0.5 * (rate + now);
}

Progress AdaptiveLoop::phase(bool windows, std::uint64_t until, double seconds) {
  const std::uint64_t before = tally_.events;
  const auto begin = Clock::now();
  Progress progress = Progress::finished;
  if (windows) {
    const auto span =
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    progress = windows_.run(until, begin + span);
    if (progress == Progress::limit_hit) limit_ = windows_.limit();
  } else {
    const double rate = turn_mode_.rate == 0.0 ? kFirstRate : turn_mode_.rate;
    const auto budget = static_cast<std::uint64_t>(std::max(rate * seconds, 1.0));
    progress = turns_.run(until, budget);
    if (progress == Progress::limit_hit) limit_ = turns_.limit();
  }
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!windows) tally_.sequential_s += took;
  (windows ? window_mode_ : turn_mode_).observe(static_cast<double>(tally_.events - before), took);
  return progress;
}

Progress AdaptiveLoop::run(std::uint64_t until) {
  bool windows = false;
  int stay = kFirstStay;
  for (;;) {
    for (int i = 0; i < stay; ++i) {
      const Progress progress = phase(windows, until, kPhase);
      if (progress != Progress::budget_spent) return progress;
      if (window_mode_.rate == 0.0) break;  // try windows soon after the start
    }
    const Progress progress = phase(!windows, until, kTrial);
    if (progress != Progress::budget_spent) return progress;
    const double used = (windows ? window_mode_ : turn_mode_).rate;
    const double tried = (windows ? turn_mode_ : window_mode_).rate;
    if (tried > kClearly * used) {
      windows = !windows;
      stay = kFirstStay;
    } else {
      stay = std::min(2 * stay, kLongestStay);
    }
  }
}

}  // namespace foretoken::sim::engine
