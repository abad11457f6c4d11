#include "models/power/gpu_power.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::models::power {

using hardware::Watts;

// P = idle + b * min(ceiling * tdp - idle,
//                    (tdp - idle) * (busy + tensor * t/b + memory * m/b + link * l/b))
// with b the busy share and t/b, m/b, l/b the activity while busy. Watts. Linear activity models
// hold at fixed clocks; throttling appears as the ceiling (SXM boards regulate to the limit within
// a few per cent, ML.ENERGY leaderboard).
Watts gpu_power(const hardware::GpuSpec& gpu, const PowerModel& model, const Activity& activity,
                double busy_share) {
  SIM_ASSERT(busy_share >= 0.0 && busy_share <= 1.0 + 1e-9, "busy share of a GPU outside 0..1");
  SIM_ASSERT(activity.tensor >= 0.0 && activity.memory >= 0.0 && activity.link >= 0.0,
             "negative activity of a GPU");
  if (busy_share <= 0.0) return gpu.idle;
  const double busy = std::min(busy_share, 1.0);
  const auto while_busy = [busy](double share) { return std::min(share / busy, 1.0); };
  const double dynamic_watts =
      (gpu.tdp - gpu.idle).value() *
      (model.busy + model.tensor * while_busy(activity.tensor) +
       model.memory * while_busy(activity.memory) + model.link * while_busy(activity.link));
  double limit = gpu.tdp.value() * model.ceiling;
  if (gpu.power_limit.value() > 0.0) limit = std::min(limit, gpu.power_limit.value());
  const double limit_watts = std::max(0.0, limit - gpu.idle.value());
  return gpu.idle + Watts(busy * std::min(dynamic_watts, limit_watts));
}

}  // namespace foretoken::models::power
