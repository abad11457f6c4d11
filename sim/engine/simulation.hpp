#pragma once
// Builds a system of processes and runs it.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/engine/process.hpp"

namespace foretoken::sim::engine {

enum class ExecutorKind { serial, threads, ranks };

struct RunOptions {
  ExecutorKind executor = ExecutorKind::serial;
  int threads = 1;
  Time until = Time::never();               // events at or after this time are not run
  std::optional<double> wall_limit_s;       // then StopReason::time_limit
  std::optional<double> memory_limit_bytes; // resident set; then StopReason::memory_limit
  const std::atomic<bool>* interrupt = nullptr;  // set from a signal handler
  // Called on the calling thread about ten times a second of wall time.
  std::function<void(Time now, std::uint64_t events)> progress;
};

enum class StopReason { drained, until, stopped, time_limit, memory_limit, interrupted };

struct RunReport {
  StopReason reason = StopReason::drained;
  Time end;                        // time of the last event run
  std::uint64_t events = 0;
  std::uint64_t windows = 0;
  double events_per_window = 0.0;
  double parallel_fraction = 0.0;  // share of events run in windows given to more than one thread
  double wall_s = 0.0;
  double events_per_s = 0.0;
  std::uint64_t hash = 0;          // of every event run (key, target, kind): equal for equal runs
};

class Simulation {
 public:
  Simulation();
  ~Simulation();
  Simulation(Simulation&&) noexcept;
  Simulation& operator=(Simulation&&) noexcept;

  // The number of partitions belongs to the model, not to the thread count.
  PartitionId add_partition();
  EntityId add_process(std::unique_ptr<Process> process, PartitionId partition);
  // min_delay zero is allowed only inside a partition; a cycle of zero delay across partitions
  // is refused with its processes named.
  ChannelId connect(EntityId from, EntityId to, Duration min_delay);
  [[nodiscard]] Process& process(EntityId id);

  RunReport run(const RunOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foretoken::sim::engine
