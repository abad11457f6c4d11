#include "sim/net/router.hpp"

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>

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
    : topology_(topology), down_(topology.link_count(), false), distances_(topology.node_count()) {
  for (std::uint32_t n = 0; n < topology.node_count(); ++n) {
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
}

// Hops to `to` from every node, over links that are up, passing through no other endpoint.
const std::vector<std::uint16_t>& Router::distances_to(NodeId to) {
  std::vector<std::uint16_t>& hops = distances_[to.value];
  if (!hops.empty()) return hops;
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
  Graph reversed(topology_.node_count());
  for (std::uint32_t l = 0; l < topology_.link_count(); ++l) {
    if (down_[l]) continue;
    const NetLink& link = topology_.link(LinkId{l});
    const bool transit = topology_.node(link.to).role != NodeRole::endpoint || link.to == to;
    if (transit) boost::add_edge(link.to.value, link.from.value, reversed);
  }
  hops.assign(topology_.node_count(), kUnreachable);
  hops[to.value] = 0;
  boost::breadth_first_search(reversed, to.value,
                              boost::visitor(boost::make_bfs_visitor(
                                  boost::record_distances(hops.data(), boost::on_tree_edge()))));
  return hops;
}

bool Router::walk(NodeId from, NodeId to, RoutePolicy policy, std::uint64_t hash,
                  std::vector<LinkId>& path, std::span<const double> load) {
  const std::vector<std::uint16_t>& hops = distances_to(to);
  if (hops[from.value] == kUnreachable) return false;
  for (NodeId at = from; at != to;) {
    LinkId chosen;
    std::uint64_t candidates = 0;
    const std::uint64_t draw = mix(hash ^ (std::uint64_t{at.value} << 32));
    for (const LinkId id : topology_.links_from(at)) {
      if (down_[id.value] || hops[topology_.link(id).to.value] + 1 != hops[at.value]) continue;
      ++candidates;
      const bool take =
          !chosen.valid() ||
          (policy == RoutePolicy::adaptive
               ? load[id.value] < load[chosen.value]
               // Reservoir choice: each of n candidates is taken with the same share of hashes.
               : policy != RoutePolicy::first && mix(draw + candidates) % candidates == 0);
      if (take) chosen = id;
    }
    path.push_back(chosen);
    at = topology_.link(chosen).to;
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
  for (const LinkId id : path) sum += topology_.link(id).latency;
  return sum;
}

}  // namespace foretoken::sim::net
