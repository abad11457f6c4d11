#pragma once
// Runs a sweep: all points on all threads, over ranks if there are several, keeping each result
// as it comes.
#include <functional>

#include "analysis/study/sweep_store.hpp"
#include "sim/engine/transport.hpp"

namespace foretoken::analysis::study {

struct SweepOptions {
  int threads = 1;
  const std::atomic<bool>* interrupt = nullptr;
  // Several programs on one shared folder: each takes the next point that none has taken, rank 0
  // writes the tables. Null: one program.
  sim::engine::Transport* transport = nullptr;
  // After each point simulated or found: done, in all (of this round), on some thread.
  std::function<void(std::size_t, std::size_t)> progress;
};

struct SweepReport {
  std::vector<SweepStore::Row> rows;
  std::size_t ok = 0, failed = 0;  // rows
  std::size_t found = 0;           // already in the store when their turn came
};

// Checks that every path of the sweep is one the scenario knows, by loading it; InputError else.
void check_paths(const SweepSpec& spec, const Evaluator& evaluator);

// The points of one repeat as --set would take them, the seed last.
Overrides overrides_of(const SweepSpec& spec, const Point& point, std::uint64_t seed);

SweepReport run_sweep(const SweepSpec& spec, const Evaluator& evaluator, const SweepStore& store,
                      const SweepOptions& options);

// Indices of points that no other point beats in every objective; NaN never belongs.
std::vector<std::size_t> pareto_front(const std::vector<std::vector<double>>& values,
                                      const std::vector<Objective>& objectives);

// The next points of an adaptive sweep: grid neighbours of the front that are not `known` yet, in
// order of the front; when there are none, further grid points spread over the space. At most
// `most`. Positions are indices into the axes' values.
using Position = std::vector<std::size_t>;
std::vector<Position> next_positions(const std::vector<Axis>& axes,
                                     const std::vector<Position>& known,
                                     const std::vector<Position>& front, std::size_t most,
                                     std::uint64_t seed);

}  // namespace foretoken::analysis::study
