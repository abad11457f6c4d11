// foretoken sweep: one scenario at many values.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/progress.hpp"
#include "analysis/app/session.hpp"
#include "analysis/study/sweep.hpp"
#include "sim/dist/mpi_transport.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;

CommandPage sweep_page() {
  CommandPage page;
  page.synopsis = "sweep SWEEP.yaml [options]";
  page.about =
      "Simulates a scenario at many values: grid, list, random samples, or a search along the\n"
      "Pareto front of several metrics. Results lie in the --out folder: sweep.h5 and sweep.csv\n"
      "with all points, points/ with one file each. A point that fails does not stop the others.\n"
      "Under mpirun the ranks share the points; the results are the same.\n";
  page.examples =
      "  foretoken sweep scenarios/sweep/replicas.yaml --threads 2\n"
      "  foretoken sweep my-sweep.yaml --dry-run\n"
      "  mpirun -np 4 ./foretoken sweep my-sweep.yaml --out runs/mine\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"out,o", "DIR", "folder of the results (default runs/sweep-NAME)"},
      {"resume", "", "go on in a folder that holds points of this sweep"},
      {"dry-run", "", "print the points and the time they would take, and stop"},
      {"threads", "N", "points at a time; the results do not depend on it", "1"},
      {"json", "", "print only what came of it, as JSON"},
  };
  return page;
}

fs::path default_folder(const study::SweepSpec& spec) {
  return fs::path("runs") / ("sweep-" + spec.file.stem().string());
}

std::size_t points_planned(const study::SweepSpec& spec) {
  const std::size_t points = spec.points.size() + (spec.adaptive ? spec.adaptive->points : 0);
  return points * static_cast<std::size_t>(spec.repeats);
}

int dry_run(const study::SweepSpec& spec, const study::Evaluator& evaluator, int threads,
            const std::atomic<bool>* interrupt) {
  std::size_t number = 0;
  for (const auto& point : spec.points) {
    std::string line = fmt::format("{:5}", number++);
    for (const auto& [path, value] : point) line += fmt::format("  {}={}", path, value);
    std::cout << line << "\n";
  }
  if (spec.adaptive)
    std::cout << fmt::format("and up to {} points along the Pareto front\n", spec.adaptive->points);
  // The first point stands for all: they are the same traffic on other deployments.
  study::Point first;
  if (!spec.points.empty()) {
    first = spec.points.front();
  } else {
    for (const auto& axis : spec.adaptive->axes) first.push_back({axis.path, axis.values.front()});
  }
  const auto start = std::chrono::steady_clock::now();
  (void)evaluator.evaluate(study::overrides_of(spec, first, spec.seed), true, interrupt);
  const double one_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cout << fmt::format(
      "{} simulations ({} a point), about {} on {} thread{}: the first took {:.2f} s\n",
      points_planned(spec), spec.repeats,
      clock_text(one_s * static_cast<double>(points_planned(spec)) / threads), threads,
      threads == 1 ? "" : "s", one_s);
  return kOk;
}

void print_json(const study::SweepSpec& spec, const study::SweepReport& report,
                const fs::path& folder) {
  nlohmann::ordered_json json;
  json["sweep"] = spec.name;
  json["directory"] = folder.string();
  json["rows"] = report.rows.size();
  json["ok"] = report.ok;
  json["failed"] = report.failed;
  json["found"] = report.found;
  json["points"] = nlohmann::ordered_json::array();
  for (const auto& row : report.rows) {
    nlohmann::ordered_json point;
    point["point"] = row.number;
    point["seed"] = row.seed;
    point["status"] = study::to_string(row.result.status);
    if (!row.result.error.empty()) point["error"] = row.result.error;
    for (const auto& [path, value] : row.point) point["parameters"][path] = value;
    point["metrics"] = row.result.metrics;
    json["points"].push_back(std::move(point));
  }
  std::cout << json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void print_table(const study::SweepReport& report, const fs::path& folder) {
  constexpr std::size_t kShown = 40;
  std::cout << fmt::format("{:>5}  {:>10} {:>10} {:>12} {:>9}  {}\n", "point", "TTFT p99",
                           "TPOT p99", "output tok/s", "SLO", "values");
  for (std::size_t i = 0; i < report.rows.size() && i < kShown; ++i) {
    const auto& row = report.rows[i];
    std::string values;
    for (const auto& [path, value] : row.point)
      values += fmt::format("{}{}={}", values.empty() ? "" : " ", path, value);
    if (row.result.status != study::Status::ok) {
      std::cout << fmt::format("{:5}  {}: {}  {}\n", row.number,
                               study::to_string(row.result.status),
                               row.result.error.substr(0, row.result.error.find('\n')), values);
      continue;
    }
    const auto metric = [&](const char* name) {
      const auto found = row.result.metrics.find(name);
      return found == row.result.metrics.end() ? kMissing : found->second;
    };
    const double attained = metric("slo.attainment.value");
    std::cout << fmt::format(
        "{:5}  {:7.0f} ms {:7.1f} ms {:12.0f} {:>9}  {}\n", row.number, metric("p99_ttft_ms"),
        metric("p99_tpot_ms"), metric("output_throughput"),
        attained == attained ? fmt::format("{:.1f} %", attained * 100) : "-", values);
  }
  if (report.rows.size() > kShown)
    std::cout << fmt::format("  ... {} more in the tables\n", report.rows.size() - kShown);
  std::cout << fmt::format("{} simulations: {} ok, {} failed, {} already there\n",
                           report.rows.size(), report.ok, report.failed, report.found);
  std::cout << fmt::format("tables   {0}/sweep.h5, {0}/sweep.csv\n", folder.string());
}

// Locks the folder on rank 0 and tells the others whether it went well. Null: it did not, and this
// rank has nothing to say about it.
std::unique_ptr<study::SweepStore> open_store(const fs::path& folder, bool resume,
                                              sim::engine::Transport* transport) {
  if (transport == nullptr) return std::make_unique<study::SweepStore>(folder, resume);
  std::array<std::uint64_t, 1> well{1};
  if (transport->rank() != 0) {
    transport->all_min(well);
    return well[0] != 0 ? std::make_unique<study::SweepStore>(folder, resume, false) : nullptr;
  }
  try {
    auto store = std::make_unique<study::SweepStore>(folder, resume);
    transport->all_min(well);
    return store;
  } catch (...) {
    well[0] = 0;
    transport->all_min(well);
    throw;
  }
}

}  // namespace

int sweep_command(const Invocation& invocation) {
  const auto line = parse(sweep_page(), invocation);
  if (!line) return kOk;
  const int threads = static_cast<int>(line->integer("threads", 1, 1024));
  const auto transport = sim::dist::make_mpi_transport();
  const bool speaks = transport == nullptr || transport->rank() == 0;
  if (!speaks) silence_output();

  const auto spec = study::read_sweep(line->arguments[0]);
  const scenarios::loader::Catalogue catalogue(invocation.home);
  study::CalibrationStore calibrations(calibration_file(invocation.home));
  const study::Evaluator evaluator(spec.scenario, catalogue, calibrations);
  study::check_paths(spec, evaluator);

  const InterruptGuard interrupt;
  if (line->has("dry-run")) {
    if (speaks) return dry_run(spec, evaluator, threads, interrupt.flag());
    return kOk;
  }
  const fs::path folder = line->has("out") ? fs::path(line->text("out")) : default_folder(spec);
  const auto store = open_store(folder, line->has("resume"), transport.get());
  if (!store) return kBadInput;
  study::SweepOptions options;
  options.threads = threads;
  options.interrupt = interrupt.flag();
  options.transport = transport.get();
  if (speaks && stderr_is_terminal())
    options.progress = [](std::size_t done, std::size_t all) {
      fmt::print(stderr, "\r{} of {} points{}", done, all, done == all ? "\n" : "");
    };
  try {
    const auto report = study::run_sweep(spec, evaluator, *store, options);
    if (!speaks) return kOk;
    if (line->has("json"))
      print_json(spec, report, folder);
    else
      print_table(report, folder);
    return report.ok == 0 ? kBadInput : kOk;
  } catch (const study::Interrupted&) {
    if (!speaks) return kOk;
    fmt::print(stderr, "foretoken: interrupted; what is done is kept, --resume goes on\n");
    return kInterrupted;
  } catch (const std::exception&) {
    // Rank 0 fails alike and says so; a rank that ended before it would have it killed.
    if (speaks) throw;
    return kOk;
  }
}

}  // namespace foretoken::analysis::app
