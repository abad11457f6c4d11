#pragma once
// foretoken run for scenarios of fabric traffic.
#include "analysis/app/command.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {

int run_traffic(const Invocation& invocation, const ParsedLine& line,
                const std::vector<std::string>& overrides);

}  // namespace foretoken::analysis::app
