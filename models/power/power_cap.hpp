#pragma once
// What a power cap costs in speed: the operator's, or the board's own limit.
#include "models/power/gpu_power.hpp"

namespace foretoken::models::power {

struct CapEffect {
  double clock = 1.0;     // of the cores, relative to uncapped
  double stretch = 1.0;   // time of the work over that uncapped, at least 1
  hardware::Watts watts;  // while busy
  bool reached = true;    // false: even the lowest clock draws more
};

// `activity` while busy, at full clocks. Memory keeps its clock: the share of time in which memory
// sets the pace does not stretch.
CapEffect under_cap(const hardware::GpuSpec& gpu, const PowerModel& model, const Activity& activity,
                    hardware::Watts cap);

}  // namespace foretoken::models::power
