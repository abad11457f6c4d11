#pragma once
// Paths through a fabric.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/net/topology.hpp"

namespace foretoken::sim::net {

// How a path is chosen among the shortest (least sum of link costs).
enum class RoutePolicy : std::uint8_t {
  first,         // always the same one
  ecmp,          // by a hash of source, destination and flow, as switches do
  rail_aligned,  // cross-rail traffic first changes rail inside the server, then stays on it
  adaptive       // at each hop the link with the least load (bytes/s, given by the caller)
};

class Router {
 public:
  // Keeps a reference to the topology. Links without health must not be used.
  explicit Router(const Topology& topology);
  void set_down(LinkId link, bool down);
  [[nodiscard]] bool is_down(LinkId link) const { return down_[link.value]; }

  // The links from one endpoint to another, written to `path` (cleared first). Throws InputError
  // naming both nodes if none is left. `load` is used by RoutePolicy::adaptive only.
  void route(NodeId from, NodeId to, RoutePolicy policy, std::uint64_t flow_hash,
             std::vector<LinkId>& path, std::span<const double> load = {});
  [[nodiscard]] core::Duration latency(std::span<const LinkId> path) const;

 private:
  struct Edge {  // of a link, what a search reads
    LinkId link;
    NodeId to;
    std::uint8_t cost;
    bool into_endpoint;
  };

  [[nodiscard]] std::span<const Edge> edges_of(NodeId node) const {
    return {edges_.data() + first_edge_[node.value], edges_.data() + first_edge_[node.value + 1]};
  }
  const std::vector<std::uint16_t>& distances_to(NodeId to);
  void search(NodeId to, std::vector<std::uint16_t>& cost);
  std::span<const Edge> ways(NodeId at, NodeId to, const std::vector<std::uint16_t>& cost);
  bool walk(NodeId from, NodeId to, RoutePolicy policy, std::uint64_t hash,
            std::vector<LinkId>& path, std::span<const double> load);
  bool change_rail(NodeId from, NodeId to, std::vector<LinkId>& path, NodeId& relay);

  const Topology& topology_;
  std::vector<Edge> edges_;                // by the node that they leave
  std::vector<std::uint32_t> first_edge_;  // by node, and one past the last
  std::vector<bool> down_;
  std::vector<core::Duration> latency_;                // by link
  std::vector<std::vector<std::uint16_t>> distances_;  // by destination, cost; filled when asked
  struct Ways {  // of one node, in way_pool_; for ways_to_ if the stamp is the present one
    std::uint64_t stamp = 0;
    std::uint32_t begin = 0, end = 0;
  };
  std::vector<Ways> ways_;
  std::vector<Edge> way_pool_;
  NodeId ways_to_;
  std::uint64_t way_stamp_ = 0;
  std::vector<std::vector<NodeId>> servers_;  // endpoints by server
  std::vector<std::vector<NodeId>> ring_;     // scratch of search(), nodes by cost
};

}  // namespace foretoken::sim::net
