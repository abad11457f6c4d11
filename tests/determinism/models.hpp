#pragma once
// Systems whose results must not depend on how they are run. Each keeps its state in its processes
// and folds it into one number at the end.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/engine/simulation.hpp"

namespace foretoken::tests {

struct Built {
  sim::engine::Simulation simulation;
  std::vector<sim::engine::EntityId> processes;
  sim::engine::Time until = sim::engine::Time::never();
};

struct Outcome {
  std::uint64_t hash = 0;    // of the events, from the report
  std::uint64_t digest = 0;  // of the states of all processes
  std::uint64_t events = 0;
  std::int64_t end_ps = 0;
  bool operator==(const Outcome&) const = default;
};

// Everything the engine offers at once: timers that are cancelled, priorities, ties, zero delays
// inside pairs of processes, promises, draws, sums of doubles. 128 processes; `partitions` up
// to 64.
Built make_mixed(std::uint32_t partitions);

// One front end that promises its next arrival, replicas that promise the end of their step.
Built make_star(std::uint32_t partitions);

// PHOLD; too connected for limits edge by edge.
Built make_circulation(std::uint32_t partitions);

Outcome run(Built built, const sim::engine::RunOptions& options);

struct Model {
  const char* name;
  Built (*make)(std::uint32_t partitions);
};
inline constexpr Model kModels[] = {
    {"mixed", make_mixed}, {"star", make_star}, {"circulation", make_circulation}};

}  // namespace foretoken::tests
