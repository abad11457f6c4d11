#pragma once
// Processes -> result, with the conservation checks.
#include <vector>

#include "models/serving/front_end.hpp"
#include "models/serving/replica.hpp"
#include "models/serving/result.hpp"
#include "models/serving/simulate.hpp"

namespace foretoken::models::serving {

struct Gathered {
  const ServingSpec& spec;
  const std::vector<PoolModel>& models;
  const FrontEnd& front_end;
  const std::vector<Replica*>& replicas;  // pool by pool
};

std::vector<RunTotals> totals_of_pools(const Gathered& gathered);

ServingResult collect(const Gathered& gathered, const sim::engine::RunReport& run);

}  // namespace foretoken::models::serving
