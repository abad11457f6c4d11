#include "sim/engine/simulation.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/core/error.hpp"
#include "sim/engine/adaptive.hpp"
#include "sim/engine/control.hpp"
#include "sim/engine/ranks.hpp"
#include "sim/engine/sequential.hpp"
#include "sim/engine/system.hpp"
#include "sim/engine/windows.hpp"

#if defined(__SANITIZE_THREAD__)
#define FORETOKEN_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FORETOKEN_THREAD_SANITIZER
#endif
#endif

namespace foretoken::sim::engine {

struct Simulation::Impl {
  Blueprint blueprint;
  std::unique_ptr<System> system;  // built by the first run

  void require_unbuilt(const char* what) const {
    if (system != nullptr) {
      throw core::InputError(std::string("cannot ") + what + " once the simulation has run");
    }
  }
  void require_process(EntityId id, const char* role) const {
    if (id.value >= blueprint.processes.size()) {
      throw core::InputError(std::string("the ") + role + " of a channel is process " +
                             std::to_string(id.value) + ", which has not been added");
    }
  }
  System& prepare(const RunOptions& options);
  RunReport run_here(System& ready, RunControl& control, const RunOptions& options) const;
  RunReport run_ranks(System& ready, RunControl& control, const RunOptions& options) const;
  RunReport report(const Tally& tally, const RunControl& control, StopReason reason,
                   const Ranks* ranks) const;
};

namespace {

std::uint64_t end_of(const RunOptions& options) {
  if (options.until == Time::never()) return EventQueue::kNever;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(options.until.ps(), 0));
}

std::unique_ptr<Team> make_team(const RunOptions& options) {
#if defined(FORETOKEN_THREAD_SANITIZER)
  return make_plain_team(options.threads);
#else
  return options.plain_threads ? make_plain_team(options.threads) : make_tbb_team(options.threads);
#endif
}

StopReason reason_of(bool stopped, const RunReport& report) {
  if (stopped) return StopReason::stopped;
  return report.pending > 0 ? StopReason::until : StopReason::drained;
}

}  // namespace

Simulation::Simulation() : impl_(std::make_unique<Impl>()) {}
Simulation::~Simulation() = default;
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation&&) noexcept = default;

PartitionId Simulation::add_partition() {
  impl_->require_unbuilt("add a partition");
  return PartitionId{impl_->blueprint.partitions++};
}

EntityId Simulation::add_process(std::unique_ptr<Process> process, PartitionId partition,
                                 std::string name) {
  impl_->require_unbuilt("add a process");
  Blueprint& b = impl_->blueprint;
  if (process == nullptr) throw core::InputError("a process that is null was added");
  if (partition.value >= b.partitions) {
    throw core::InputError("a process was added to partition " + std::to_string(partition.value) +
                           ", but only " + std::to_string(b.partitions) + " exist");
  }
  if (b.processes.size() >= Key::kMaxEntities) {
    throw core::InputError("more than " + std::to_string(Key::kMaxEntities) +
                           " processes: the key of an event cannot name more");
  }
  b.processes.push_back(std::move(process));
  b.partition_of.push_back(partition.value);
  b.names.push_back(std::move(name));
  return EntityId{static_cast<std::uint32_t>(b.processes.size() - 1)};
}

ChannelId Simulation::connect(EntityId from, EntityId to, Duration min_delay) {
  return connect_range(from, to, 1, min_delay);
}

ChannelId Simulation::connect_range(EntityId from, EntityId first, std::uint32_t count,
                                    Duration min_delay) {
  impl_->require_unbuilt("connect processes");
  impl_->require_process(from, "sender");
  impl_->require_process(first, "receiver");
  Blueprint& b = impl_->blueprint;
  if (count == 0) throw core::InputError("a channel to no process at all");
  if (count > b.processes.size() - first.value) {
    impl_->require_process(EntityId{first.value + (count - 1)}, "receiver");
    throw core::InputError("a channel to more processes than there are");
  }
  if (min_delay.ps() < 0) {
    throw core::InputError("the channel from process " + std::to_string(from.value) +
                           " to process " + std::to_string(first.value) +
                           " has a negative minimum delay of " + std::to_string(min_delay.ps()) +
                           " ps");
  }
  b.channels.push_back(Channel{from.value, first.value, count, min_delay.ps()});
  return ChannelId{static_cast<std::uint32_t>(b.channels.size() - 1)};
}

Process& Simulation::process(EntityId id) {
  if (id.value >= impl_->blueprint.processes.size()) {
    throw core::InputError("process " + std::to_string(id.value) + " has not been added");
  }
  return *impl_->blueprint.processes[id.value];
}

RunReport Simulation::Impl::report(const Tally& tally, const RunControl& control, StopReason reason,
                                   const Ranks* ranks) const {
  system->drain_all();
  RunReport r;
  r.reason = reason;
  // A run that was cut short ends where those are that others lead, not where the leaders are.
  const bool cut_short = reason != StopReason::drained;
  std::uint64_t end = 0;
  std::uint64_t led_end = 0;
  for (std::uint32_t p = 0; p < system->size(); ++p) {
    if (ranks != nullptr && !ranks->owns(p)) continue;
    const auto& partition = system->partitions[p];
    end = std::max(end, partition->last_time());
    if (!system->leads(p)) led_end = std::max(led_end, partition->last_time());
    r.hash += partition->hash();
    r.pending += partition->pending();
    r.queue_bytes += static_cast<double>(partition->queue_bytes());
  }
  if (cut_short && led_end > 0) end = led_end;
  r.end = Time::from_ps(static_cast<std::int64_t>(end));
  r.events = tally.events;
  r.windows = tally.windows;
  const auto events = static_cast<double>(tally.events);
  if (tally.windows > 0) r.events_per_window = events / static_cast<double>(tally.windows);
  if (tally.events > 0) r.parallel_fraction = static_cast<double>(tally.parallel_events) / events;
  r.wall_s = control.elapsed_s();
  if (r.wall_s > 0) r.events_per_s = events / r.wall_s;
  r.sequential_s = tally.sequential_s;
  r.parallel_s = tally.parallel_s;
  r.exchange_s = tally.exchange_s;
  return r;
}

System& Simulation::Impl::prepare(const RunOptions& options) {
  if (system == nullptr) {
    system = std::make_unique<System>(blueprint);
    system->start();
  } else {
    for (auto& partition : system->partitions) partition->clear_stop();
  }
  if (options.shuffle_mailboxes) {
    for (std::uint32_t p = 0; p < system->size(); ++p) {
      system->partitions[p]->set_shuffle(*options.shuffle_mailboxes + std::uint64_t{977} * p);
    }
  }
  return *system;
}

RunReport Simulation::Impl::run_here(System& ready, RunControl& control,
                                     const RunOptions& options) const {
  Tally tally;
  Progress progress = Progress::finished;
  StopReason limit = StopReason::drained;
  const std::uint64_t until = end_of(options);
  if (options.executor == ExecutorKind::serial || options.threads == 1 || ready.size() == 1) {
    SequentialLoop loop(ready, control, tally);
    progress = loop.run(until, EventQueue::kNever);
    if (progress == Progress::limit_hit) limit = loop.limit();
    tally.sequential_s = control.elapsed_s();
  } else if (options.always_windows) {
    const auto team = make_team(options);
    WindowLoop loop(ready, control, tally, *team, nullptr);
    progress = loop.run(until, WindowLoop::Clock::time_point::max());
    if (progress == Progress::limit_hit) limit = loop.limit();
  } else {
    const auto team = make_team(options);
    AdaptiveLoop loop(ready, control, tally, *team);
    progress = loop.run(until);
    limit = loop.limit();
  }
  if (const Failure* failure = ready.first_failure()) std::rethrow_exception(failure->error);
  RunReport r = report(tally, control, limit, nullptr);
  if (progress == Progress::finished) r.reason = reason_of(ready.cut() != EventQueue::kNever, r);
  return r;
}

RunReport Simulation::Impl::run_ranks(System& ready, RunControl& control,
                                      const RunOptions& options) const {
  Tally tally;
  Ranks ranks(ready, *options.transport);
  const auto team = make_team(options);
  WindowLoop loop(ready, control, tally, *team, &ranks);
  const Progress progress = loop.run(end_of(options), WindowLoop::Clock::time_point::max());
  ranks.rethrow_failure();
  RunReport r = report(tally, control, StopReason::drained, &ranks);
  ranks.sum_up(r);
  r.events_per_s = r.wall_s > 0 ? static_cast<double>(r.events) / r.wall_s : 0.0;
  if (r.windows > 0) {
    r.events_per_window = static_cast<double>(r.events) / static_cast<double>(r.windows);
  }
  r.reason = progress == Progress::limit_hit ? loop.limit() : reason_of(loop.stopped(), r);
  ranks.share_processes();
  return r;
}

RunReport Simulation::run(const RunOptions& options) {
  if (options.threads < 1) {
    throw core::InputError("the number of threads is " + std::to_string(options.threads) +
                           ": it must be at least 1");
  }
  if (options.executor == ExecutorKind::ranks && options.transport == nullptr) {
    throw core::InputError("a run over ranks was asked for outside of MPI: start it with mpirun");
  }
  if (impl_->blueprint.processes.empty()) return RunReport{};
  RunControl control(options);
  System& system = impl_->prepare(options);
  return options.executor == ExecutorKind::ranks ? impl_->run_ranks(system, control, options)
                                                 : impl_->run_here(system, control, options);
}

}  // namespace foretoken::sim::engine
