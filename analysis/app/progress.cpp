#include "analysis/app/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace foretoken::analysis::app {

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

std::string clock_text(double seconds) {
  const auto total = static_cast<long long>(seconds);
  const long long hours = total / 3600, minutes = total / 60 % 60, rest = total % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                   : fmt::format("{:02}:{:02}", minutes, rest);
}

ProgressLine::ProgressLine(Progress kind, double expected_end_s)
    : kind_(kind), expected_end_s_(expected_end_s) {
  if (kind_ == Progress::line && !stderr_is_terminal()) kind_ = Progress::none;
}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

std::function<void(sim::core::Time, std::uint64_t)> ProgressLine::callback() {
  if (kind_ == Progress::none) return {};
  if (kind_ == Progress::json)
    return [this](sim::core::Time now, std::uint64_t events) { tell(now, events); };
  return [this](sim::core::Time now, std::uint64_t events) { draw(now, events); };
}

void ProgressLine::tell(sim::core::Time now, std::uint64_t events) {
  const double share =
      expected_end_s_ > 0 ? std::clamp(now.seconds() / expected_end_s_, 0.0, 1.0) : -1.0;
  fmt::print(stderr, "{{\"progress\":{{\"simulated_s\":{:.3f},\"events\":{},\"share\":{}}}}}\n",
             now.seconds(), events, share >= 0 ? fmt::format("{:.4f}", share) : "null");
  std::fflush(stderr);
}

void ProgressLine::draw(sim::core::Time now, std::uint64_t events) {
  constexpr int kBar = 24;
  const double wall_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = wall_s > 0 ? static_cast<double>(events) / wall_s : 0.0;
  std::string line;
  if (expected_end_s_ > 0) {
    const double share = std::clamp(now.seconds() / expected_end_s_, 0.0, 1.0);
    const int full = static_cast<int>(std::lround(share * kBar));
    const double left_s = share > 0 ? wall_s * (1 - share) / share : 0.0;
    line = fmt::format("[{:=<{}}{:<{}}] {:3.0f} %  sim {}/{}  {:.2f} M events/s  {} left", "", full,
                       "", kBar - full, 100 * share, clock_text(now.seconds()),
                       clock_text(expected_end_s_), rate * 1e-6, clock_text(left_s));
  } else {
    line = fmt::format("sim {}  {:.2f} M events/s", clock_text(now.seconds()), rate * 1e-6);
  }
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace foretoken::analysis::app
