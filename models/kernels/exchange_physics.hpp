#pragma once
// Expert dispatch and combine from the card alone: how many messages leave a rank, what copies
// them, what carries them.
#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

struct ExchangeParameters;

double exchange_seconds(const llm::ExpertExchangeOp& op, const Machine& machine,
                        const ExchangeParameters& parameters);
double least_exchange_seconds(const llm::ExpertExchangeOp& op, const Machine& machine);

}  // namespace foretoken::models::kernels
