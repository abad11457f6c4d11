#pragma once
// A request's life in words.
#include <string>

#include "analysis/statistics.hpp"

namespace foretoken::analysis {

// From a run that watched the request of this row (ServingSpec::watch): every step it was in.
std::string request_story(const Scenario& scenario, const ServingResult& result, std::size_t row);

// From run.h5 alone, where the scenario is no longer there to be run again.
std::string request_outline(const ServingResult& tables, std::size_t row);

}  // namespace foretoken::analysis
