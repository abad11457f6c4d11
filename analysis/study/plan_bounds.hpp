#pragma once
// Closed-form bounds of a plan (proofs in plan.hpp).
#include "analysis/study/candidates.hpp"
#include "models/serving/step_model.hpp"

namespace foretoken::analysis::study {

// The traffic, read once: what the bounds need of it.
struct Traffic {
  bool open = false;                        // arrivals do not depend on the system
  double span_s = 0.0;                      // from the first arrival to the last
  std::vector<std::int32_t> input, output;  // ascending
};
Traffic traffic_of(const Scenario& scenario);

// Why the candidate cannot meet the SLO; nothing if the bounds allow it. `timer`: of its hardware
// and layout, up to the largest limits of the plan.
struct Bound {
  std::string name;  // memory, one token, one prompt, work
  std::string why;
  double over = 1.0;  // by which factor
};
std::optional<Bound> broken_bound(const Scenario& scenario, const Traffic& traffic,
                                  const models::serving::StepModel& timer);

// Cost an hour with every GPU idle, in the scenario's currency; what it really costs is no less.
double least_cost_per_hour(const Scenario& scenario);
// Facility watts with every GPU idle.
double idle_facility_watts(const Scenario& scenario);

}  // namespace foretoken::analysis::study
