#pragma once
// The `fabric:` block: a network of node cards, a graph, or the matrix of nvidia-smi.
#include "models/collective/fabric.hpp"
#include "models/collective/fabric_traffic.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {

// Notes every problem at its place; an empty fabric comes back if there is any.
models::collective::Fabric read_fabric(const YamlNode& block, const LoadContext& context);

// A `network:` block: how servers are joined. `efficiency`: of their NICs, where it says none.
models::collective::NetworkShape read_network_shape(const YamlNode& network, double efficiency);

// `failures:` of the block: links and nodes that degrade or fail, at once or later. What is so from
// the beginning is set in the fabric.
std::vector<models::collective::HealthChange> read_failures(const YamlNode& block,
                                                            models::collective::Fabric& fabric);

// A network rate that no port has: bits written as bytes. Notes it at the node.
void check_network_rate(const YamlNode& node, models::hardware::BytesPerSecond rate);

}  // namespace foretoken::scenarios::loader
