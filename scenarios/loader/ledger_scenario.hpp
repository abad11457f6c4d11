#pragma once
// Scenarios of money alone: a `service:` block that states what a deployment does, in place of a
// deployment that is simulated.
#include <filesystem>
#include <string>
#include <vector>

#include "models/cost/ledger.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::scenarios::loader {

struct LedgerScenario {
  std::string name;
  std::filesystem::path file;
  models::cost::Service service;
  models::cost::CostSpec cost;
  std::vector<ResolvedValue> resolved;
  std::vector<sim::core::Diagnostic> warnings;
};

// Whether the file has a `service:` block. False for what cannot be read: load says why.
bool is_ledger_scenario(const std::filesystem::path& file);

LedgerScenario load_ledger_scenario(const std::filesystem::path& file, const Catalogue& catalogue,
                                    const std::vector<std::string>& overrides = {});

}  // namespace foretoken::scenarios::loader
