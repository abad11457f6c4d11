#pragma once
// What of an operator goes over the network between nodes, for those who let it share that network
// with other traffic.
#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

struct CollectiveParameters;
struct ExchangeParameters;
struct PhysicalParameters;

// All zero where an operator stays inside its node.
struct NetworkPart {
  double bytes = 0.0;    // that one GPU sends, and receives
  double wire_s = 0.0;   // at the rate that it has alone
  double added_s = 0.0;  // to the operator, by a network half as fast
};

NetworkPart network_part(const llm::CollectiveOp& op, const Machine& machine,
                         const CollectiveParameters& parameters);
NetworkPart network_part(const llm::ExpertExchangeOp& op, const Machine& machine,
                         const ExchangeParameters& parameters);
NetworkPart network_part(const llm::OperatorShape& shape, const Machine& machine,
                         const PhysicalParameters& parameters);

}  // namespace foretoken::models::kernels
