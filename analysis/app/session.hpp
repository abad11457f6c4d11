#pragma once
// What commands share once they have a scenario: loading, warnings, calibration, resources used.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis::app {

// Loads and prints the warnings on stderr.
scenarios::loader::Scenario load_with_warnings(const std::filesystem::path& file,
                                               const std::filesystem::path& home,
                                               const std::vector<std::string>& overrides);

// The product's calibration, only the tables of the scenario's GPU.
std::shared_ptr<const models::kernels::Calibration> load_calibration(
    const std::filesystem::path& home, const scenarios::loader::Scenario& scenario);
std::filesystem::path calibration_file(const std::filesystem::path& home);

// Memory of this machine, or of the control group that the process lives in, in bytes.
double machine_memory();

struct ResourceUse {
  double cpu_s = 0.0;  // user and system, of this process so far
  double peak_rss_mib = 0.0;
};
ResourceUse resource_use();

// Logs go to stderr; stdout is the answer.
void log_to_stderr(bool verbose);
void log_info(const std::string& text);

// For ranks beside rank 0: what they would say is the same; once is enough.
void silence_output();

// The command line as a shell would take it back.
std::string shell_quoted(const std::vector<std::string>& argv);

}  // namespace foretoken::analysis::app
