#pragma once
// The answer of a scenario of fabric traffic: summary, tables, report; see results_store.hpp for
// the directory itself.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"
#include "scenarios/loader/traffic_scenario.hpp"

namespace foretoken::analysis {

using models::collective::TrafficResult;
using scenarios::loader::TrafficScenario;

struct LinkLoad {
  std::string from, to;
  double bytes_per_s = 0.0;  // payload rate
  double bytes = 0.0;
  double mean_use = 0.0;   // share of the rate over the whole run
  double peak_use = 0.0;   // over the fullest bin
  double waiting_s = 0.0;  // transfer-seconds lost on it
  std::size_t index = 0;   // into TrafficResult::links
};
// Links that carried anything, the ones with most waiting first, then the fullest.
std::vector<LinkLoad> link_loads(const TrafficScenario& scenario, const TrafficResult& result);

// Seconds that stream `who` lost to `whom`, over all links, largest first.
struct StreamWait {
  std::size_t who = 0, whom = 0;
  double seconds = 0.0;
  sim::net::LinkId worst;  // the link with most of it
};
std::vector<StreamWait> stream_waits(const TrafficResult& result);

std::string traffic_json(const TrafficScenario& scenario, const TrafficResult& result,
                         const RunInfo& info);
std::string traffic_text(const TrafficScenario& scenario, const TrafficResult& result);
// One page in English and Chinese, with the heat map of the links.
std::string traffic_html(const TrafficScenario& scenario, const TrafficResult& result,
                         const RunInfo& info);

std::uint64_t traffic_hash(const TrafficScenario& scenario);
// summary.json, run.h5, report.html, config.resolved.yaml, manifest.json.
std::filesystem::path default_traffic_directory(const TrafficScenario& scenario);
void write_traffic_run(const std::filesystem::path& directory, const TrafficScenario& scenario,
                       const TrafficResult& result, const RunInfo& info);

}  // namespace foretoken::analysis
