#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "sim/core/time.hpp"

namespace foretoken::analysis::app {

enum class Progress {
  none,
  line,  // one line on stderr that is redrawn, only where stderr is a terminal
  json,  // {"progress": {...}} a line on stderr, for programs
};

class ProgressLine {
 public:
  // `expected_end_s`: simulated seconds until the last arrival; 0 = unknown.
  ProgressLine(Progress kind, double expected_end_s);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // Empty when there is nothing to draw.
  [[nodiscard]] std::function<void(sim::core::Time, std::uint64_t)> callback();

 private:
  void draw(sim::core::Time now, std::uint64_t events);
  void tell(sim::core::Time now, std::uint64_t events);
  Progress kind_ = Progress::none;
  bool drawn_ = false;
  double expected_end_s_ = 0.0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

bool stderr_is_terminal();
// "37:12" or "1:02:07".
std::string clock_text(double seconds);

}  // namespace foretoken::analysis::app
