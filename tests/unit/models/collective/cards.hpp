#pragma once
// Servers of round figures for the tests of models/collective.
#include "models/collective/fabric.hpp"

namespace foretoken::models::collective::tests {

// Eight GPUs on a switch of 400 GB/s each, eight NICs of 50 GB/s; 1 us a step inside, 5 us and four
// PCIe links of 0.5 us between nodes: 7 us.
inline ServerShape eight_gpus() {
  ServerShape server;
  server.name = "eight";
  server.gpus = 8;
  server.scale_up = ScaleUp::nvswitch;
  server.scale_up_bandwidth = BytesPerSecond(400e9);
  server.scale_up_latency = Duration::from_seconds(1e-6);
  server.pcie_bandwidth = BytesPerSecond(64e9);
  server.pcie_latency = Duration::from_seconds(0.5e-6);
  server.nics = 8;
  server.nic_bandwidth = BytesPerSecond(50e9);
  server.nic_latency = Duration::from_seconds(5e-6);
  return server;
}

inline NetworkShape network_of(NetworkKind kind, int ports = 64) {
  NetworkShape network;
  network.kind = kind;
  network.ports = ports;
  return network;
}

}  // namespace foretoken::models::collective::tests
