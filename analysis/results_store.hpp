#pragma once
// The directory of one run: summary.json, run.h5, report.html, config.resolved.yaml,
// manifest.json. Built beside its final place, flushed to disk and renamed, so a reader never
// sees half of it.
#include <filesystem>
#include <string>

#include "analysis/run_info.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {

inline constexpr int kRunFormatVersion = 2;

// runs/NAME-HASH8: the hash covers every resolved value, the seed and the input files.
std::filesystem::path default_run_directory(const Scenario& scenario);

// To be called before the simulation starts. InputError when `directory` cannot be created or
// written, or holds something that is not a run (a run is replaced, other files never are).
void check_writable(const std::filesystem::path& directory);

// Writes or replaces the run. InputError on any failure; then nothing of it is left behind.
void write_run(const std::filesystem::path& directory, const Scenario& scenario,
               const ServingResult& result, const Metrics& metrics, const RunInfo& info);

// Requests, iterations and time series of a run's run.h5 (the other fields of the result stay
// empty). InputError on damage or another format version.
ServingResult read_run_tables(const std::filesystem::path& file);

// Replaces a file as a whole: temporary sibling, flush, rename. InputError on failure.
void write_file_atomically(const std::filesystem::path& file, const std::string& content);

}  // namespace foretoken::analysis
