#pragma once
// Data of the report's charts of what is inside a cluster: links over time, load of expert ranks.
// For this folder's report files alone, whose library stays inside it.
#include <nlohmann/json_fwd.hpp>

#include "analysis/statistics.hpp"
#include "analysis/traffic_results.hpp"

namespace foretoken::analysis {

// {bin_s, end_s, links_used, links: [{from, to, bytes_per_s, bytes, mean_use, peak_use, waiting_s,
// use: by bin, lost_s: by bin}]}; a bounded number of links and bins, those with most waiting
// first, then the fullest. Null where nothing was recorded.
nlohmann::ordered_json link_heat_json(const ServingResult& result);
nlohmann::ordered_json link_heat_json(const TrafficScenario& scenario, const TrafficResult& result);

// A list with, for each pool of a mixture-of-experts model, what its step times assumed of the load
// of experts and expert ranks, over the steps that the run kept.
nlohmann::ordered_json expert_loads_json(const Scenario& scenario, const ServingResult& result);

}  // namespace foretoken::analysis
