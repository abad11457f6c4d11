#pragma once
// Collectives from the card alone. Wire volumes: Thakur, Rabenseifner and Gropp, "Optimization of
// Collective Communication Operations in MPICH", 2005, section 4.
#include <string>

#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

struct CollectiveParameters;

double collective_seconds(const llm::CollectiveOp& op, const std::string& variant,
                          const Machine& machine, const CollectiveParameters& parameters);
double least_collective_seconds(const llm::CollectiveOp& op, const Machine& machine);

}  // namespace foretoken::models::kernels
