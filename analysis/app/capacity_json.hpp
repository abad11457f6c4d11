#pragma once
#include <string>

#include "analysis/study/capacity.hpp"

namespace foretoken::analysis::app {

// What `capacity --json` prints and a report draws.
std::string capacity_json(const Scenario& scenario, const study::Capacity& capacity);

}  // namespace foretoken::analysis::app
