#pragma once
// Files that put a predicted deployment into service, and the benchmark that checks the prediction.
#include <string>

#include "analysis/exporters/launch.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis::exporters {

struct Emission {
  const scenarios::loader::Scenario* scenario = nullptr;
  std::string engine;         // to launch
  std::string model;          // Hugging Face id, or empty: the reader has to say
  std::string scenario_path;  // for the command that simulates what was measured
  // summary.json of the run; empty when none was simulated.
  std::string summary;
};

std::string launch_script(const Emission& emission);  // bash
std::string kubernetes_manifest(const Emission& emission);
std::string slurm_script(const Emission& emission);
std::string benchmark_script(const Emission& emission);  // bash

}  // namespace foretoken::analysis::exporters
