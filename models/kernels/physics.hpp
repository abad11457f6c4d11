#pragma once
// The physical model of an operator: its time from the card alone, and the limit that nothing
// beats. `variant` is what a shape cannot say (kernel_tables.hpp).
#include <string>

#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

double physical_seconds(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine);

// The limit of arithmetic, of the memory level that can hold the data, of the wire.
double least_seconds(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine);

}  // namespace foretoken::models::kernels
