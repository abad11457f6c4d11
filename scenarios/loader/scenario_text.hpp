#pragma once
#include "scenarios/loader/scenario.hpp"

namespace foretoken::scenarios::loader {

// As load_scenario would read `file` if it held `text`: what an editor checks before it is saved.
Scenario load_scenario_text(const std::string& text, const std::filesystem::path& file,
                            const Catalogue& catalogue);

}  // namespace foretoken::scenarios::loader
