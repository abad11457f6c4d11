#include "models/power/power_cap.hpp"

#include <algorithm>
#include <cmath>

namespace foretoken::models::power {
namespace {

// Cores do not clock below this share of their boost (H100: 345 of 1,980 MHz under nvidia-smi -lgc;
// power regulation stops near a quarter).
constexpr double kLeastClock = 0.25;

struct At {
  double watts, stretch;
};

// Cores at clock f of full: time stretches by s = (1 - m) / f + m, with m the share of time that
// memory sets the pace; work a second falls by s. Switching energy goes with f^(k-1) an operation
// and f^k a second for what runs all the time; memory and links cost the same an operation.
At at_clock(const hardware::GpuSpec& gpu, const PowerModel& model, const Activity& a, double f) {
  const double memory = std::min(1.0, a.memory);
  const double stretch = (1.0 - memory) / f + memory;
  const double k = model.clock_exponent;
  const double share =
      model.busy * std::pow(f, k) + (model.tensor * std::min(1.0, a.tensor) * std::pow(f, k - 1.0) +
                                     model.memory * memory + model.link * std::min(1.0, a.link)) /
                                        stretch;
  return {gpu.idle.value() + (gpu.tdp - gpu.idle).value() * share, stretch};
}

}  // namespace

CapEffect under_cap(const hardware::GpuSpec& gpu, const PowerModel& model, const Activity& activity,
                    hardware::Watts cap) {
  // What the board itself would regulate to is not this cap's doing.
  const double own_limit = gpu.tdp.value() * model.ceiling;
  const At full = at_clock(gpu, model, activity, 1.0);
  if (full.watts <= cap.value())
    return {1.0, 1.0, hardware::Watts(std::min(full.watts, own_limit)), true};
  const At least = at_clock(gpu, model, activity, kLeastClock);
  if (least.watts > cap.value())
    return {kLeastClock, least.stretch, hardware::Watts(least.watts), false};
  double low = kLeastClock, high = 1.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (at_clock(gpu, model, activity, middle).watts > cap.value() ? high : low) = middle;
  }
  const At found = at_clock(gpu, model, activity, low);
  return {low, found.stretch, hardware::Watts(found.watts), true};
}

}  // namespace foretoken::models::power
