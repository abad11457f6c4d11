#pragma once
// Chrome trace JSON of a serving run, as Perfetto and chrome://tracing open it: a process for each
// replica with its engine steps and its requests (queued, prefill, decode), and one for the
// deployment with counters. Format: "Trace Event Format", Google, 2016; microseconds.
#include "analysis/training_store.hpp"
#include "models/serving/result.hpp"

namespace foretoken::analysis::exporters {

// `selection.devices` are replicas.
TraceSize estimate_serving_trace(const models::serving::ServingResult& tables,
                                 const TraceSelection& selection);
std::string serving_trace_json(const models::serving::ServingResult& tables,
                               const TraceSelection& selection);

}  // namespace foretoken::analysis::exporters
