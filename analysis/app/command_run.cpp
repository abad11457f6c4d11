// foretoken run: scenario -> simulation -> answer, and a directory with everything behind it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/progress.hpp"
#include "analysis/app/run_traffic.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/training_commands.hpp"
#include "analysis/results_store.hpp"
#include "analysis/study/aggregate.hpp"
#include "analysis/summary.hpp"
#include "analysis/terminal.hpp"
#include "models/serving/arrivals.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/scenario_training.hpp"
#include "scenarios/loader/traffic_scenario.hpp"
#include "sim/dist/mpi_transport.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
namespace engine = sim::engine;
namespace serving = models::serving;
using scenarios::loader::Scenario;

CommandPage run_page() {
  CommandPage page;
  page.synopsis = "run SCENARIO [options]";
  page.about =
      "Simulates the scenario and prints latency, throughput, power and cost, each with where it\n"
      "comes from. Writes summary.json, run.h5, report.html, config.resolved.yaml and\n"
      "manifest.json to the --out folder. A missed SLO is reported; with --require it is exit 5.\n";
  page.examples =
      "  foretoken run scenarios/quickstart.yaml\n"
      "  foretoken run scenarios/quickstart.yaml --set deployment.replicas=2 --json\n"
      "  foretoken run my.yaml --out runs/mine --require\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"out,o", "DIR", "folder of the results (default runs/NAME-HASH)"},
      {"no-files", "", "write no folder"},
      {"json", "", "print only the summary, as JSON"},
      {"set", "PATH=VALUE", "replace one value of the scenario; may be repeated", "", true},
      {"seed", "N", "seed of the random streams (default: the scenario's, or 1)"},
      {"repeats", "N", "independent seeds, the stated one first; prints what is chance", "1"},
      {"threads", "N", "threads; the result does not depend on it", "1"},
      {"executor", "KIND", "auto, serial or threads (under mpirun always ranks)", "auto"},
      {"require", "", "exit 5 if the SLO is missed"},
      {"time-limit", "TIME", "stop after this much wall time, e.g. 30s; exit 6"},
      {"mem-limit", "SIZE",
       "stop above this resident memory, e.g. 2GiB; exit 6 (default: what the machine can bear)"},
      {"progress", "WHEN",
       "auto (a line on stderr if it is a terminal), json (lines on stderr) or none", "auto"},
      {"verbose,v", "", "say on stderr what is being done"},
  };
  return page;
}

engine::RunOptions run_options(const ParsedLine& line) {
  constexpr int kMostThreads = 1024;
  engine::RunOptions options;
  options.threads = static_cast<int>(line.integer("threads", 1, kMostThreads));
  const std::string& executor = line.choice("executor", {"auto", "serial", "threads"});
  const bool threads = executor == "threads" || (executor == "auto" && options.threads > 1);
  options.executor = threads ? engine::ExecutorKind::threads : engine::ExecutorKind::serial;
  options.wall_limit_s = line.seconds("time-limit");
  options.memory_limit_bytes = line.bytes("mem-limit");
  return options;
}

Progress progress_wanted(const ParsedLine& line) {
  const std::string& kind = line.choice("progress", {"auto", "json", "none"});
  return kind == "auto" ? Progress::line : kind == "json" ? Progress::json : Progress::none;
}

// Simulated seconds until the last arrival, for the progress line; 0 = unknown.
double expected_end_s(const serving::WorkloadSpec& workload) {
  double end_s = 0.0;
  if (const auto* trace = std::get_if<serving::TraceArrivals>(&workload.arrivals)) {
    if (trace->requests && !trace->requests->empty()) {
      end_s = 1e-12 * static_cast<double>(trace->requests->back().arrival_ps) / trace->rate_scale;
    }
  } else if (const double rate = serving::offered_rate(workload); rate > 0 && workload.requests) {
    end_s = static_cast<double>(*workload.requests) / rate;
  }
  if (workload.duration) {
    const double stated_s = workload.duration->seconds();
    end_s = end_s > 0 ? std::min(end_s, stated_s) : stated_s;
  }
  return end_s;
}

std::vector<std::string> overrides_of(const ParsedLine& line) {
  std::vector<std::string> overrides = line.list("set");
  for (const std::string& text : overrides) {
    if (text.find('=') == std::string::npos) {
      throw UsageError(fmt::format("--set {}: write PATH=VALUE, e.g. deployment.replicas=2", text));
    }
  }
  if (line.has("seed")) {
    overrides.push_back(fmt::format("seed={}", line.integer("seed", 0)));
  }
  return overrides;
}

// Why the run ended before its last request, and the exit code for it; 0 = it did not.
int early_end(engine::StopReason reason) {
  switch (reason) {
    case engine::StopReason::interrupted:
      fmt::print(stderr, "foretoken: interrupted; what follows is partial\n");
      return kInterrupted;
    case engine::StopReason::time_limit:
      fmt::print(stderr, "foretoken: --time-limit reached; what follows is partial\n");
      return kLimitHit;
    case engine::StopReason::memory_limit:
      fmt::print(stderr,
                 "foretoken: memory limit (--mem-limit) reached; what follows is partial\n");
      return kLimitHit;
    case engine::StopReason::drained:
    case engine::StopReason::until:
    case engine::StopReason::stopped:
      break;
  }
  return kOk;
}

bool ended_early(engine::StopReason reason) {
  using engine::StopReason;
  return reason == StopReason::interrupted || reason == StopReason::time_limit ||
         reason == StopReason::memory_limit;
}

int exit_code(const ServingResult& result, const Metrics& metrics, bool require) {
  if (const int early = early_end(result.run.reason); early != kOk) return early;
  for (const std::string& error : result.conservation_errors) {
    fmt::print(stderr, "foretoken: conservation check failed: {}\n", error);
  }
  if (!result.conservation_errors.empty()) {
    fmt::print(stderr, "This is a bug. Please report it with the scenario and this line: {}\n",
               version_line());
    return kBug;
  }
  if (result.completed == 0) {
    fmt::print(stderr, "foretoken: no request completed ({} arrived, {} rejected)\n",
               result.arrived, result.rejected);
    return kBadInput;
  }
  if (require && !metrics.slo.met) {
    fmt::print(stderr, "foretoken: the SLO is missed and --require was given\n");
    return kGateFailed;
  }
  return kOk;
}

// Said before any work is done. The estimate is a lower one: what passes may still be stopped by
// --mem-limit.
bool fits_memory(const Scenario& scenario, std::optional<double> limit) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  const double needed = serving::simulation_bytes(scenario.serving);
  const double there = std::min(limit.value_or(machine_memory()), machine_memory());
  if (needed <= there) return true;
  fmt::print(
      stderr, "foretoken: this run needs {:.3g} GiB of memory or more, and {:.3g} GiB are {}; {}\n",
      needed / kGiB, there / kGiB, limit && *limit <= there ? "allowed by --mem-limit" : "there",
      scenario.serving.record_one_in > 0
          ? "records: none, or a smaller sample (one_in: 1000), forgets requests that are "
            "done; or shorten the workload"
          : "simulate fewer replicas");
  return false;
}

// Where none is stated: better partial results than a killed program. Records of requests take as
// much again once they become results. Ranks on one machine share it.
double memory_limit(const Scenario& scenario) {
  constexpr double kWithRecords = 0.45, kWithout = 0.9;
  const char* const ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  const double here = ranks != nullptr ? std::max(1.0, std::atof(ranks)) : 1.0;
  const bool records = scenario.serving.record_one_in == 1;
  return (records ? kWithRecords : kWithout) * machine_memory() / here;
}

struct Simulated {
  Scenario scenario;
  ServingResult result;
  Metrics metrics;
};

Simulated simulate(Scenario scenario, engine::RunOptions options, Progress show_progress,
                   const fs::path& home) {
  auto calibration = load_calibration(home, scenario);
  log_info(fmt::format("{} tables of measurements loaded", calibration->tables.size()));
  ProgressLine progress(show_progress, expected_end_s(scenario.serving.workload));
  options.progress = progress.callback();
  ServingResult result = serving::simulate(scenario.serving, std::move(calibration), options);
  log_info(fmt::format("{} events in {:.3f} s", result.run.events, result.run.wall_s));
  Metrics metrics = summarise(scenario, result);
  return {std::move(scenario), std::move(result), std::move(metrics)};
}

// Figures of a run by their key in summary.json, for their spread over seeds.
std::vector<std::pair<std::string, double>> figures_of(const Metrics& m) {
  return {{"p50_ttft_ms", m.ttft.p50 * 1e3},
          {"p99_ttft_ms", m.ttft.p99 * 1e3},
          {"p50_tpot_ms", m.tpot.p50 * 1e3},
          {"p99_tpot_ms", m.tpot.p99 * 1e3},
          {"p99_e2el_ms", m.e2el.p99 * 1e3},
          {"output_throughput", m.output_rate.value},
          {"slo.attainment.value", m.slo.attainment},
          {"energy.mean_gpu_watts", m.energy.mean_gpu_watts},
          {"cost.per_million_output_tokens.cny", m.cost.cny_per_million_output_tokens}};
}

// The same scenario with the seeds after its own; false when it ended early.
bool repeat(Simulated& run, int repeats, engine::RunOptions options, const fs::path& home) {
  const auto calibration = load_calibration(home, run.scenario);
  options.progress = nullptr;
  auto figures = figures_of(run.metrics);
  std::vector<std::vector<double>> values;
  for (const auto& [key, value] : figures) values.push_back({value});
  run.metrics.seeds = repeats;
  run.metrics.seeds_meeting_slo = run.metrics.slo.met ? 1 : 0;
  Scenario scenario = run.scenario;
  for (int i = 1; i < repeats; ++i) {
    ++scenario.serving.seed;
    const ServingResult result = serving::simulate(scenario.serving, calibration, options);
    if (ended_early(result.run.reason) || !result.conservation_errors.empty()) return false;
    const Metrics metrics = summarise(scenario, result);
    run.metrics.seeds_meeting_slo += metrics.slo.met ? 1 : 0;
    const auto again = figures_of(metrics);
    for (std::size_t f = 0; f < again.size(); ++f) values[f].push_back(again[f].second);
  }
  for (std::size_t f = 0; f < figures.size(); ++f) {
    const auto over = study::aggregate(values[f]);
    if (over.n >= 2)
      run.metrics.over_seeds.push_back(
          {figures[f].first, over.mean, over.mean - over.half_width, over.mean + over.half_width});
  }
  return true;
}

RunInfo run_info(const Invocation& invocation, const ParsedLine& line,
                 std::chrono::steady_clock::time_point start) {
  RunInfo info;
  info.version = FORETOKEN_VERSION;
  info.replay_command = shell_quoted(invocation.argv);
  info.threads = static_cast<int>(line.integer("threads", 1));
  info.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const ResourceUse used = resource_use();
  info.cpu_s = used.cpu_s;
  info.peak_rss_mib = used.peak_rss_mib;
  return info;
}

}  // namespace

int run_command(const Invocation& invocation) {
  const auto start = std::chrono::steady_clock::now();
  const auto line = parse(run_page(), invocation);
  if (!line) return kOk;
  log_to_stderr(line->has("verbose"));
  const bool files = !line->has("no-files");
  if (!files && line->has("out")) throw UsageError("--out and --no-files exclude each other");
  if (scenarios::loader::is_training_scenario(line->arguments[0]))
    return run_training(invocation, *line);

  if (scenarios::loader::is_traffic_scenario(line->arguments[0]))
    return run_traffic(invocation, *line, overrides_of(*line));
  engine::RunOptions options = run_options(*line);
  // Under mpirun every rank runs its share of the partitions; rank 0 holds the result and speaks.
  const auto transport = sim::dist::make_mpi_transport();
  const bool speaks = transport == nullptr || transport->rank() == 0;
  if (transport != nullptr) {
    options.executor = engine::ExecutorKind::ranks;
    options.transport = transport.get();
  }
  if (!speaks) silence_output();
  const Progress progress = speaks ? progress_wanted(*line) : Progress::none;

  Scenario scenario = load_with_warnings(line->arguments[0], invocation.home, overrides_of(*line));
  if (line->has("require") && scenario.slo.empty()) {
    throw UsageError("--require was given but the scenario states no slo");
  }
  const fs::path directory =
      line->has("out") ? fs::path(line->text("out")) : default_run_directory(scenario);
  if (!fits_memory(scenario, options.memory_limit_bytes)) return kLimitHit;
  if (!options.memory_limit_bytes) options.memory_limit_bytes = memory_limit(scenario);
  if (files && speaks) check_writable(directory);  // before the work, not after it

  const InterruptGuard interrupt;  // until the files are whole
  options.interrupt = interrupt.flag();
  Simulated run = simulate(std::move(scenario), options, progress, invocation.home);
  const int repeats = static_cast<int>(line->integer("repeats", 1, 10'000));
  const bool whole = repeats == 1 || ended_early(run.result.run.reason) ||
                     repeat(run, repeats, options, invocation.home);
  if (!speaks) return kOk;
  int code = exit_code(run.result, run.metrics, line->has("require"));
  if (!whole && code == kOk) code = kInterrupted;
  const RunInfo info = run_info(invocation, *line, start);
  if (files) write_run(directory, run.scenario, run.result, run.metrics, info);
  if (line->has("json")) {
    std::cout << summary_json(run.scenario, run.result, run.metrics, info);
  } else {
    TerminalOptions terminal;
    if (files) terminal.report = directory / "report.html";
    std::cout << terminal_answer(run.scenario, run.result, run.metrics, info, terminal);
  }
  return code;
}

}  // namespace foretoken::analysis::app
