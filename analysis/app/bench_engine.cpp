#include "analysis/app/bench_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "sim/core/error.hpp"
#include "sim/engine/phold.hpp"

namespace {
// Counted for `allocations_per_event`; each thread counts its own.
thread_local constinit std::uint64_t allocations = 0;

void* counted(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
  void* const p = alignment <= alignof(std::max_align_t)
                      ? std::malloc(bytes > 0 ? bytes : 1)
                      : std::aligned_alloc(alignment, whole > 0 ? whole : alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

void* operator new(std::size_t n) { return counted(n, 1); }
void* operator new[](std::size_t n) { return counted(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) {
  return counted(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return counted(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace foretoken::analysis::app {
namespace {

namespace engine = sim::engine;

constexpr int kRepeats = 3;
constexpr double kWarmUp = 0.15;         // of the simulated duration, before anything is timed
constexpr double kLeastEvents = 4e6;     // a repeat
constexpr double kTurnovers = 6.0;       // events run for each pending one, at least
constexpr double kYardstickShare = 0.5;  // of the events of a repeat

constexpr std::int64_t kMostPending = 1'000'000'000;
constexpr std::int64_t kMostPartitions = 1'000'000;
constexpr std::int64_t kMostOperations = 3'000'000'000;  // what a process may schedule

std::uint64_t count(const ParsedLine& line, const char* option, std::int64_t most) {
  return static_cast<std::uint64_t>(line.integer(option, 1, most));
}

CommandPage phold_page() {
  CommandPage page;
  page.synopsis = "bench phold [options]";
  page.about =
      "PHOLD: events circulate among processes, each scheduling one more after the lookahead plus\n"
      "an exponential delay of mean 1. Best of three. The yardstick is the same model on one\n"
      "std::priority_queue, without processes or checks; its ratio compares CPU time on one\n"
      "thread and wall time on several. The hash depends on the model, never on --threads.\n";
  page.options = {
      {"pending", "N", "events that circulate", "16384"},
      {"threads", "N", "threads", "1"},
      {"partitions", "N", "partitions (default: what suits the pending events)"},
      {"lookahead", "X", "least delay, in mean delays", "1"},
      {"remote", "X", "share of events sent to a random process", "0.25"},
      {"json", "", "one JSON object (the only format)"},
  };
  return page;
}

double cpu_now() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Rate {
  double per_wall_s = 0.0;
  double per_cpu_s = 0.0;
  void best_of(double events, double wall_s, double cpu_s) {
    if (wall_s > 0) per_wall_s = std::max(per_wall_s, events / wall_s);
    if (cpu_s > 0) per_cpu_s = std::max(per_cpu_s, events / cpu_s);
  }
};

struct PholdRuns {
  Rate engine;
  Rate yardstick;
  engine::RunReport last;
  std::uint64_t hash = 0;
  double allocations_per_event = 0.0;
};

void run_engine(const engine::PholdOptions& phold, const engine::RunOptions& run, PholdRuns& runs) {
  engine::Simulation simulation = engine::make_phold(phold);
  engine::RunOptions options = run;
  const engine::Time end = engine::phold_end(phold);
  options.until =
      engine::Time::from_ps(static_cast<std::int64_t>(kWarmUp * static_cast<double>(end.ps())));
  simulation.run(options);
  options.until = end;
  const double cpu_before = cpu_now();
  const std::uint64_t allocated_before = allocations;
  runs.last = simulation.run(options);
  const auto events = static_cast<double>(runs.last.events);
  runs.allocations_per_event = static_cast<double>(allocations - allocated_before) / events;
  runs.engine.best_of(events, runs.last.wall_s, cpu_now() - cpu_before);
  SIM_ASSERT(runs.hash == 0 || runs.hash == runs.last.hash, "two equal runs differ");
  runs.hash = runs.last.hash;
}

void run_yardstick(engine::PholdOptions phold, PholdRuns& runs) {
  phold.duration *= kYardstickShare;
  const auto result = engine::run_yardstick(phold);
  runs.yardstick.best_of(static_cast<double>(result.events), result.wall_s, result.cpu_s);
}

engine::PholdOptions phold_options(const ParsedLine& line) {
  auto phold = engine::phold_defaults(count(line, "pending", kMostPending));
  phold.lookahead = line.number("lookahead", 1e-6, 1e6);
  phold.remote = line.number("remote", 0.0, 1.0);
  if (line.has("partitions")) {
    phold.partitions = static_cast<std::uint32_t>(count(line, "partitions", kMostPartitions));
    phold.processes = std::max(phold.processes, phold.partitions);
  }
  const auto pending = static_cast<double>(std::max<std::uint64_t>(phold.pending, 1));
  const double events = std::max(kLeastEvents, kTurnovers * pending);
  phold.duration = (1.0 + phold.lookahead) * events / pending;
  return phold;
}

}  // namespace

int bench_phold(const Invocation& invocation) {
  const auto line = parse(phold_page(), invocation);
  if (!line) return kOk;
  const engine::PholdOptions phold = phold_options(*line);
  engine::RunOptions options;
  options.threads = static_cast<int>(line->integer("threads", 1, 1024));
  if (options.threads > 1) options.executor = engine::ExecutorKind::threads;

  PholdRuns runs;
  const double cpu_before = cpu_now();
  for (int i = 0; i < kRepeats; ++i) {  // taking turns, so that both see the same machine
    run_engine(phold, options, runs);
    run_yardstick(phold, runs);
  }
  const double ratio = options.threads == 1 ? runs.engine.per_cpu_s / runs.yardstick.per_cpu_s
                                            : runs.engine.per_wall_s / runs.yardstick.per_wall_s;
  const engine::RunReport& last = runs.last;
  const nlohmann::ordered_json json = {
      {"bench", "phold"},
      {"pending", phold.pending},
      {"processes", phold.processes},
      {"partitions", phold.partitions},
      {"threads", options.threads},
      {"lookahead", phold.lookahead},
      {"remote", phold.remote},
      {"events", last.events},
      {"events_per_s", runs.engine.per_wall_s},
      {"events_per_cpu_s", runs.engine.per_cpu_s},
      {"yardstick_events_per_s", runs.yardstick.per_wall_s},
      {"yardstick_events_per_cpu_s", runs.yardstick.per_cpu_s},
      {"yardstick_ratio", ratio},
      {"windows", last.windows},
      {"events_per_window", last.events_per_window},
      {"parallel_fraction", last.parallel_fraction},
      {"sequential_s", last.sequential_s},
      {"parallel_s", last.parallel_s},
      {"exchange_s", last.exchange_s},
      {"bytes_per_pending_event", last.queue_bytes / static_cast<double>(last.pending)},
      {"allocations_per_event", runs.allocations_per_event},
      {"cpu_s", cpu_now() - cpu_before},
      {"wall_s", last.wall_s},
      {"peak_rss_mib", resource_use().peak_rss_mib},
      {"hash", fmt::format("{:016x}", runs.hash)}};
  std::cout << json.dump(2) << '\n';
  return kOk;
}

namespace {

CommandPage queue_page() {
  CommandPage page;
  page.synopsis = "bench queue [options]";
  page.about =
      "The pending-event set alone: pops the earliest event and pushes a later one, against a\n"
      "std::priority_queue of the same keys and payloads; both must pop in the same order. Best\n"
      "of three.\n";
  page.options = {
      {"pending", "N", "events in the queue", "16384"},
      {"operations", "N", "pops, each with its push", "4000000"},
      {"cancel-every", "N", "cancel and replace every N-th event; 0: none", "0"},
      {"json", "", "one JSON object (the only format)"},
  };
  return page;
}

}  // namespace

int bench_queue(const Invocation& invocation) {
  const auto line = parse(queue_page(), invocation);
  if (!line) return kOk;
  const auto pending = count(*line, "pending", kMostPending);
  const auto operations = count(*line, "operations", kMostOperations);
  const auto cancel_every = static_cast<std::uint64_t>(line->integer("cancel-every", 0));
  Rate queue;
  Rate yardstick;
  double wall_s = 0.0;
  std::uint64_t check = 0;
  const double cpu_before = cpu_now();
  for (int i = 0; i < kRepeats; ++i) {
    const auto result = engine::run_hold(pending, operations, cancel_every);
    queue.best_of(static_cast<double>(operations), result.queue_s, 0.0);
    yardstick.best_of(static_cast<double>(operations), result.yardstick_s, 0.0);
    wall_s += result.queue_s;
    check = result.check;
  }
  const nlohmann::ordered_json json = {{"bench", "queue"},
                                       {"pending", pending},
                                       {"operations", operations},
                                       {"cancel_every", cancel_every},
                                       {"operations_per_s", queue.per_wall_s},
                                       {"yardstick_operations_per_s", yardstick.per_wall_s},
                                       {"yardstick_ratio", queue.per_wall_s / yardstick.per_wall_s},
                                       {"cpu_s", cpu_now() - cpu_before},
                                       {"wall_s", wall_s},
                                       {"peak_rss_mib", resource_use().peak_rss_mib},
                                       {"hash", fmt::format("{:016x}", check)}};
  std::cout << json.dump(2) << '\n';
  return kOk;
}

}  // namespace foretoken::analysis::app
