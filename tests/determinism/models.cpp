#include "tests/determinism/models.hpp"

#include <bit>
#include <cstring>
#include <utility>

#include "sim/core/random.hpp"
#include "sim/engine/phold.hpp"

namespace foretoken::tests {

using namespace sim::engine;
using sim::core::Random;

namespace {

constexpr Duration ps(std::int64_t n) { return Duration::picoseconds(n); }

std::uint64_t fold(std::uint64_t digest, std::uint64_t value) {
  return (std::rotl(digest, 13) ^ value) * 0x9e3779b97f4a7c15U;
}

// A process that carries a digest of what it did, across ranks too.
class Digesting : public Process {
 public:
  void save(std::vector<std::byte>& out) const override {
    out.resize(sizeof digest_);
    std::memcpy(out.data(), &digest_, sizeof digest_);
  }
  void restore(std::span<const std::byte> in) override {
    std::memcpy(&digest_, in.data(), sizeof digest_);
  }
  [[nodiscard]] std::uint64_t digest() const { return digest_; }

 protected:
  std::uint64_t digest_ = 1;
};

class MixedProcess final : public Digesting {
 public:
  explicit MixedProcess(std::uint32_t id) : random_(42, id, 0) {}
  void add_channel(ChannelId channel, Duration least) { channels_.emplace_back(channel, least); }

  void start(Context& context) override {
    for (int i = 0; i < 3; ++i) context.schedule(ps(random_.integer(0, 40)), kWork);
  }
  void handle(Context& context, const Event& event) override {
    sum_ += 1e-3 * static_cast<double>(event.time.ps() % 1000) / (1.0 + event.source.value);
    digest_ = fold(digest_, event.kind + std::bit_cast<std::uint64_t>(sum_) +
                                event.payload.as<std::uint32_t>());
    if (event.kind != kWork) {
      if (event.kind == kMessage && context.cancel(timer_)) digest_ = fold(digest_, 99);
      if (event.kind == kMessage && random_.chance(0.3)) context.schedule(ps(0), kZero);
      return;
    }
    work(context);
  }

 private:
  enum Kind : std::uint32_t { kWork, kMessage, kTimer, kZero };

  Priority some_priority() {
    constexpr Priority kAll[] = {Priority::urgent, Priority::normal, Priority::late,
                                 Priority::bookkeeping};
    return kAll[random_.below(4)];
  }
  void work(Context& context) {
    if (random_.chance(0.5)) {
      const auto& [channel, least] = channels_[random_.below(channels_.size())];
      // Multiples of 5 ps: many messages meet at the same time.
      const auto body = static_cast<std::uint32_t>(random_.below(1000));
      context.send(channel, least + ps(5 * random_.integer(0, 4)), kMessage, Payload(body),
                   some_priority());
    }
    context.cancel(timer_);
    timer_ = context.schedule(ps(random_.integer(1, 60)), kTimer);
    const Duration pause = ps(5 * random_.integer(1, 20));
    context.schedule(pause, kWork, {}, some_priority());
    // Only kWork sends, but the other two chains of work may come sooner: promise nothing early.
    context.promise(context.now(), random_.chance(0.5));
  }

  Random random_;
  std::vector<std::pair<ChannelId, Duration>> channels_;
  EventHandle timer_;
  double sum_ = 0.0;
};

class FrontEnd final : public Digesting {
 public:
  explicit FrontEnd(std::uint32_t replicas) : replicas_(replicas) {}
  void set_channel(ChannelId channel) { channel_ = channel; }
  void start(Context& context) override { next(context); }
  void handle(Context& context, const Event& event) override {
    digest_ = fold(digest_, static_cast<std::uint64_t>(event.time.ps()) + event.source.value);
    if (event.source != event.target) return;
    const auto to = static_cast<std::uint32_t>(sent_++ % replicas_);
    const Payload body(static_cast<std::uint32_t>(random_.integer(1, 8)));
    context.send_to(channel_, to, ps(20), 1, body);
    next(context);
  }

 private:
  void next(Context& context) {
    const Duration gap = ps(random_.integer(1, 400));
    context.schedule(gap, 0);
    context.promise(context.now() + gap, false);
  }
  Random random_{7, 0, 0};
  std::uint32_t replicas_;
  std::uint64_t sent_ = 0;
  ChannelId channel_;
};

class Replica final : public Digesting {
 public:
  explicit Replica(std::uint32_t id) : random_(7, id, 1) {}
  void set_channel(ChannelId channel) { channel_ = channel; }
  void start(Context& context) override { context.promise(Time::never(), true); }
  void handle(Context& context, const Event& event) override {
    digest_ = fold(digest_, static_cast<std::uint64_t>(event.time.ps()) + event.kind);
    if (event.source != event.target) {
      steps_ += event.payload.as<std::uint32_t>();
      if (!stepping_) step(context);
      return;
    }
    --steps_;
    if (steps_ % 3 == 0) context.send(channel_, ps(20), 2);
    stepping_ = steps_ > 0;
    if (stepping_) {
      step(context);
    } else {
      context.promise(Time::never(), true);
    }
  }

 private:
  void step(Context& context) {
    stepping_ = true;
    const Duration length = ps(random_.integer(100, 900));
    context.schedule(length, 0);
    context.promise(context.now() + length, false);
  }
  Random random_;
  std::uint32_t steps_ = 0;
  bool stepping_ = false;
  ChannelId channel_;
};

}  // namespace

Built make_mixed(std::uint32_t partitions) {
  constexpr std::uint32_t kProcesses = 128;
  Built built;
  Simulation& s = built.simulation;
  for (std::uint32_t p = 0; p < partitions; ++p) s.add_partition();
  std::vector<MixedProcess*> processes;
  for (std::uint32_t i = 0; i < kProcesses; ++i) {
    auto process = std::make_unique<MixedProcess>(i);
    processes.push_back(process.get());
    built.processes.push_back(s.add_process(std::move(process), PartitionId{(i / 2) % partitions}));
  }
  const auto link = [&](std::uint32_t a, std::uint32_t b, Duration least) {
    processes[a]->add_channel(s.connect(EntityId{a}, EntityId{b}, least), least);
  };
  for (std::uint32_t i = 0; i < kProcesses; ++i) {
    link(i, i ^ 1U, ps(0));  // its twin, always in the same partition
    link(i, (i + 2) % kProcesses, ps(10));
    link(i, (7 * i + 3) % kProcesses, ps(25));
  }
  built.until = Time::from_ps(12'000);
  return built;
}

Built make_star(std::uint32_t partitions) {
  const std::uint32_t replicas = 63;
  Built built;
  Simulation& s = built.simulation;
  for (std::uint32_t p = 0; p < partitions; ++p) s.add_partition();
  auto front = std::make_unique<FrontEnd>(replicas);
  FrontEnd& front_end = *front;
  built.processes.push_back(s.add_process(std::move(front), PartitionId{0}, "front end"));
  std::vector<Replica*> made;
  for (std::uint32_t i = 1; i <= replicas; ++i) {
    auto replica = std::make_unique<Replica>(i);
    made.push_back(replica.get());
    built.processes.push_back(s.add_process(std::move(replica), PartitionId{i % partitions}));
  }
  front_end.set_channel(s.connect_range(EntityId{0}, EntityId{1}, replicas, ps(20)));
  for (std::uint32_t i = 1; i <= replicas; ++i) {
    made[i - 1]->set_channel(s.connect(EntityId{i}, EntityId{0}, ps(20)));
  }
  built.until = Time::from_ps(250'000);
  return built;
}

Built make_circulation(std::uint32_t partitions) {
  PholdOptions options;
  options.pending = 512;
  options.processes = 128;
  options.partitions = partitions;
  options.lookahead = 0.2;
  options.duration = 20.0;
  Built built{make_phold(options), {}, phold_end(options)};
  return built;
}

Outcome run(Built built, const RunOptions& options) {
  RunOptions with_end = options;
  with_end.until = built.until;
  const RunReport report = built.simulation.run(with_end);
  Outcome outcome{report.hash, 0, report.events, report.end.ps()};
  for (const EntityId id : built.processes) {
    const auto& process = dynamic_cast<const Digesting&>(built.simulation.process(id));
    outcome.digest = fold(outcome.digest, process.digest());
  }
  return outcome;
}

}  // namespace foretoken::tests
