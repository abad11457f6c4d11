#pragma once
// Single states of a GPU, held for seconds, with their watts: a check that no fit has seen.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/loader/scenario.hpp"

namespace foretoken::validation::power {

struct StateRow {
  std::string gpu, state, kind;
  double measured_w = 0.0;
  std::optional<double> predicted_w;
  std::string refused;
};

// Every GPU-states.csv of the folder against that GPU's card; arithmetic and bytes are those that
// were counted. A state that says nothing of what was busy is refused with that reason.
std::vector<StateRow> validate_states(const scenarios::loader::Catalogue& catalogue,
                                      const std::filesystem::path& folder);

}  // namespace foretoken::validation::power
