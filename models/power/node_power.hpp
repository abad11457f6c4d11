#pragma once
// Watts of a node with everything in it, of its part of the rack, and at the meter.
#include <string>
#include <utility>
#include <vector>

#include "models/hardware/hardware.hpp"

namespace foretoken::models::power {

struct NodeWatts {
  double gpus = 0.0;  // all of them
  // CPU, DRAM, NICs, switches, fans as the card takes the host apart; else one part, "host".
  std::vector<std::pair<std::string, double>> host;
  double psu_loss = 0.0;
  double wall = 0.0;      // AC, of the node
  double rack = 0.0;      // wall and the node's share of switches outside
  double facility = 0.0;  // at the meter: rack x PUE
};

// `gpu_watts`: mean of one GPU. The host goes from idle to load with the share of time that its
// GPUs are busy. PUE: facility over IT power, 1.05-1.2 with liquid and 1.3-1.6 with air.
NodeWatts node_power(const hardware::NodeSpec& node, double gpu_watts, double busy_share,
                     double pue);

}  // namespace foretoken::models::power
