#pragma once
// The scenario of a run that was written earlier.
#include <filesystem>
#include <optional>
#include <string>

#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis::app {

// The scenario as it was run; nothing and the reason `why` if it has changed or gone. `manifest`:
// the text of the run's manifest.json.
std::optional<scenarios::loader::Scenario> load_again(const std::string& manifest,
                                                      const std::filesystem::path& home,
                                                      std::string& why);

}  // namespace foretoken::analysis::app
