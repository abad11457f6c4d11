// What closed forms need of a fabric; words for results.
#include <algorithm>
#include <cmath>

#include "models/collective/analytic.hpp"

namespace foretoken::models::collective {

namespace {

Wire server_wire(const ServerShape& server) {
  Wire wire;
  wire.node_gpus = server.gpus;
  wire.scale_up = server.scale_up;
  wire.in_switch_reduction = server.in_switch_reduction;
  wire.scale_up_rate = server.scale_up == ScaleUp::pcie ? 0.0 : server.scale_up_bandwidth.value();
  wire.pcie_rate = server.pcie_bandwidth.value();
  wire.scale_up_latency_s = server.scale_up_latency.seconds();
  wire.nics = server.nics;
  wire.nic_rate = server.nic_bandwidth.value();
  // GPU and NIC are each one link away from their PCIe switch.
  wire.network_latency_s = server.nic_latency.seconds() + 4.0 * server.pcie_latency.seconds();
  return wire;
}

// Nodes below one leaf: the largest set that any two of reach each other over one switch.
int pod_of(const Fabric& fabric) {
  const NetworkShape& network = fabric.network;
  const double o = network.oversubscription;
  const int down = std::max(1, static_cast<int>(std::floor(network.ports * o / (1.0 + o))));
  switch (network.kind) {
    case NetworkKind::none:
    case NetworkKind::single_switch:
      return 0;
    case NetworkKind::rail_optimised:
    case NetworkKind::rail_only:
    case NetworkKind::planes:
      return down;
    case NetworkKind::fat_tree:
      return std::max(1, down / std::max(1, fabric.server.nics));
    case NetworkKind::dragonfly:
      return std::max(1, network.ports / 2 / std::max(1, fabric.server.nics));
    case NetworkKind::torus:
      return 1;
  }
  return 0;
}

}  // namespace

Wire wire_of(const hardware::NodeSpec& node) { return server_wire(server_of(node)); }

Wire wire_of(const Fabric& fabric) {
  Wire wire = server_wire(fabric.server);
  const NetworkShape& network = fabric.network;
  const double share = network.efficiency * (network.roce ? 1.0 - network.roce_penalty : 1.0);
  wire.nic_rate *= share;
  wire.hop_latency_s = network.hop_latency.seconds();
  wire.oversubscription = network.oversubscription;
  wire.pod_nodes = pod_of(fabric);
  return wire;
}

bool reduces_in_switch(const std::string& gpu_architecture) {
  return gpu_architecture == "hopper" || gpu_architecture == "blackwell";
}

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::all_reduce:
      return "all-reduce";
    case Operation::all_gather:
      return "all-gather";
    case Operation::reduce_scatter:
      return "reduce-scatter";
    case Operation::broadcast:
      return "broadcast";
    case Operation::all_to_all:
      return "all-to-all";
    case Operation::send_recv:
      return "send-recv";
  }
  return "?";
}

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::automatic:
      return "automatic";
    case Algorithm::ring:
      return "ring";
    case Algorithm::tree:
      return "tree";
    case Algorithm::nvls:
      return "nvls";
    case Algorithm::one_shot:
      return "one-shot";
    case Algorithm::two_shot:
      return "two-shot";
    case Algorithm::flat:
      return "flat";
    case Algorithm::hierarchical:
      return "hierarchical";
  }
  return "?";
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::ll:
      return "LL";
    case Protocol::ll128:
      return "LL128";
    case Protocol::simple:
      return "Simple";
  }
  return "?";
}

}  // namespace foretoken::models::collective
