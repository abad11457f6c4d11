#pragma once
// run.h5: tables of one run, one 1-D dataset a column, its unit in the attribute `unit`.
//   /            format_version, name, seed
//   requests     one row a request in order of arrival
//   iterations   one row an engine step; kept_every > 1 when thinned
//   timeseries   time_s is the start of the bin; values are means over it
//   histograms   /NAME/edges (n + 1) and counts (n), the same edges in every run
#include <filesystem>

#include "analysis/statistics.hpp"

namespace foretoken::analysis {

void write_run_tables(const std::filesystem::path& file, const Scenario& scenario,
                      const ServingResult& result, const Metrics& metrics);

// Twenty bins a decade from 10 us to 10^5 s; what lies outside goes to the end bins.
std::vector<double> histogram_edges_s();
std::vector<std::int64_t> histogram_counts(std::span<const double> ascending);

}  // namespace foretoken::analysis
