#pragma once
// Training scenarios: files with a `training:` block instead of `deployment:` and `workload:`.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/cost/cost.hpp"
#include "models/power/gpu_power.hpp"
#include "models/training/run.hpp"
#include "scenarios/loader/cards_training.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::scenarios::loader {

struct TrainingScenario {
  std::string name;
  std::filesystem::path file;
  models::training::TrainingSpec training;
  models::training::RunSpec run;
  models::power::PowerModel power;
  models::cost::CostSpec cost;
  int nodes = 1;
  // The layout was left to `foretoken plan`: nothing about it was checked.
  bool layout_given = true;
  bool recompute_given = true;
  std::vector<ResolvedValue> resolved;
  std::vector<sim::core::Diagnostic> warnings;
  std::map<std::string, std::string> input_hashes;
};

// Whether a scenario file has a `training:` block. False for what cannot be read: load says why.
bool is_training_scenario(const std::filesystem::path& file);

TrainingScenario load_training_scenario(const std::filesystem::path& file,
                                        const Catalogue& catalogue,
                                        const std::vector<std::string>& overrides = {});

// JSON Schema of what a training scenario has beside a serving one.
std::string training_json_schema();

Loaded<models::training::FaultRates> load_faults(const std::string& name,
                                                 const Catalogue& catalogue,
                                                 const std::filesystem::path& base = {});

}  // namespace foretoken::scenarios::loader
