#pragma once
// PHOLD (Fujimoto 1990), the usual benchmark of event engines: a fixed number of events circulate;
// each one, when it runs, schedules one more after `lookahead` plus an exponential delay of mean 1,
// at its own process or, with probability `remote`, at a random one.
#include <cstdint>

#include "sim/engine/simulation.hpp"

namespace foretoken::sim::engine {

struct PholdOptions {
  std::uint64_t pending = 16384;
  std::uint32_t partitions = 64;
  std::uint32_t processes = 1024;
  double lookahead = 1.0;  // in units of the mean delay
  double remote = 0.25;
  double duration = 0.0;  // simulated, in the same unit
  std::uint64_t seed = 1;
};

// Builds the model; run it until phold_end(options).
Simulation make_phold(const PholdOptions& options);
Time phold_end(const PholdOptions& options);

// The same model on one std::priority_queue without processes, channels or checks: what a few
// lines of standard C++ reach on this machine.
struct YardstickResult {
  std::uint64_t events = 0;
  double wall_s = 0.0;
  double events_per_s = 0.0;
};
YardstickResult run_yardstick(const PholdOptions& options);

}  // namespace foretoken::sim::engine
