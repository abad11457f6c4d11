#pragma once
// From what the processes remember to a ServingResult, and the checks that nothing was lost.
#include <vector>

#include "models/serving/front_end.hpp"
#include "models/serving/replica.hpp"
#include "models/serving/result.hpp"
#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

// Replicas must be finish()ed. `run` says how and when the simulation ended.
ServingResult collect(const ServingSpec& spec, const MemoryAccount& memory,
                      const FrontEnd& front_end, const std::vector<Replica*>& replicas,
                      const sim::engine::RunReport& run);

// Sums over replicas.
RunTotals sum_of_totals(const std::vector<Replica*>& replicas);

}  // namespace foretoken::models::serving
