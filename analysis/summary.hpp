#pragma once
// summary.json: vLLM's benchmark key names where they exist, ours beside them. Keys in a fixed
// order, doubles in their shortest exact form; everything that differs between equal runs (wall
// clock, CPU, threads, events per second) lives under the key `run`.
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

inline constexpr int kSummaryVersion = 1;

// Indented by two, newline at the end.
std::string summary_json(const Scenario& scenario, const ServingResult& result,
                         const Metrics& metrics, const RunInfo& info);

}  // namespace foretoken::analysis
