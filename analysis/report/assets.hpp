#pragma once
// The fixed parts of report.html and of the local page, built into the program (see embed.cmake).
#include <string_view>

namespace foretoken::analysis {

struct ReportAssets {
  std::string_view page, style, script, chart;                   // template, CSS, ours, Chart.js
  std::string_view style_hash, script_hash, chart_hash;          // for the security policy
  std::string_view serve_page, serve_script, serve_script_hash;  // of the local page
};
ReportAssets report_assets();

}  // namespace foretoken::analysis
