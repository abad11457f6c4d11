#include "models/collective/fabric_graph.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "models/collective/fabric_parts.hpp"
#include "sim/core/error.hpp"
#include "sim/net/router.hpp"

namespace foretoken::models::collective {

using sim::net::NodeRole;

namespace {

NodeRole role_of(GraphRole role) {
  switch (role) {
    case GraphRole::gpu:
    case GraphRole::host:
    case GraphRole::storage:
      return NodeRole::endpoint;
    case GraphRole::nic:
      return NodeRole::adapter;
    case GraphRole::switching:
      return NodeRole::switching;
  }
  return NodeRole::endpoint;
}

struct Between {
  BytesPerSecond rate;
  Duration latency;
};

// What a path between two nodes gives; nothing where there is none.
std::optional<Between> between(const Fabric& fabric, NodeId a, NodeId b) {
  sim::net::Router router(fabric.topology);
  std::vector<LinkId> path;
  try {
    router.route(a, b, sim::net::RoutePolicy::first, 0, path);
  } catch (const sim::core::InputError&) {
    return std::nullopt;
  }
  double rate = std::numeric_limits<double>::infinity();
  for (const LinkId link : path)
    rate = std::min(rate, fabric.topology.link(link).payload_bytes_per_s());
  return Between{BytesPerSecond(rate), router.latency(path)};
}

void read_shape(Fabric& fabric, const std::map<int, std::vector<NodeId>>& servers) {
  ServerShape& shape = fabric.server;
  shape.name = "graph";
  const std::vector<NodeId>& first = servers.begin()->second;
  shape.gpus = static_cast<int>(first.size());
  shape.nics = 0;
  shape.scale_up = ScaleUp::nvswitch;
  for (const auto& [index, gpus] : servers)
    if (gpus.size() != first.size())
      fail_if({"server " + std::to_string(index) + " has " + std::to_string(gpus.size()) +
               " GPUs where another has " + std::to_string(first.size())});
  if (first.size() > 1)
    if (const auto inside = between(fabric, first[0], first[1])) {
      shape.scale_up_bandwidth = inside->rate;
      shape.scale_up_latency = inside->latency;
    }
  if (servers.size() < 2) return;
  if (const auto outside = between(fabric, first[0], std::next(servers.begin())->second[0])) {
    shape.nics = shape.gpus;
    shape.nic_bandwidth = outside->rate;
    shape.nic_latency = outside->latency;
    fabric.network.kind = NetworkKind::single_switch;
  }
}

}  // namespace

Fabric graph_fabric(const std::vector<GraphNode>& nodes, const std::vector<GraphLink>& links) {
  Fabric fabric;
  std::vector<NodeId> ids;
  std::map<int, std::vector<NodeId>> servers;
  int alone = std::numeric_limits<int>::max() / 2;  // GPUs without a server are one of their own
  for (const GraphNode& node : nodes) {
    ids.push_back(fabric.topology.add_node(
        {role_of(node.role), node.name, node.ports, node.server, node.rail}));
    if (node.role == GraphRole::gpu)
      servers[node.server >= 0 ? node.server : alone++].push_back(ids.back());
    if (node.role == GraphRole::host) fabric.hosts.push_back(ids.back());
    if (node.role == GraphRole::storage) fabric.storage.push_back(ids.back());
  }
  for (const GraphLink& link : links)
    for (int i = 0; i < link.count; ++i)
      fabric.topology.connect(ids[link.a], ids[link.b], link.like);
  fail_if(fabric.topology.problems());
  if (servers.empty()) fail_if({"the graph has no GPU"});
  for (const auto& [index, gpus] : servers)
    fabric.gpus.insert(fabric.gpus.end(), gpus.begin(), gpus.end());
  fabric.servers = static_cast<int>(servers.size());
  read_shape(fabric, servers);
  return fabric;
}

}  // namespace foretoken::models::collective
