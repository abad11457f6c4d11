#pragma once
// Scenarios of fabric traffic alone: `fabric:` and `traffic:` in place of a deployment.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/collective/fabric_traffic.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::scenarios::loader {

struct TrafficScenario {
  std::string name;
  std::filesystem::path file;
  models::collective::TrafficSpec traffic;
  std::vector<ResolvedValue> resolved;
  std::vector<sim::core::Diagnostic> warnings;
  std::map<std::string, std::string> input_hashes;
};

std::string traffic_json_schema();
// Of the `network:` block of a deployment.
std::string network_json_schema();

// Whether the file has a `traffic:` block at its top level (no problem if it cannot be read:
// loading will say so).
bool is_traffic_scenario(const std::filesystem::path& file);

TrafficScenario load_traffic(const std::filesystem::path& file, const Catalogue& catalogue,
                             const std::vector<std::string>& overrides = {});

}  // namespace foretoken::scenarios::loader
