#pragma once
// report.html: one file, no network, Chart.js inlined, Chinese and English, light and dark.
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

std::string report_html(const Scenario& scenario, const ServingResult& result,
                        const Metrics& metrics, const RunInfo& info);

}  // namespace foretoken::analysis
