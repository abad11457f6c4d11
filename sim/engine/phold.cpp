#include "sim/engine/phold.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <ctime>
#include <queue>
#include <stdexcept>
#include <vector>

#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::sim::engine {

namespace {

constexpr double kUnit = 1e6;  // picoseconds in a mean delay

Duration units(double u) { return Duration::picoseconds(static_cast<std::int64_t>(u * kUnit)); }

class PholdProcess final : public Process {
 public:
  PholdProcess(const PholdOptions& options, std::uint32_t id, std::uint64_t events)
      : random_(options.seed, id, 0),
        lookahead_(options.lookahead * kUnit),
        remote_(options.remote),
        processes_(options.processes),
        events_(events) {}

  void set_channel(ChannelId channel) { channel_ = channel; }

  void start(Context& context) override {
    for (std::uint64_t i = 0; i < events_; ++i) context.schedule(delay(), 0);
  }
  void handle(Context& context, const Event&) override {
    const Duration after = delay();
    if (random_.uniform() < remote_) {
      const auto to = static_cast<std::uint32_t>(random_.below(processes_));
      context.send_to(channel_, to, after, 0);
    } else {
      context.schedule(after, 0);
    }
  }

 private:
  Duration delay() {
    return Duration::picoseconds(
        static_cast<std::int64_t>(lookahead_ + random_.exponential(kUnit)));
  }

  core::Random random_;
  double lookahead_;
  double remote_;
  std::uint64_t processes_;
  std::uint64_t events_;
  ChannelId channel_;
};

void check(const PholdOptions& o) {
  const auto require = [](bool holds, const char* words) {
    if (!holds) throw core::InputError(words);
  };
  require(o.pending >= 1, "PHOLD needs at least one pending event");
  require(o.partitions >= 1 && o.partitions <= o.processes,
          "PHOLD needs from one partition up to one a process");
  require(o.processes >= 1 && o.processes < Key::kMaxEntities, "PHOLD has too many processes");
  require(o.lookahead >= 0.0 && o.lookahead <= 1e6, "the lookahead must lie between 0 and 1e6");
  require(o.partitions == 1 || o.lookahead * kUnit >= 1.0,
          "a lookahead of zero allows only one partition");
  require(o.remote >= 0.0 && o.remote <= 1.0, "the remote fraction must lie between 0 and 1");
  require(o.duration > 0.0 && o.duration <= 1e12, "the duration must be positive");
}

// How many of the initial events a process gets.
std::uint64_t share(const PholdOptions& o, std::uint32_t process) {
  return o.pending / o.processes + (process < o.pending % o.processes ? 1 : 0);
}

}  // namespace

PholdOptions phold_defaults(std::uint64_t pending) {
  PholdOptions options;
  options.pending = pending;
  const std::uint64_t partitions = std::clamp<std::uint64_t>(pending / 256, 32, 1024);
  options.partitions = static_cast<std::uint32_t>(std::bit_ceil(partitions));
  options.processes = std::max(1024U, 4 * options.partitions);
  return options;
}

Time phold_end(const PholdOptions& options) { return Time::zero() + units(options.duration); }

Simulation make_phold(const PholdOptions& options) {
  check(options);
  Simulation simulation;
  for (std::uint32_t p = 0; p < options.partitions; ++p) simulation.add_partition();
  std::vector<PholdProcess*> processes;
  for (std::uint32_t i = 0; i < options.processes; ++i) {
    auto process = std::make_unique<PholdProcess>(options, i, share(options, i));
    processes.push_back(process.get());
    const std::uint64_t partition = std::uint64_t{i} * options.partitions / options.processes;
    simulation.add_process(std::move(process), PartitionId{static_cast<std::uint32_t>(partition)});
  }
  for (std::uint32_t i = 0; i < options.processes; ++i) {
    processes[i]->set_channel(simulation.connect_range(EntityId{i}, EntityId{0}, options.processes,
                                                       units(options.lookahead)));
  }
  return simulation;
}

YardstickResult run_yardstick(const PholdOptions& options) {
  check(options);
  struct Pending {
    std::int64_t time;
    std::uint64_t order;
    std::uint32_t target;
  };
  const auto later = [](const Pending& a, const Pending& b) {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
  };
  std::vector<core::Random> random;
  std::priority_queue<Pending, std::vector<Pending>, decltype(later)> queue(later);
  std::uint64_t order = 0;
  const double lookahead = options.lookahead * kUnit;
  for (std::uint32_t i = 0; i < options.processes; ++i) {
    random.emplace_back(options.seed, i, 0);
    for (std::uint64_t k = 0; k < share(options, i); ++k) {
      const double delay = lookahead + random[i].exponential(kUnit);
      queue.push({static_cast<std::int64_t>(delay), order++, i});
    }
  }
  const std::int64_t end = phold_end(options).ps();
  YardstickResult result;
  const std::clock_t cpu_begin = std::clock();
  const auto begin = std::chrono::steady_clock::now();
  while (queue.top().time < end) {
    const Pending now = queue.top();
    queue.pop();
    ++result.events;
    core::Random& draw = random[now.target];
    const double delay = lookahead + draw.exponential(kUnit);
    std::uint32_t target = now.target;
    if (draw.uniform() < options.remote) {
      target = static_cast<std::uint32_t>(draw.below(options.processes));
    }
    queue.push({now.time + static_cast<std::int64_t>(delay), order++, target});
  }
  result.cpu_s = static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC;
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

namespace {

using Carried = std::array<std::byte, Payload::kBytes>;
struct Held {
  Key key;
  Carried payload;
};
constexpr auto kLater = [](const Held& a, const Held& b) { return b.key < a.key; };
using Yardstick = std::priority_queue<Held, std::vector<Held>, decltype(kLater)>;

std::uint64_t fold(std::uint64_t check, const Key& key) {
  return std::rotl(check, 9) ^ (key.time * 31 + key.order);
}

// The same draws for both queues, so that both see the same keys.
class HoldDraws {
 public:
  Key next(std::uint64_t now) {
    const auto delay = static_cast<std::uint64_t>(random_.exponential(kUnit));
    return Key::make(now + delay, Priority::normal, 0, sequence_++);
  }

 private:
  core::Random random_{1, 0, 0};
  std::uint32_t sequence_ = 0;
};

}  // namespace

HoldResult run_hold(std::uint64_t pending, std::uint64_t operations, std::uint64_t cancel_every) {
  const auto seconds_since = [](std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  HoldResult result;
  result.operations = operations;
  {
    HoldDraws draws;
    EventQueue queue;
    for (std::uint64_t i = 0; i < pending; ++i) queue.push(draws.next(0), 0, 0, Payload(Carried()));
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t i = 1; i <= operations; ++i) {
      const std::uint64_t now = queue.next_time();
      const Payload payload = *queue.top_payload();
      result.check = fold(result.check, queue.top_key());
      queue.pop();
      const Key key = draws.next(now);
      const EventHandle handle = queue.push(key, 0, 0, payload);
      if (cancel_every == 0 || i % cancel_every != 0) continue;
      queue.cancel(handle, 0);
      queue.push(key, 0, 0, payload);
    }
    result.queue_s = seconds_since(begin);
  }
  HoldDraws draws;
  Yardstick queue(kLater);
  for (std::uint64_t i = 0; i < pending; ++i) queue.push({draws.next(0), Carried()});
  std::uint64_t check = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < operations; ++i) {
    const Held held = queue.top();
    queue.pop();
    check = fold(check, held.key);
    queue.push({draws.next(held.key.time), held.payload});
  }
  result.yardstick_s = seconds_since(begin);
  SIM_ASSERT(check == result.check,
             "the pending-event set popped in another order than "
             "std::priority_queue");
  return result;
}

}  // namespace foretoken::sim::engine
