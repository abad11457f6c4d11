#include "sim/engine/control.hpp"

#include <sys/resource.h>

namespace foretoken::sim::engine {

namespace {
constexpr auto kProgressEvery = std::chrono::milliseconds(100);
constexpr auto kMemoryEvery = std::chrono::milliseconds(20);
}  // namespace

double resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024.0;
}

RunControl::RunControl(const RunOptions& options)
    : options_(options),
      begin_(std::chrono::steady_clock::now()),
      next_progress_(begin_ + kProgressEvery),
      next_memory_(begin_) {}

double RunControl::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

std::optional<StopReason> RunControl::look(std::uint64_t now_ps) {
  calls_ = 0;
  unchecked_ = 0;
  const auto now = std::chrono::steady_clock::now();
  if (options_.progress && now >= next_progress_) {
    next_progress_ = now + kProgressEvery;
    options_.progress(Time::from_ps(static_cast<std::int64_t>(now_ps)), events_);
  }
  if (options_.wall_limit_s &&
      std::chrono::duration<double>(now - begin_).count() > *options_.wall_limit_s) {
    return StopReason::time_limit;
  }
  if (options_.memory_limit_bytes && now >= next_memory_) {
    next_memory_ = now + kMemoryEvery;
    if (resident_bytes() > *options_.memory_limit_bytes) return StopReason::memory_limit;
  }
  return std::nullopt;
}

}  // namespace foretoken::sim::engine
