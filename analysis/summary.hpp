#pragma once
// summary.json: vLLM's benchmark key names where they exist, ours beside them. Keys in a fixed
// order, doubles in their shortest exact form; everything that differs between equal runs (wall
// clock, CPU, threads, events per second) lives under the key `run`.
#include <optional>
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

inline constexpr int kSummaryVersion = 1;

// Indented by two, newline at the end.
std::string summary_json(const Scenario& scenario, const ServingResult& result,
                         const Metrics& metrics, const RunInfo& info);

// The number at a place of such a text: keys, numbers of a list's items or the `role` of one, as in
// `pools.decode.busy`. None where there is no number.
std::optional<double> figure_of_summary(const std::string& summary, const std::string& place);

}  // namespace foretoken::analysis
