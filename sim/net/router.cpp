#include "sim/net/router.hpp"

#include <algorithm>

#include "sim/core/error.hpp"

namespace foretoken::sim::net {

namespace {

constexpr std::uint16_t kUnreachable = UINT16_MAX;

// splitmix64 (Steele et al., 2014): every bit of the input reaches every bit of the output.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Router::Router(const Topology& topology)
    : topology_(topology),
      down_(topology.link_count(), false),
      distances_(topology.node_count()),
      ways_(topology.node_count()) {
  for (std::uint32_t l = 0; l < topology.link_count(); ++l) {
    down_[l] = topology.link(LinkId{l}).health <= 0.0;
    latency_.push_back(topology.link(LinkId{l}).latency);
  }
  first_edge_.push_back(0);
  for (std::uint32_t n = 0; n < topology.node_count(); ++n) {
    for (const LinkId id : topology.links_from(NodeId{n})) {
      const NetLink& link = topology.link(id);
      edges_.push_back({id, link.to, static_cast<std::uint8_t>(link.cost),
                        topology.node(link.to).role == NodeRole::endpoint});
    }
    first_edge_.push_back(static_cast<std::uint32_t>(edges_.size()));
    const NetNode& node = topology.node(NodeId{n});
    if (node.role != NodeRole::endpoint || node.server < 0) continue;
    const auto server = static_cast<std::size_t>(node.server);
    if (servers_.size() <= server) servers_.resize(server + 1);
    servers_[server].push_back(NodeId{n});
  }
}

void Router::set_down(LinkId link, bool down) {
  if (down_[link.value] == down) return;
  down_[link.value] = down;
  for (auto& known : distances_) known.clear();  // paths may have changed anywhere
  ways_to_ = NodeId();
}

// Cost to `to` from every node, over links that are up, passing through no other endpoint.
const std::vector<std::uint16_t>& Router::distances_to(NodeId to) {
  std::vector<std::uint16_t>& cost = distances_[to.value];
  if (cost.empty()) search(to, cost);
  return cost;
}

// Dijkstra with a ring of buckets (Dial, 1969), backwards along the links: costs are small
// integers, so every node waits at most kMostLinkCost buckets ahead of the one in hand.
void Router::search(NodeId to, std::vector<std::uint16_t>& cost) {
  cost.assign(topology_.node_count(), kUnreachable);
  cost[to.value] = 0;
  ring_.assign(kMostLinkCost + 1, {});
  ring_[0].push_back(to);
  std::size_t waiting = 1;
  for (std::uint16_t at = 0; waiting > 0; ++at) {
    std::vector<NodeId>& bucket = ring_[at % ring_.size()];
    for (std::size_t i = 0; i < bucket.size(); ++i, --waiting) {
      const NodeId node = bucket[i];
      if (cost[node.value] != at) continue;  // reached more cheaply before
      if (node != to && topology_.node(node).role == NodeRole::endpoint) continue;
      for (const Edge& edge : edges_of(node)) {
        // Links come in pairs alike: the way in is the other side of the way out.
        const int through = at + edge.cost;
        if (through >= cost[edge.to.value] || down_[edge.link.value ^ 1U]) continue;
        cost[edge.to.value] = static_cast<std::uint16_t>(through);
        ring_[static_cast<std::size_t>(through) % ring_.size()].push_back(edge.to);
        ++waiting;
      }
    }
    bucket.clear();
  }
}

// The links that lie on a shortest path to `to`. Many flows to one place in a row ask alike.
std::span<const Router::Edge> Router::ways(NodeId at, NodeId to,
                                           const std::vector<std::uint16_t>& cost) {
  if (to != ways_to_) {
    ways_to_ = to;
    way_pool_.clear();
    ++way_stamp_;
  }
  Ways& ways = ways_[at.value];
  if (ways.stamp != way_stamp_) {
    ways.stamp = way_stamp_;
    ways.begin = static_cast<std::uint32_t>(way_pool_.size());
    for (const Edge& edge : edges_of(at))
      if (cost[edge.to.value] + edge.cost == cost[at.value] && !down_[edge.link.value] &&
          (!edge.into_endpoint || edge.to == to))
        way_pool_.push_back(edge);
    ways.end = static_cast<std::uint32_t>(way_pool_.size());
  }
  return {way_pool_.data() + ways.begin, way_pool_.data() + ways.end};
}

bool Router::walk(NodeId from, NodeId to, RoutePolicy policy, std::uint64_t hash,
                  std::vector<LinkId>& path, std::span<const double> load) {
  const std::vector<std::uint16_t>& cost = distances_to(to);
  if (cost[from.value] == kUnreachable) return false;
  for (NodeId at = from; at != to;) {
    const std::span<const Edge> edges = ways(at, to, cost);
    const Edge* chosen = edges.data();
    if (policy == RoutePolicy::adaptive)
      chosen = &*std::min_element(edges.begin(), edges.end(), [&](const Edge& a, const Edge& b) {
        return load[a.link.value] < load[b.link.value];
      });
    else if (policy != RoutePolicy::first && edges.size() > 1)
      chosen += mix(hash ^ (std::uint64_t{at.value} << 32)) % edges.size();
    path.push_back(chosen->link);
    at = chosen->to;
  }
  return true;
}

// Inside the sender's server, to the endpoint on the receiver's rail.
bool Router::change_rail(NodeId from, NodeId to, std::vector<LinkId>& path, NodeId& relay) {
  const NetNode& source = topology_.node(from);
  const NetNode& target = topology_.node(to);
  if (source.server < 0 || source.server == target.server || source.rail == target.rail ||
      target.rail < 0)
    return false;
  for (const NodeId peer : servers_[static_cast<std::size_t>(source.server)]) {
    if (topology_.node(peer).rail != target.rail) continue;
    if (!walk(from, peer, RoutePolicy::first, 0, path, {})) break;
    relay = peer;
    return true;
  }
  path.clear();
  return false;
}

void Router::route(NodeId from, NodeId to, RoutePolicy policy, std::uint64_t flow_hash,
                   std::vector<LinkId>& path, std::span<const double> load) {
  path.clear();
  if (from == to) return;
  SIM_ASSERT(policy != RoutePolicy::adaptive || load.size() >= topology_.link_count(),
             "adaptive routing needs the load of every link");
  const std::uint64_t hash = mix(flow_hash ^ mix((std::uint64_t{from.value} << 32) | to.value));
  NodeId start = from;
  if (policy == RoutePolicy::rail_aligned) change_rail(from, to, path, start);
  if (!walk(start, to, policy, hash, path, load))
    throw core::InputError("no path from " + topology_.node(from).name + " to " +
                           topology_.node(to).name + ": every route is down or missing");
}

core::Duration Router::latency(std::span<const LinkId> path) const {
  core::Duration sum;
  for (const LinkId id : path) sum += latency_[id.value];
  return sum;
}

}  // namespace foretoken::sim::net
