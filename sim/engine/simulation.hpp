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

class Transport;

// Identical results under each. `ranks` needs RunOptions::transport, and may also use threads.
enum class ExecutorKind { serial, threads, ranks };

struct RunOptions {
  ExecutorKind executor = ExecutorKind::serial;
  int threads = 1;
  Time until = Time::never();                    // events at or after this time are not run
  std::optional<double> wall_limit_s;            // then StopReason::time_limit
  std::optional<double> memory_limit_bytes;      // resident set; then StopReason::memory_limit
  const std::atomic<bool>* interrupt = nullptr;  // set from a signal handler
  // Called on the calling thread about ten times a second of wall time.
  std::function<void(Time now, std::uint64_t events)> progress;
  // How ranks talk (sim/dist); not owned. Every rank must build the same simulation.
  Transport* transport = nullptr;
  // Windows whenever there are several threads, without measuring whether they pay.
  bool always_windows = false;
  // Threads of the engine's own instead of oneTBB's: for the thread sanitizer, which cannot see
  // into the library's binary.
  bool plain_threads = false;
  // Order in which mailboxes are emptied, for tests: results must not depend on it.
  std::optional<std::uint64_t> shuffle_mailboxes;
};

enum class StopReason { drained, until, stopped, time_limit, memory_limit, interrupted };

struct RunReport {
  StopReason reason = StopReason::drained;
  Time end;  // time of the last event run
  std::uint64_t events = 0;
  std::uint64_t windows = 0;
  double events_per_window = 0.0;
  double parallel_fraction = 0.0;  // share of events run in windows given to more than one thread
  double wall_s = 0.0;
  double events_per_s = 0.0;
  std::uint64_t hash = 0;  // of every event run (key, target, kind): equal for equal runs
  // Where the time of the run went: turns on one thread, windows on several, work between windows.
  double sequential_s = 0.0;
  double parallel_s = 0.0;
  double exchange_s = 0.0;
  std::uint64_t pending = 0;  // events left when the run ended
  double queue_bytes = 0.0;   // held by the pending-event sets at the end
};

class Simulation {
 public:
  Simulation();
  ~Simulation();
  Simulation(Simulation&&) noexcept;
  Simulation& operator=(Simulation&&) noexcept;

  // The number of partitions belongs to the model, not to the thread count.
  PartitionId add_partition();
  // The name appears in error messages only.
  EntityId add_process(std::unique_ptr<Process> process, PartitionId partition,
                       std::string name = {});
  // min_delay zero is allowed only inside a partition; a cycle of zero delay across partitions
  // is refused with its processes named.
  ChannelId connect(EntityId from, EntityId to, Duration min_delay);
  // One channel to `count` processes, `first` and those after it: Context::send_to picks one.
  ChannelId connect_range(EntityId from, EntityId first, std::uint32_t count, Duration min_delay);
  [[nodiscard]] Process& process(EntityId id);

  // May be called again to go on, e.g. with a later `until`. An exception that leaves a handler
  // is rethrown here, the same one under every executor, and ends the simulation for good.
  RunReport run(const RunOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foretoken::sim::engine
