#include "sim/engine/simulation.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/core/error.hpp"
#include "sim/engine/control.hpp"
#include "sim/engine/sequential.hpp"
#include "sim/engine/system.hpp"

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
  RunReport report(const Tally& tally, const RunControl& control, StopReason reason) const;
};

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

RunReport Simulation::Impl::report(const Tally& tally, const RunControl& control,
                                   StopReason reason) const {
  RunReport r;
  r.reason = reason;
  std::uint64_t end = 0;
  for (const auto& partition : system->partitions) {
    end = std::max(end, partition->last_time());
    r.hash += partition->hash();
    r.pending += partition->pending();
    r.queue_bytes += static_cast<double>(partition->queue_bytes());
  }
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

RunReport Simulation::run(const RunOptions& options) {
  if (impl_->blueprint.processes.empty()) return RunReport{};
  RunControl control(options);
  if (impl_->system == nullptr) {
    impl_->system = std::make_unique<System>(impl_->blueprint);
    impl_->system->start();
  } else {
    for (auto& partition : impl_->system->partitions) partition->clear_stop();
  }
  System& system = *impl_->system;
  const std::uint64_t until =
      options.until == Time::never()
          ? EventQueue::kNever
          : static_cast<std::uint64_t>(std::max<std::int64_t>(options.until.ps(), 0));
  Tally tally;
  SequentialLoop loop(system, control, tally);
  const Progress progress = loop.run(until, EventQueue::kNever);
  tally.sequential_s = control.elapsed_s();
  if (const Failure* failure = system.first_failure()) std::rethrow_exception(failure->error);
  StopReason reason = StopReason::drained;
  if (progress == Progress::limit_hit) {
    reason = loop.limit();
  } else if (system.cut() != EventQueue::kNever) {
    reason = StopReason::stopped;
  } else {
    system.drain_all();
    for (const auto& partition : system.partitions) {
      if (partition->pending() > 0) reason = StopReason::until;
    }
  }
  return impl_->report(tally, control, reason);
}

}  // namespace foretoken::sim::engine
