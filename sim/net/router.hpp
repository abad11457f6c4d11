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
  const std::vector<std::uint16_t>& distances_to(NodeId to);
  void search(NodeId to, std::vector<std::uint16_t>& cost);
  bool walk(NodeId from, NodeId to, RoutePolicy policy, std::uint64_t hash,
            std::vector<LinkId>& path, std::span<const double> load);
  bool change_rail(NodeId from, NodeId to, std::vector<LinkId>& path, NodeId& relay);

  const Topology& topology_;
  std::vector<bool> down_;
  std::vector<std::vector<std::uint16_t>> distances_;  // by destination, cost; filled when asked
  std::vector<std::vector<NodeId>> servers_;           // endpoints by server
  std::vector<std::vector<NodeId>> ring_;              // scratch of search(), nodes by cost
};

}  // namespace foretoken::sim::net
