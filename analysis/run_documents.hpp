#pragma once
// The two small text files of a run.
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

// Every value in force as YAML, its origin as a comment.
std::string resolved_yaml(const Scenario& scenario);

// FNV-1a over resolved values, seed and input hashes: equal for equal inputs.
std::uint64_t scenario_hash(const Scenario& scenario);

// Inputs, seed, build, durations and the command that replays the run.
std::string manifest_json(const Scenario& scenario, const ServingResult& result,
                          const RunInfo& info);

}  // namespace foretoken::analysis
