#pragma once
// What was published of a deployment beside what the run found. For summary.json alone, whose
// library stays inside this folder.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis {

// See figure_of_summary().
std::optional<double> figure_at(const nlohmann::ordered_json& summary, const std::string& place);

// {source, date, figures: [{figure, quantity, published, predicted, off_percent}]}; predicted is
// null where the summary has no such number.
nlohmann::ordered_json published_json(const scenarios::loader::Published& published,
                                      const nlohmann::ordered_json& summary);

}  // namespace foretoken::analysis
