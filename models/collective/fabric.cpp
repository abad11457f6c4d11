#include "models/collective/fabric.hpp"

#include <algorithm>
#include <cmath>

#include "models/collective/fabric_parts.hpp"
#include "sim/core/error.hpp"

namespace foretoken::models::collective {

using sim::net::NodeRole;

namespace {

// PCIe is the last resort between GPUs: a route takes any direct link before it. GPU to NIC is
// two PCIe links, whatever their cost, since there is no other way.
constexpr int kPcieCost = 4;

ScaleUp scale_up_of(const std::string& word) {
  // A full mesh gives a GPU as much to all its peers together as a switch does.
  if (word == "nvswitch" || word == "mesh") return ScaleUp::nvswitch;
  if (word == "nvlink-pairs") return ScaleUp::nvlink_pairs;
  return ScaleUp::pcie;
}

NetLink link(BytesPerSecond bandwidth, Duration latency, int cost = 1) {
  NetLink made;
  made.bandwidth = bandwidth;
  made.latency = latency;
  made.cost = cost;
  return made;
}

Duration half(Duration d) { return Duration::picoseconds(d.ps() / 2); }

// GPUs, what joins them, PCIe and the host. Every NIC hangs on the PCIe switch of its GPUs.
void add_server(Parts& parts, int s) {
  Fabric& fabric = parts.fabric;
  auto& graph = fabric.topology;
  const ServerShape& shape = fabric.server;
  const std::string prefix = "node" + std::to_string(s) + ".";
  const auto add = [&](NodeRole role, const std::string& name, int rail) {
    return graph.add_node({role, prefix + name, 0, s, rail});
  };
  std::vector<NodeId> gpus;
  for (int g = 0; g < shape.gpus; ++g) {
    const int rail = shape.nics > 0 ? g * shape.nics / shape.gpus : -1;
    gpus.push_back(add(NodeRole::endpoint, "gpu" + std::to_string(g), rail));
  }
  fabric.gpus.insert(fabric.gpus.end(), gpus.begin(), gpus.end());
  if (shape.scale_up == ScaleUp::nvswitch && shape.gpus > 1) {
    const NodeId plane = add(NodeRole::switching, "nvswitch", -1);
    for (const NodeId gpu : gpus)
      graph.connect(gpu, plane, link(shape.scale_up_bandwidth, half(shape.scale_up_latency)));
  }
  if (shape.scale_up == ScaleUp::nvlink_pairs)
    for (std::size_t g = 0; g + 1 < gpus.size(); g += 2)
      graph.connect(gpus[g], gpus[g + 1], link(shape.scale_up_bandwidth, shape.scale_up_latency));

  if (!(shape.pcie_bandwidth.value() > 0.0)) return;
  const NodeId host = add(NodeRole::endpoint, "host", -1);
  fabric.hosts.push_back(host);
  const NetLink pcie = link(shape.pcie_bandwidth, shape.pcie_latency, kPcieCost);
  const NodeId root = add(NodeRole::switching, "pcie", -1);
  const int switches = shape.nics > 0 ? shape.nics : 1;
  // Memory of the host is behind as many PCIe lanes as there are switches.
  graph.connect(host, root, link(shape.pcie_bandwidth * switches, shape.pcie_latency, kPcieCost));
  parts.nics.emplace_back();
  for (int n = 0; n < switches; ++n) {
    NodeId at = root;
    if (shape.nics > 0) {
      at = add(NodeRole::switching, "pcie" + std::to_string(n), n);
      graph.connect(at, root, pcie);
      const NodeId nic = add(NodeRole::adapter, "nic" + std::to_string(n), n);
      const BytesPerSecond rate = std::max(shape.nic_bandwidth, shape.pcie_bandwidth);
      graph.connect(nic, at, link(rate, shape.pcie_latency, kPcieCost));
      parts.nics.back().push_back(nic);
    }
    for (int g = 0; g < shape.gpus; ++g)
      if (shape.nics == 0 || g * shape.nics / shape.gpus == n)
        graph.connect(gpus[static_cast<std::size_t>(g)], at,
                      link(shape.nics > 0 ? std::max(shape.nic_bandwidth, shape.pcie_bandwidth)
                                          : shape.pcie_bandwidth,
                           shape.pcie_latency, kPcieCost));
  }
}

void check(const ServerShape& server, int servers, const NetworkShape& network) {
  std::vector<std::string> wrong;
  if (servers < 1) wrong.push_back("a fabric needs at least one server");
  if (server.gpus < 1) wrong.push_back("a server of the fabric needs at least one GPU");
  if (server.scale_up != ScaleUp::pcie && server.gpus > 1 &&
      !(server.scale_up_bandwidth.value() > 0))
    wrong.push_back(server.name + " joins its GPUs by NVLink but gives them no NVLink bandwidth");
  if (server.scale_up == ScaleUp::pcie && server.gpus > 1 && !(server.pcie_bandwidth.value() > 0))
    wrong.push_back(server.name + " joins its GPUs by PCIe but gives no PCIe bandwidth");
  if (network.kind == NetworkKind::none && servers > 1)
    wrong.push_back(std::to_string(servers) + " servers need a network that joins them");
  if (network.kind != NetworkKind::none) {
    if (server.nics < 1) wrong.push_back(server.name + " has no NIC to join a network with");
    if (server.nics > 0 && !(server.nic_bandwidth.value() > 0))
      wrong.push_back("the NICs of " + server.name + " have no bandwidth; give a positive one");
    if (!(server.pcie_bandwidth.value() > 0))
      wrong.push_back(server.name + " gives no PCIe bandwidth for its NICs");
    if (server.nics > server.gpus)
      wrong.push_back("rail mismatch: " + server.name + " has " + std::to_string(server.nics) +
                      " NICs but " + std::to_string(server.gpus) +
                      " GPUs; a rail needs a GPU of its own");
    if (server.nics > 0 && server.gpus % server.nics != 0)
      wrong.push_back("rail mismatch: " + std::to_string(server.gpus) + " GPUs of " + server.name +
                      " do not divide over " + std::to_string(server.nics) + " NICs");
    if (network.ports < 2) wrong.push_back("a switch needs at least two ports");
    if (!(network.oversubscription >= 1.0))
      wrong.push_back("oversubscription is bandwidth down over bandwidth up, 1 or more");
    if (!(network.efficiency > 0.0 && network.efficiency <= 1.0))
      wrong.push_back("the network's efficiency must be above 0 and at most 1");
    if (network.roce_penalty < 0.0 || network.roce_penalty >= 1.0)
      wrong.push_back("the RoCE penalty is a share of the rate, from 0 to below 1");
  }
  fail_if(wrong);
}

}  // namespace

void fail_if(const std::vector<std::string>& wrong) {
  if (wrong.empty()) return;
  std::vector<sim::core::Diagnostic> found;
  for (const std::string& message : wrong) {
    sim::core::Diagnostic diagnostic;
    diagnostic.message = message;
    found.push_back(diagnostic);
  }
  throw sim::core::InputError(std::move(found));
}

int Fabric::rank_of(NodeId node) const {
  const auto at = std::find(gpus.begin(), gpus.end(), node);
  return at != gpus.end() ? static_cast<int>(at - gpus.begin()) : -1;
}

ServerShape server_of(const hardware::NodeSpec& node) {
  ServerShape server;
  server.name = node.name;
  server.gpus = node.gpus;
  server.scale_up = scale_up_of(node.scale_up);
  server.scale_up_bandwidth = node.gpu.scale_up_bandwidth;
  if (!(server.scale_up_bandwidth.value() > 0.0)) server.scale_up = ScaleUp::pcie;
  server.scale_up_latency = Duration::from_seconds(node.scale_up_latency_s);
  server.in_switch_reduction =
      server.scale_up == ScaleUp::nvswitch && reduces_in_switch(node.gpu.architecture);
  server.pcie_bandwidth = node.gpu.pcie_bandwidth;
  // One transfer between GPUs over PCIe crosses the two links of a switch or the four of a root.
  server.pcie_latency = Duration::from_seconds(
      server.scale_up == ScaleUp::pcie ? node.scale_up_latency_s / 2 : 0.5e-6);
  server.nics = node.nics;
  server.nic_bandwidth = node.nic_bandwidth;
  server.nic_latency = Duration::from_seconds(node.nic_latency_s);
  return server;
}

Fabric build_fabric(const ServerShape& server, int servers, const NetworkShape& network) {
  check(server, servers, network);
  Fabric fabric;
  fabric.server = server;
  fabric.network = network;
  fabric.servers = servers;
  Parts parts{fabric, {}};
  for (int s = 0; s < servers; ++s) add_server(parts, s);
  if (network.kind != NetworkKind::none) join_servers(parts);
  fail_if(fabric.topology.problems());
  return fabric;
}

}  // namespace foretoken::models::collective
