#pragma once
// Servers joined into a fabric: from what the cards say to a graph whose links traffic shares.
#include <array>
#include <string>
#include <vector>

#include "models/hardware/hardware.hpp"
#include "sim/net/topology.hpp"

namespace foretoken::models::collective {

using sim::core::BytesPerSecond;
using sim::core::Duration;
using sim::net::LinkId;
using sim::net::NodeId;

// Inside a server, GPU to GPU.
enum class ScaleUp {
  pcie,          // through PCIe switches and the host
  nvlink_pairs,  // GPUs 2i and 2i+1 joined, the rest through PCIe
  nvswitch       // every GPU on one switch plane (HGX, DGX, NVL72)
};

// One server. Figures are one direction; latencies are of one link.
struct ServerShape {
  std::string name;
  int gpus = 8;
  ScaleUp scale_up = ScaleUp::nvswitch;
  bool in_switch_reduction = false;   // the NVSwitch adds (NVLS: Hopper and later)
  BytesPerSecond scale_up_bandwidth;  // per GPU
  Duration scale_up_latency;          // GPU to GPU, software of a ring step included
  BytesPerSecond pcie_bandwidth;      // per GPU
  Duration pcie_latency;              // GPU or NIC to its PCIe switch
  int nics = 0;                       // GPU g uses NIC g * nics / gpus
  BytesPerSecond nic_bandwidth;       // each
  Duration nic_latency;               // NIC to NIC over one switch, library included
};

enum class NetworkKind {
  none,            // one server, or servers that nothing joins
  single_switch,   // every NIC on one switch
  rail_optimised,  // NIC r of a pod's servers on leaf r of the pod; spines join all leaves
  rail_only,       // NIC r of every server in one network of its own; no path between rails
  planes,          // as rail_only, each rail a fat tree of two layers (DeepSeek's multi-plane)
  fat_tree,        // all NICs of a server on the leaf of its rack
  dragonfly,       // dragonfly+: groups of leaves and spines, every two groups joined by spines
  torus            // servers' own routers in a 3D torus
};

struct NetworkShape {
  NetworkKind kind = NetworkKind::none;
  int ports = 64;                 // of each switch
  double oversubscription = 1.0;  // leaf: bandwidth down over bandwidth up
  BytesPerSecond bandwidth;       // of links between switches; 0 = the NIC's
  Duration hop_latency = Duration::picoseconds(600'000);  // one more switch and its cables
  double efficiency = 1.0;  // share of the raw rate that payload has (headers, encoding)
  double half_bytes = 0.0;  // message that gets half of that; see sim::net::NetLink
  bool roce = false;
  double roce_penalty = 0.0;  // share of the rate that RoCE loses (PFC pauses, DCQCN)
  std::array<int, 3> torus{0, 0, 0};
  int dragonfly_groups = 0;          // 0 = as few as the servers need
  int storage_nodes = 0;             // endpoints named storage0, ... beside the servers' network
  BytesPerSecond storage_bandwidth;  // each; 0 = the NIC's
};

struct Fabric {
  sim::net::Topology topology;
  ServerShape server;
  NetworkShape network;
  int servers = 0;
  std::vector<NodeId> gpus;   // server by server
  std::vector<NodeId> hosts;  // CPU memory of each server
  std::vector<NodeId> storage;
  [[nodiscard]] NodeId gpu(int at_server, int index) const {
    return gpus[static_cast<std::size_t>(at_server * server.gpus + index)];
  }
  // Rank in `gpus` of a node; -1 for anything else.
  [[nodiscard]] int rank_of(NodeId node) const;
};

ServerShape server_of(const hardware::NodeSpec& node);
// `gpu_architecture`: a GPU card's word, e.g. hopper.
bool reduces_in_switch(const std::string& gpu_architecture);

// Throws InputError listing every rule that the shapes break: a switch with too few ports, more
// servers than the network can join, rails that no NIC serves, a torus of another size.
Fabric build_fabric(const ServerShape& server, int servers, const NetworkShape& network);

}  // namespace foretoken::models::collective
