#pragma once
// Time to bring a model from storage into the memory that computes with it.
#include <string>
#include <vector>

#include "models/hardware/hardware.hpp"

namespace foretoken::models::hardware {

// Share of a PCIe link's rate left for data: 256-byte payloads under 28 bytes of header and check
// (0.90), less flow control. nvbandwidth shows 55 of 64 GB/s on H100 and 26 of 31.5 on A100.
inline constexpr double kPcieEfficiency = 0.86;

struct LoadStage {
  std::string name;      // storage 980-pro, network, pcie
  double rate = 0.0;     // bytes/s through the whole stage, of one node
  double seconds = 0.0;  // the bytes at that rate
};

struct LoadTime {
  std::vector<LoadStage> stages;  // in the order that the bytes pass them
  double seconds = 0.0;           // stages work side by side: the slowest, and the first access
  std::string bottleneck;         // name of that stage
};

// `bytes` distinct bytes read by each of `nodes` nodes, of which each GPU receives
// `bytes_per_gpu`. The nodes share one networked store; each has its own local one. Weights are
// read once a node and copied to `gpus` GPUs at the same time, each over its own PCIe slot; a node
// that computes on its CPUs has no such copy. Checkpoints are read in large blocks, front to back,
// so that sequential rates hold.
LoadTime load_time(const NodeSpec& node, const StorageSpec& storage, Bytes bytes,
                   Bytes bytes_per_gpu, int nodes = 1);

}  // namespace foretoken::models::hardware
