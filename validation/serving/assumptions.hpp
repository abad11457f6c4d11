#pragma once
// Settings by name, as fits and studies give them; a study's come as a JSON file:
//   {"engines": {"vllm": {"gemm": 0.9, "host_step_us": 600, ...}},
//    "families": [{"match": {"engine": "vllm", "source": "inferencex"}, "set": {"low_input":
//    0.8}}]}
// Values are numbers. A family's apply, in order, to every row whose columns begin with what
// `match` says.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/serving/spec.hpp"
#include "validation/serving/served_rows.hpp"

namespace foretoken::validation::serving {

using Settings = std::map<std::string, double>;

struct RunFamily {
  std::map<std::string, std::string> match;  // column -> how it begins
  Settings settings;
};

struct Assumptions {
  std::map<std::string, Settings> engines;
  std::vector<RunFamily> families;

  // Settings of a row's engine, then of its families.
  [[nodiscard]] Settings of(const ServedRow& row) const;
};

// Throws InputError on anything that is not as above.
Assumptions read_assumptions(const std::filesystem::path& file);

// Which settings there are.
const std::vector<std::string>& setting_names();

// Puts engine and workload settings into a scenario. What the client reports (medians) is left to
// the caller.
void apply_settings(const Settings& settings, models::serving::ServingSpec& spec);

}  // namespace foretoken::validation::serving
