// Networks that are trees of switches: single switch, rail-optimised, rail-only, planes, fat tree.
#include <algorithm>
#include <cmath>

#include "models/collective/fabric_parts.hpp"

namespace foretoken::models::collective {

using sim::net::NodeRole;

namespace {

int ceil_div(int a, int b) { return (a + b - 1) / b; }

// Ports of a leaf that look down, at the given oversubscription: down / up = oversubscription.
int ports_down(const NetworkShape& network) {
  const double o = network.oversubscription;
  return std::max(1, static_cast<int>(std::floor(network.ports * o / (1.0 + o))));
}

// Uplinks of a leaf with `down` NICs: enough for their rate over the oversubscription.
int uplinks(const Fabric& fabric, int down) {
  const double up = switch_link(fabric).bandwidth.value();
  const double wanted =
      down * fabric.server.nic_bandwidth.value() / fabric.network.oversubscription / up;
  return std::max(1, static_cast<int>(std::ceil(wanted - 1e-9)));
}

// Switches above `leaves`, each with `up` uplinks, spread so that every leaf reaches every spine.
// More leaves than a spine has ports need a third layer: pods of leaves under aggregates, the
// aggregates of one index joined in turn.
void join_leaves(Fabric& fabric, const std::vector<NodeId>& leaves, int up,
                 const std::string& prefix, int layers) {
  const auto count = static_cast<int>(leaves.size());
  const int ports = fabric.network.ports;
  if (count < 2) return;
  if (layers < 1)
    fail_if({"layout larger than the fabric: " + std::to_string(fabric.servers) + " servers of " +
             std::to_string(fabric.server.nics) + " NICs need more layers of switches with " +
             std::to_string(ports) + " ports than this network has"});
  if (count <= ports) {
    const int spines = ceil_div(count * up, ports);
    std::vector<NodeId> spine;
    for (int s = 0; s < spines; ++s)
      spine.push_back(add_switch(fabric, prefix + "spine" + std::to_string(s)));
    int next = 0;
    for (const NodeId leaf : leaves)
      for (int u = 0; u < up; ++u, ++next)
        fabric.topology.connect(leaf, spine[static_cast<std::size_t>(next % spines)],
                                switch_link(fabric));
    return;
  }
  const int pod_leaves = ports / 2;
  const int pods = ceil_div(count, pod_leaves);
  std::vector<std::vector<NodeId>> aggregates(static_cast<std::size_t>(up));  // by index, by pod
  for (int p = 0; p < pods; ++p)
    for (int a = 0; a < up; ++a) {
      const NodeId node =
          add_switch(fabric, prefix + "pod" + std::to_string(p) + ".agg" + std::to_string(a));
      aggregates[static_cast<std::size_t>(a)].push_back(node);
      for (int l = p * pod_leaves; l < std::min(count, (p + 1) * pod_leaves); ++l)
        fabric.topology.connect(leaves[static_cast<std::size_t>(l)], node, switch_link(fabric));
    }
  for (int a = 0; a < up; ++a)
    join_leaves(fabric, aggregates[static_cast<std::size_t>(a)], ports - pod_leaves,
                prefix + "core" + std::to_string(a) + ".", layers - 1);
}

void join_single_switch(Parts& parts) {
  const NodeId node = add_switch(parts.fabric, "switch");
  for (const auto& nics : parts.nics)
    for (const NodeId nic : nics) parts.fabric.topology.connect(nic, node, nic_link(parts.fabric));
}

// Leaf of pod p and rail r takes NIC r of the pod's servers.
std::vector<NodeId> rail_leaves(Parts& parts, int rail, int& most) {
  Fabric& fabric = parts.fabric;
  const int down = ports_down(fabric.network);
  std::vector<NodeId> leaves;
  for (int s = 0; s < fabric.servers; ++s) {
    if (s % down == 0)
      leaves.push_back(add_switch(
          fabric, "rail" + std::to_string(rail) + ".leaf" + std::to_string(s / down), rail));
    fabric.topology.connect(parts.nics[static_cast<std::size_t>(s)][static_cast<std::size_t>(rail)],
                            leaves.back(), nic_link(fabric));
  }
  most = std::min(down, fabric.servers);
  return leaves;
}

void join_rails(Parts& parts) {
  Fabric& fabric = parts.fabric;
  const NetworkKind kind = fabric.network.kind;
  std::vector<NodeId> all;
  int most = 0;
  for (int r = 0; r < fabric.server.nics; ++r) {
    const std::vector<NodeId> leaves = rail_leaves(parts, r, most);
    if (kind == NetworkKind::rail_optimised) {
      all.insert(all.end(), leaves.begin(), leaves.end());
    } else {
      const std::string name = kind == NetworkKind::planes ? "plane" : "rail";
      join_leaves(fabric, leaves, uplinks(fabric, most), name + std::to_string(r) + ".",
                  kind == NetworkKind::planes ? 1 : 2);
    }
  }
  join_leaves(fabric, all, all.empty() ? 0 : uplinks(fabric, most), "", 2);
}

void join_fat_tree(Parts& parts) {
  Fabric& fabric = parts.fabric;
  const int per_leaf = ports_down(fabric.network) / fabric.server.nics;
  if (per_leaf < 1)
    fail_if({"a leaf of " + std::to_string(fabric.network.ports) + " ports has too few for the " +
             std::to_string(fabric.server.nics) + " NICs of one server; more ports are needed"});
  std::vector<NodeId> leaves;
  for (int s = 0; s < fabric.servers; ++s) {
    if (s % per_leaf == 0)
      leaves.push_back(add_switch(fabric, "leaf" + std::to_string(s / per_leaf)));
    for (const NodeId nic : parts.nics[static_cast<std::size_t>(s)])
      fabric.topology.connect(nic, leaves.back(), nic_link(fabric));
  }
  join_leaves(fabric, leaves,
              uplinks(fabric, std::min(per_leaf, fabric.servers) * fabric.server.nics), "", 2);
}

// The storage network is one of its own, not modelled inside: one link for each host, one for each
// storage node.
void join_storage(Parts& parts) {
  Fabric& fabric = parts.fabric;
  if (fabric.network.storage_nodes < 1 || fabric.hosts.empty()) return;
  NetLink link = nic_link(fabric);
  if (fabric.network.storage_bandwidth.value() > 0)
    link.bandwidth = fabric.network.storage_bandwidth;
  const NodeId middle =
      fabric.topology.add_node({NodeRole::switching, "storage-network", 0, -1, -1});
  for (int s = 0; s < fabric.servers; ++s) {
    const std::string prefix = "node" + std::to_string(s) + ".";
    const NodeId nic =
        fabric.topology.add_node({NodeRole::adapter, prefix + "storage-nic", 0, s, -1});
    NetLink lane = link;
    lane.latency = fabric.server.pcie_latency;
    fabric.topology.connect(nic, fabric.topology.find(prefix + "pcie"), lane);
    fabric.topology.connect(nic, middle, link);
  }
  for (int n = 0; n < fabric.network.storage_nodes; ++n) {
    const NodeId node =
        fabric.topology.add_node({NodeRole::endpoint, "storage" + std::to_string(n), 0, -1, -1});
    fabric.topology.connect(node, middle, link);
    fabric.storage.push_back(node);
  }
}

}  // namespace

NetLink switch_link(const Fabric& fabric) {
  const NetworkShape& network = fabric.network;
  NetLink link;
  link.bandwidth = network.bandwidth.value() > 0 ? network.bandwidth : fabric.server.nic_bandwidth;
  link.latency = Duration::picoseconds(network.hop_latency.ps() / 2);  // a hop is in and out
  link.efficiency = network.efficiency * (network.roce ? 1.0 - network.roce_penalty : 1.0);
  return link;
}

NetLink nic_link(const Fabric& fabric) {
  NetLink link = switch_link(fabric);
  link.bandwidth = fabric.server.nic_bandwidth;
  link.latency = Duration::picoseconds(fabric.server.nic_latency.ps() / 2);
  link.half_bytes = fabric.network.half_bytes;
  return link;
}

NodeId add_switch(Fabric& fabric, const std::string& name, int rail) {
  return fabric.topology.add_node({NodeRole::switching, name, fabric.network.ports, -1, rail});
}

void join_servers(Parts& parts) {
  switch (parts.fabric.network.kind) {
    case NetworkKind::none:
      return;
    case NetworkKind::single_switch:
      join_single_switch(parts);
      break;
    case NetworkKind::rail_optimised:
    case NetworkKind::rail_only:
    case NetworkKind::planes:
      join_rails(parts);
      break;
    case NetworkKind::fat_tree:
      join_fat_tree(parts);
      break;
    case NetworkKind::dragonfly:
      join_dragonfly(parts);
      break;
    case NetworkKind::torus:
      join_torus(parts);
      break;
  }
  join_storage(parts);
}

}  // namespace foretoken::models::collective
