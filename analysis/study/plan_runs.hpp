#pragma once
// Simulates the candidates of a plan. One run answers for several: how a deployment is paid for
// changes no simulated time, and a limit on the batch that never binds might as well be another.
#include "analysis/study/candidates.hpp"
#include "models/serving/result.hpp"
#include "models/serving/step_model.hpp"
#include "sim/core/time.hpp"

namespace foretoken::analysis::study {

// What simulation says of a deployment.
struct Tried {
  std::string late;  // why a first part of the traffic is enough to see it fail; "" = it is not
  std::optional<Metrics> metrics;  // of all of the traffic, unless `late`
  std::size_t simulated = 0, prefixes = 0;
  bool borrowed = false;  // from a run with another limit: shares of the KV cache may differ

  // Whose run it was.
  int max_sequences = 0;
  std::int64_t kv_blocks = 0;  // of one replica
  // Of the fullest replica: requests inside at once, and the KV blocks that all inside at once
  // would hold if each had all its tokens.
  std::int64_t most_inside = 0, most_blocks = 0;
  models::serving::RemoteResult remote;
  double run_s = 0.0;
};

struct RunRules {
  double span_s = 0.0;       // of the traffic
  std::size_t requests = 0;  // in it
  bool in_part = true;       // try first parts of the traffic before all of it
  const std::atomic<bool>* interrupt = nullptr;
};

// Throws Interrupted; std::logic_error when the simulation loses a request.
ServingResult run_once(const Scenario& scenario, const models::serving::StepModel& timer,
                       const std::atomic<bool>* interrupt,
                       sim::core::Time until = sim::core::Time::never());

Tried try_deployment(const Scenario& scenario, const models::serving::StepModel& timer,
                     const RunRules& rules);

// What was tried already that `scenario` would repeat, event by event; its cost made the
// scenario's. All of `known` differ from it in payment and in the limit of running sequences only.
std::optional<Tried> same_run(const Scenario& scenario, const std::vector<Tried>& known);

}  // namespace foretoken::analysis::study
