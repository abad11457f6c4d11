#pragma once
// Fabrics that a user draws: nodes and links one by one.
#include <string>
#include <vector>

#include "models/collective/fabric.hpp"

namespace foretoken::models::collective {

enum class GraphRole { gpu, host, storage, nic, switching };

struct GraphNode {
  std::string name;
  GraphRole role = GraphRole::gpu;
  int ports = 0;    // 0 = any number
  int server = -1;  // index of the server it sits in; -1 = none
  int rail = -1;
};

struct GraphLink {
  std::size_t a = 0, b = 0;  // indices into the nodes
  sim::net::NetLink like;    // its ends are ignored
  int count = 1;             // parallel links of these figures
};

// GPUs are ordered by server, then as listed. The shape of a server and its network, which closed
// forms need, are read off the graph: what the first two GPUs of a server have between them, and
// the first GPUs of two servers. Throws InputError with what Topology::problems() finds.
Fabric graph_fabric(const std::vector<GraphNode>& nodes, const std::vector<GraphLink>& links);

}  // namespace foretoken::models::collective
