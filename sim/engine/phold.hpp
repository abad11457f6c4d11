#pragma once
// PHOLD (Fujimoto 1990), the usual benchmark of event engines: a fixed number of events circulate;
// each one, when it runs, schedules one more after `lookahead` plus an exponential delay of mean 1,
// at its own process or, with probability `remote`, at a random one.
#include <cstdint>

#include "sim/engine/simulation.hpp"

namespace foretoken::sim::engine {

struct PholdOptions {
  std::uint64_t pending = 16384;
  std::uint32_t processes = 1024;
  std::uint32_t partitions = 64;
  double lookahead = 1.0;  // in units of the mean delay
  double remote = 0.25;
  double duration = 0.0;  // simulated, in the same unit
  std::uint64_t seed = 1;
};

// The processes and partitions that suit a number of pending events: a property of the model, the
// same for any number of threads. A few hundred events a partition fit the first-level cache.
PholdOptions phold_defaults(std::uint64_t pending);

// Builds the model; run it until phold_end(options).
Simulation make_phold(const PholdOptions& options);
Time phold_end(const PholdOptions& options);

// The same model on one std::priority_queue without processes, channels or checks: what a few
// lines of standard C++ reach on this machine.
struct YardstickResult {
  std::uint64_t events = 0;
  double wall_s = 0.0;
  double cpu_s = 0.0;
};
YardstickResult run_yardstick(const PholdOptions& options);

// The pending-event set alone under the hold model: pop the earliest, push one later.
struct HoldResult {
  std::uint64_t operations = 0;  // pops, each with its push
  double queue_s = 0.0;          // the engine's
  double yardstick_s = 0.0;      // std::priority_queue of the same keys and payloads
  std::uint64_t check = 0;       // folds the order of all pops; the same for both
};
// Every `cancel_every`-th event pushed is cancelled again and replaced; zero: none.
HoldResult run_hold(std::uint64_t pending, std::uint64_t operations, std::uint64_t cancel_every);

}  // namespace foretoken::sim::engine
