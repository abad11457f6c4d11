#include "sim/engine/adaptive.hpp"

#include <algorithm>

namespace foretoken::sim::engine {

namespace {

using Clock = WindowLoop::Clock;

constexpr double kPhase = 4e-3;       // seconds between looks at the clock
constexpr double kTrial = 0.4e-3;     // seconds given to the mode that is not in use
constexpr double kFirstStay = 16e-3;  // before the other mode is tried again, doubling
constexpr double kLongestStay = 64e-3;
constexpr double kStayPerTrial = 16.0;  // a trial takes a window at least, which may be long
constexpr double kClearly = 1.1;        // windows must be so much faster to be worth the threads
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
    progress = windows_.run(until, begin + span, resume_);
    if (progress == Progress::limit_hit) limit_ = windows_.limit();
  } else {
    const double rate = turn_mode_.rate == 0.0 ? kFirstRate : turn_mode_.rate;
    const auto budget = static_cast<std::uint64_t>(std::max(rate * seconds, 1.0));
    progress = turns_.run(until, budget);
    if (progress == Progress::limit_hit) limit_ = turns_.limit();
  }
  resume_ = windows;
  took_ = std::chrono::duration<double>(Clock::now() - begin).count();
  if (!windows) tally_.sequential_s += took_;
  (windows ? window_mode_ : turn_mode_).observe(static_cast<double>(tally_.events - before), took_);
  return progress;
}

// Both modes once. The threads start in the first windows, which therefore do not count.
Progress AdaptiveLoop::first_look(std::uint64_t until) {
  Progress progress = phase(false, until, 2 * kTrial);
  if (progress == Progress::budget_spent) progress = phase(true, until, kTrial);
  window_mode_ = {};
  if (progress == Progress::budget_spent) progress = phase(true, until, kTrial);
  return progress;
}

bool AdaptiveLoop::windows_pay() const { return window_mode_.rate > kClearly * turn_mode_.rate; }

Progress AdaptiveLoop::run(std::uint64_t until) {
  Progress progress = first_look(until);
  bool windows = windows_pay();
  double stay = kFirstStay;
  double trial = took_;
  while (progress == Progress::budget_spent) {
    const double least = std::max(stay, kStayPerTrial * trial);
    double stayed = 0.0;
    while (stayed < least) {
      progress = phase(windows, until, windows ? least - stayed : kPhase);
      if (progress != Progress::budget_spent) return progress;
      stayed += took_;
    }
    progress = phase(!windows, until, kTrial);
    trial = took_;
    stay = windows == windows_pay() ? std::min(2 * stay, kLongestStay) : kFirstStay;
    windows = windows_pay();
  }
  return progress;
}

}  // namespace foretoken::sim::engine
