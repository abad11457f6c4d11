#pragma once
// What metrics and keys of a scenario mean.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foretoken::analysis::app {

// A metric by any of its names (tpot, TPOT, p99_tpot_ms), a key by its path or its last part.
std::optional<std::string> definition_of(std::string_view name);
std::vector<std::string> defined_names();

}  // namespace foretoken::analysis::app
