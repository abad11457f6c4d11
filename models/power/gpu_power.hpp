#pragma once
// GPU power = idle + tensor + memory + link activity, clipped by the board limit.
#include "models/hardware/hardware.hpp"

namespace foretoken::models::power {

// Busy shares of one GPU over some span, each 0..1: arithmetic relative to the dense peak of the
// format in use, memory traffic relative to bandwidth, link traffic relative to the scale-up links.
struct Activity {
  double tensor = 0.0;
  double memory = 0.0;
  double link = 0.0;
};

// Coefficients as shares of (tdp - idle); from the card `power` block or scenarios/hardware.
struct PowerModel {
  double tensor = 0.0;
  double memory = 0.0;
  double link = 0.0;
  double busy = 0.0;   // any kernel running at all
};

hardware::Watts gpu_power(const hardware::GpuSpec& gpu, const PowerModel& model,
                          const Activity& activity, double busy_share);

}  // namespace foretoken::models::power
