#pragma once
// Tables of a serving run as text. Column names carry the unit; what does not exist is an empty
// cell in CSV and null in JSON.
#include <string>
#include <vector>

#include "models/serving/result.hpp"

namespace foretoken::analysis::exporters {

inline constexpr const char* kTables[] = {"requests", "iterations", "timeseries"};

// `table`: one of kTables; std::invalid_argument else. requests: one row a request in order of
// arrival, with TTFT, TPOT and E2EL of the completed ones beside the times they come from.
std::string csv_of(const models::serving::ServingResult& run, const std::string& table);
// One JSON object a line, the same keys.
std::string jsonl_of(const models::serving::ServingResult& run, const std::string& table);

// A cell as RFC 4180 wants it.
std::string csv_cell(const std::string& text);

}  // namespace foretoken::analysis::exporters
