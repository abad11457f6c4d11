#pragma once
#include "models/serving/result.hpp"
#include "models/serving/spec.hpp"

namespace foretoken::models::serving {

// Bytes on one GPU; throws InfeasibleError with the account in words if the model does not fit
// with room for one request of `longest_request` tokens (0, or more than the model's context: of
// the model's context).
MemoryAccount account_memory(const DeploymentSpec& deployment, std::int64_t longest_request = 0);

// How much memory simulating the scenario takes of this machine, at least: what is kept of each
// request, if they are, and of each replica. What a backlog adds cannot be known before.
double simulation_bytes(const ServingSpec& spec);

// Simulates the scenario to the end: every arrival served, rejected, or counted as unfinished.
ServingResult simulate(const ServingSpec& spec,
                       std::shared_ptr<const kernels::Calibration> calibration,
                       const sim::engine::RunOptions& options);

class StepModel;
// The same with step times tabulated before: for callers that try one layout of a model on one
// machine with many batch limits, replicas or loads. `timer` must be of this deployment up to
// those, and reach its batch limits.
ServingResult simulate(const ServingSpec& spec, const StepModel& timer,
                       const sim::engine::RunOptions& options);

}  // namespace foretoken::models::serving
