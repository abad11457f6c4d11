#pragma once
// Parts of build_fabric. Internal to models/collective.
#include <string>
#include <vector>

#include "models/collective/fabric.hpp"

namespace foretoken::models::collective {

using sim::net::NetLink;

struct Parts {
  Fabric& fabric;
  std::vector<std::vector<NodeId>> nics;  // by server, by rail
};

// Throws InputError with every sentence, if there is one.
void fail_if(const std::vector<std::string>& wrong);

// The network between the servers, by the fabric's kind.
void join_servers(Parts& parts);

// The two kinds that are no trees.
void join_dragonfly(Parts& parts);
void join_torus(Parts& parts);

// Properties of a link from a NIC to its switch (half of the card's NIC latency), and of one
// between switches.
NetLink nic_link(const Fabric& fabric);
NetLink switch_link(const Fabric& fabric);
NodeId add_switch(Fabric& fabric, const std::string& name, int rail = -1);

}  // namespace foretoken::models::collective
