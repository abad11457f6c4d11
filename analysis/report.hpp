#pragma once
// report.html: one file, no network, Chart.js inlined, Chinese and English, light and dark.
#include <filesystem>
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

std::string report_html(const Scenario& scenario, const ServingResult& result,
                        const Metrics& metrics, const RunInfo& info);

// The page for `data`, the JSON text that a report carries; `title` and `answer` are plain text.
std::string report_page(const std::string& data, const std::string& title,
                        const std::string& answer);

// The data that the report.html of a run carries. InputError where it has none.
std::string data_of_report(const std::filesystem::path& report);

}  // namespace foretoken::analysis
