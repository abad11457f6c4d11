#pragma once
// Wall watts of whole nodes beside the few measured runs: reported, not gated.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/loader/scenario.hpp"

namespace foretoken::validation::power {

struct NodeWallRow {
  std::string system, run;
  double measured_w = 0.0;  // median over the run
  std::optional<double> predicted_w;
  std::string refused;
};

// Rows of node-wall-inference.csv and node-wall-training.csv in `folder`; what each ran stands in
// node-wall-runs.csv. Runs of models that are not simulated here are refused with that reason.
std::vector<NodeWallRow> validate_node_wall(const scenarios::loader::Catalogue& catalogue,
                                            const std::filesystem::path& folder,
                                            const std::filesystem::path& calibration);

}  // namespace foretoken::validation::power
