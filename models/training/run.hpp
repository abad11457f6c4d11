#pragma once
// A whole training run: steps, failures, checkpoints, restarts, spare nodes. Expected values in
// closed form and one simulated history.
#include <cstdint>
#include <string>
#include <vector>

#include "models/training/compose.hpp"
#include "models/training/memory.hpp"

namespace foretoken::models::training {

// How often what breaks, in events per hour of one unit. From a card with its source.
struct FaultRates {
  std::string name;
  double gpu = 0;       // a GPU or its memory; its node goes out for repair
  double node = 0;      // host, power, cooling; the node goes out for repair
  double link = 0;      // a NIC, cable or switch port, per node; the node goes out for repair
  double software = 0;  // per GPU: a crash that a restart cures
  double repair_h = 0;  // until a node is back
};

struct CheckpointSpec {
  double node_bandwidth = 0;     // byte/s that one node writes
  double storage_bandwidth = 0;  // byte/s of the storage as a whole; 0 = no limit
  bool asynchronous = false;     // copied to host memory first; training waits for the copy alone
  double interval_s = 0;         // 0 = Daly's optimum
};

struct RunSpec {
  double tokens = 0;
  FaultRates faults;
  CheckpointSpec checkpoint;
  double detect_s = 0;   // until a failure is noticed
  double restart_s = 0;  // scheduling, start, communicators, first step
  int spare_nodes = 0;
  std::uint64_t seed = 1;
};

struct CheckpointPlan {
  double bytes = 0;                // of one checkpoint, whole model and optimizer
  double write_s = 0;              // until it is safe
  double blocking_s = 0;           // of which training stands still
  double load_s = 0;               // on a restart
  double mtbf_s = 0;               // of the whole job
  double young_s = 0, daly_s = 0;  // best intervals
  double interval_s = 0;           // used
};

struct RunAccount {
  double steps = 0;
  double ideal_s = 0;       // steps alone
  double checkpoint_s = 0;  // training standing still
  double lost_s = 0;        // work since the last checkpoint, done again
  double restart_s = 0;     // noticing, restarting, loading
  double waiting_s = 0;     // for a node, with no spare left
  double failures = 0;
  [[nodiscard]] double elapsed_s() const {
    return ideal_s + checkpoint_s + lost_s + restart_s + waiting_s;
  }
  [[nodiscard]] double goodput() const { return elapsed_s() > 0 ? ideal_s / elapsed_s() : 0; }
};

CheckpointPlan plan_checkpoints(const TrainingSpec& spec, const RunSpec& run);
// Expected values, failures a Poisson process (Daly 2006, first-order cost).
RunAccount expect_run(const TrainingSpec& spec, const RunSpec& run, double step_s);
// One history: the same seed gives the same.
RunAccount simulate_run(const TrainingSpec& spec, const RunSpec& run, double step_s);

// Optimum intervals between checkpoints that cost `cost_s`, failures every `mtbf_s` on average.
double young_interval(double cost_s, double mtbf_s);  // Young 1974: sqrt(2 C M)
double daly_interval(double cost_s, double mtbf_s);   // Daly 2006, equation 37

}  // namespace foretoken::models::training
