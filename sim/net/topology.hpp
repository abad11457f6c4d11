#pragma once
// A fabric as a graph: endpoints, switches and adapters joined by directed links. Built once,
// checked, then read through flat arrays.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/core/id.hpp"
#include "sim/core/time.hpp"
#include "sim/core/units.hpp"
#include "sim/net/max_min.hpp"

namespace foretoken::sim::net {

using NodeId = core::Id<struct NetNodeTag>;

// Traffic passes through switches and adapters, never through an endpoint that it is not for.
enum class NodeRole : std::uint8_t { endpoint, adapter, switching };

struct NetNode {
  NodeRole role = NodeRole::endpoint;
  std::string name;  // as messages and results show it, e.g. "node3.gpu5"
  int ports = 0;     // most links that may attach; 0 = any number
  int server = -1;   // which server it sits in; -1 = none
  int rail = -1;     // which rail it belongs to; -1 = none
};

struct NetLink {
  NodeId from, to;
  core::BytesPerSecond bandwidth;  // raw, one direction
  core::Duration latency;          // propagation and forwarding, first bit to first bit
  double efficiency = 1.0;         // share of the raw bandwidth that payload can have
  // Message of which half the link's rate is left: share = bytes / (bytes + half_bytes). 0 = flat.
  double half_bytes = 0.0;
  double health = 1.0;  // share of the bandwidth left; 0 = failed, 0.5 = trained at half rate
  int cost = 1;         // a route takes the least sum of these, 1 .. kMostLinkCost
  [[nodiscard]] double payload_bytes_per_s() const {
    return bandwidth.value() * efficiency * health;
  }
  // What one message of that size can have of an idle link.
  [[nodiscard]] double payload_bytes_per_s(double message_bytes) const {
    return payload_bytes_per_s() * message_bytes / (message_bytes + half_bytes);
  }
};
inline constexpr int kMostLinkCost = 15;

class Topology {
 public:
  NodeId add_node(NetNode node);
  // Two directed links of equal figures; returns the one from a to b, the other has the next id.
  LinkId connect(NodeId a, NodeId b, core::BytesPerSecond bandwidth, core::Duration latency,
                 double efficiency = 1.0);
  // As above, with every property of `like` but its ends.
  LinkId connect(NodeId a, NodeId b, const NetLink& like);
  // Degrades, fails (0) or restores (1) both directions of a link.
  void set_health(LinkId link, double share);
  // Every link of a node.
  void set_health(NodeId node, double share);
  // The node of that name; invalid if there is none.
  [[nodiscard]] NodeId find(const std::string& name) const;

  // Every rule the fabric breaks, in words: a link without bandwidth, more links than a node has
  // ports, endpoints that cannot reach each other (two of them named). Empty = sound.
  [[nodiscard]] std::vector<std::string> problems() const;

  [[nodiscard]] const NetNode& node(NodeId id) const { return nodes_[id.value]; }
  [[nodiscard]] const NetLink& link(LinkId id) const { return links_[id.value]; }
  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
  [[nodiscard]] std::size_t link_count() const { return links_.size(); }
  [[nodiscard]] std::span<const LinkId> links_from(NodeId id) const { return out_[id.value]; }
  [[nodiscard]] std::span<const LinkId> links_into(NodeId id) const { return in_[id.value]; }

  // The smallest latency of a link between two servers (or of any link if all sit in one): what
  // parts of a simulation on different servers may look ahead. Zero for an empty fabric.
  [[nodiscard]] core::Duration lookahead() const;
  // No message between endpoints of two servers takes less: the least time out of a server, over
  // links inside it and the one that leaves it, of the two nearest to their borders together. What
  // processes that stand for whole servers may look ahead. Zero where fewer than two servers are.
  [[nodiscard]] core::Duration lookahead_between_servers() const;

 private:
  [[nodiscard]] core::Duration way_out(const std::vector<NodeId>& server) const;

  std::vector<NetNode> nodes_;
  std::vector<NetLink> links_;
  std::vector<std::vector<LinkId>> out_, in_;
};

}  // namespace foretoken::sim::net
