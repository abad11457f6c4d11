#include "sim/net/topology.hpp"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/connected_components.hpp>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

NodeId Topology::add_node(NetNode node) {
  nodes_.push_back(std::move(node));
  out_.emplace_back();
  in_.emplace_back();
  return NodeId{static_cast<std::uint32_t>(nodes_.size() - 1)};
}

LinkId Topology::connect(NodeId a, NodeId b, core::BytesPerSecond bandwidth, core::Duration latency,
                         double efficiency) {
  NetLink like;
  like.bandwidth = bandwidth;
  like.latency = latency;
  like.efficiency = efficiency;
  return connect(a, b, like);
}

LinkId Topology::connect(NodeId a, NodeId b, const NetLink& like) {
  SIM_ASSERT(a.value < nodes_.size() && b.value < nodes_.size() && a != b,
             "a link joins two different nodes of the fabric");
  const LinkId forth{static_cast<std::uint32_t>(links_.size())};
  const LinkId back{forth.value + 1};
  SIM_ASSERT(like.cost >= 1 && like.cost <= kMostLinkCost, "a link's cost is 1 to 15");
  links_.push_back(like);
  links_.back().from = a;
  links_.back().to = b;
  links_.push_back(like);
  links_.back().from = b;
  links_.back().to = a;
  out_[a.value].push_back(forth);
  in_[b.value].push_back(forth);
  out_[b.value].push_back(back);
  in_[a.value].push_back(back);
  return forth;
}

void Topology::set_health(LinkId link, double share) {
  SIM_ASSERT(share >= 0.0 && share <= 1.0, "health is a share from 0 to 1");
  links_[link.value].health = links_[link.value ^ 1U].health = share;  // both directions
}

void Topology::set_health(NodeId node, double share) {
  for (const LinkId link : out_[node.value]) set_health(link, share);
}

NodeId Topology::find(const std::string& name) const {
  for (std::uint32_t n = 0; n < nodes_.size(); ++n)
    if (nodes_[n].name == name) return NodeId{n};
  return NodeId{};
}

std::vector<std::string> Topology::problems() const {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < links_.size(); i += 2) {  // both directions have equal figures
    const NetLink& link = links_[i];
    const std::string place =
        "link " + nodes_[link.from.value].name + " - " + nodes_[link.to.value].name;
    if (!(link.bandwidth.value() > 0.0) || !std::isfinite(link.bandwidth.value()))
      found.push_back(place + " has no bandwidth; give a positive one");
    if (!(link.efficiency > 0.0) || link.efficiency > 1.0)
      found.push_back(place + " has an efficiency outside (0, 1]");
    if (link.latency < core::Duration()) found.push_back(place + " has a negative latency");
    if (!(link.half_bytes >= 0.0)) found.push_back(place + " has a negative half-rate message");
  }
  for (std::size_t n = 0; n < nodes_.size(); ++n)
    if (nodes_[n].ports > 0 && out_[n].size() > static_cast<std::size_t>(nodes_[n].ports))
      found.push_back(nodes_[n].name + " has " + std::to_string(nodes_[n].ports) + " ports but " +
                      std::to_string(out_[n].size()) + " links");

  boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS> graph(nodes_.size());
  for (std::size_t i = 0; i < links_.size(); i += 2)
    if (links_[i].health > 0.0)  // a failed link joins nothing
      boost::add_edge(links_[i].from.value, links_[i].to.value, graph);
  std::vector<std::size_t> component(nodes_.size());
  if (!nodes_.empty()) boost::connected_components(graph, component.data());
  std::size_t first = nodes_.size();
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (nodes_[n].role != NodeRole::endpoint) continue;
    if (first == nodes_.size()) first = n;
    if (component[n] == component[first]) continue;
    found.push_back("no path between " + nodes_[first].name + " and " + nodes_[n].name +
                    "; connect the two parts of the fabric");
    break;
  }
  return found;
}

core::Duration Topology::lookahead() const {
  core::Duration smallest = core::Duration::max(), any = core::Duration::max();
  for (const NetLink& link : links_) {
    any = std::min(any, link.latency);
    const int a = nodes_[link.from.value].server, b = nodes_[link.to.value].server;
    if (a != b || a < 0) smallest = std::min(smallest, link.latency);
  }
  if (links_.empty()) return core::Duration();
  return smallest == core::Duration::max() ? any : smallest;
}

// Least latency from an endpoint of a server over its own nodes to a link's end outside of it.
core::Duration Topology::way_out(const std::vector<NodeId>& server) const {
  std::map<NodeId, core::Duration> at;
  std::set<std::pair<core::Duration, NodeId>> next;
  for (const NodeId node : server)
    if (nodes_[node.value].role == NodeRole::endpoint) {
      at[node] = core::Duration();
      next.emplace(core::Duration(), node);
    }
  while (!next.empty()) {
    const auto [time, node] = *next.begin();
    next.erase(next.begin());
    // A link that leaves is a node of its own in the queue: its end is outside.
    if (nodes_[node.value].server != nodes_[server[0].value].server) return time;
    for (const LinkId id : out_[node.value]) {
      const NetLink& link = links_[id.value];
      const core::Duration through = time + link.latency;
      const auto known = at.find(link.to);
      if (known != at.end() && known->second <= through) continue;
      at[link.to] = through;
      next.emplace(through, link.to);
    }
  }
  return core::Duration::max();
}

core::Duration Topology::lookahead_between_servers() const {
  std::map<int, std::vector<NodeId>> servers;
  for (std::uint32_t n = 0; n < nodes_.size(); ++n)
    if (nodes_[n].server >= 0) servers[nodes_[n].server].push_back(NodeId{n});
  std::vector<core::Duration> out;
  for (const auto& [index, nodes] : servers) {
    const core::Duration way = way_out(nodes);
    if (way < core::Duration::max()) out.push_back(way);
  }
  if (out.size() < 2) return core::Duration();
  std::nth_element(out.begin(), out.begin() + 1, out.end());
  // A link straight from server to server is the way out of both.
  core::Duration direct = core::Duration::max();
  for (const NetLink& link : links_) {
    const int a = nodes_[link.from.value].server, b = nodes_[link.to.value].server;
    if (a >= 0 && b >= 0 && a != b) direct = std::min(direct, link.latency);
  }
  return std::min(direct, out[0] + out[1]);
}

}  // namespace foretoken::sim::net
