#pragma once
// GPU power = idle + tensor + memory + link activity, clipped by the board limit.
#include "models/hardware/hardware.hpp"
#include "sim/core/provenance.hpp"

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
  double busy = 0.0;     // any kernel running at all
  double ceiling = 1.0;  // share of tdp that the power regulator holds on average
  // Watts above idle go with the clock to this power: 1 for the clock itself and 2 for a voltage
  // that follows it would be 3; boards near the floor of their voltage show less.
  double clock_exponent = 2.0;
  // How far the coefficients can be trusted, and the mean absolute error found with models left
  // out.
  sim::core::Provenance provenance = sim::core::Provenance::assumed;
  double relative_error = 0.0;
};

// Mean watts of one GPU over a span of which `busy_share` has a kernel running; `activity` is over
// the whole span. The limit acts while the GPU is busy, not on the average with idle time.
hardware::Watts gpu_power(const hardware::GpuSpec& gpu, const PowerModel& model,
                          const Activity& activity, double busy_share);

}  // namespace foretoken::models::power
