#pragma once
// What `nvidia-smi topo -m` prints, as the graph of one server.
#include <string>
#include <vector>

#include "models/collective/fabric_graph.hpp"
#include "models/hardware/hardware.hpp"

namespace foretoken::scenarios::loader {

struct MatrixFigures {
  models::hardware::GpuSpec gpu;                   // NVLink and PCIe rates
  models::hardware::BytesPerSecond nic_bandwidth;  // 0: NICs of the matrix are left out
  // Between the two sockets (SYS), one direction.
  models::hardware::BytesPerSecond socket_bandwidth;
  sim::core::Duration link_latency;
};

struct MatrixGraph {
  std::vector<models::collective::GraphNode> nodes;
  std::vector<models::collective::GraphLink> links;
};

// GPUs joined by NV# directly, or through a switch plane where the links of the matrix are more
// than a GPU has; PIX and PXB by one PCIe switch, PHB and NODE by the root of a socket, SYS between
// sockets. Throws InputError with `name`:line for a matrix that is not square, not symmetric, or
// holds a word that is none of nvidia-smi's.
MatrixGraph read_topology_matrix(const std::string& text, const std::string& name,
                                 const MatrixFigures& figures);

}  // namespace foretoken::scenarios::loader
