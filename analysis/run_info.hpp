#pragma once
// What the program knows about a run besides its scenario and result: how it was started, what
// it cost to simulate. Everything here may differ between equal runs.
#include <cstdint>
#include <string>

namespace foretoken::analysis {

struct RunInfo {
  std::string version;         // of foretoken
  std::string replay_command;  // foretoken run scenarios/quickstart.yaml --seed 1
  int threads = 1;
  double wall_s = 0.0;  // load, simulate, summarise
  double cpu_s = 0.0;
  double peak_rss_mib = 0.0;
};

// Compiler, its version and build type of this very library.
std::string build_description();

}  // namespace foretoken::analysis
