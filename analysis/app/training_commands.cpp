#include "analysis/app/training_commands.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/session.hpp"
#include "analysis/results_store.hpp"
#include "analysis/training_plan.hpp"
#include "analysis/training_store.hpp"
#include "scenarios/loader/calibration_file.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
namespace loader = scenarios::loader;

loader::TrainingScenario load(const Invocation& invocation, const ParsedLine& line,
                              std::vector<std::string> overrides = {}) {
  for (const std::string& one : line.list("set")) overrides.push_back(one);
  loader::TrainingScenario scenario = loader::load_training_scenario(
      line.arguments[0], loader::Catalogue(invocation.home), overrides);
  for (const auto& warning : scenario.warnings)
    fmt::print(stderr, "{}\n", sim::core::to_string(warning));
  return scenario;
}

// Tables of the scenario's GPU, or all of them where it has none of its own and borrows.
std::shared_ptr<const models::kernels::Calibration> tables(
    const Invocation& invocation, const loader::TrainingScenario& scenario) {
  return loader::read_calibration(calibration_file(invocation.home),
                                  scenario.training.node.gpu.tables);
}

}  // namespace

std::string training_profile(const std::string& file, const Invocation& invocation) {
  const auto scenario = loader::load_training_scenario(file, loader::Catalogue(invocation.home));
  for (const auto& warning : scenario.warnings)
    fmt::print(stderr, "{}\n", sim::core::to_string(warning));
  const auto& spec = scenario.training;
  return fmt::format("training {}, {}, {} x {} ({}), {} sequences of {} a step", spec.model.name,
                     spec.software.name, scenario.nodes * spec.node.gpus, spec.node.gpu.name,
                     layout_text(spec), spec.batch.global, spec.batch.sequence);
}

int estimate_training(const Invocation& invocation, const ParsedLine& line) {
  const auto scenario = load(invocation, line);
  const auto prediction = predict_training(scenario, tables(invocation, scenario), {});
  std::cout << (line.has("json") ? training_json(scenario, prediction, nullptr)
                                 : training_text(scenario, prediction));
  return kOk;
}

int run_training(const Invocation& invocation, const ParsedLine& line) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::string> overrides;
  if (line.has("seed")) overrides.push_back("seed=" + line.text("seed"));
  const auto scenario = load(invocation, line, overrides);
  const bool files = !line.has("no-files");
  const fs::path directory =
      line.has("out") ? fs::path(line.text("out")) : default_training_directory(scenario);
  if (files) check_writable(directory);
  const InterruptGuard interrupt;  // until the files are whole
  const auto prediction = predict_training(scenario, tables(invocation, scenario),
                                           {.simulate = true, .keep_spans = files});
  RunInfo info;
  info.version = FORETOKEN_VERSION;
  info.replay_command = shell_quoted(invocation.argv);
  info.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const ResourceUse used = resource_use();
  info.cpu_s = used.cpu_s;
  info.peak_rss_mib = used.peak_rss_mib;
  if (files) write_training_run(directory, scenario, prediction, info);
  if (line.has("json")) {
    std::cout << training_json(scenario, prediction, &info);
  } else {
    std::cout << training_text(scenario, prediction);
    if (files)
      std::cout << fmt::format("\nreport: {}\ntimeline: foretoken export {} --to perfetto\n",
                               (directory / "report.html").string(), directory.string());
  }
  return kOk;
}

int plan_training_command(const Invocation& invocation, const ParsedLine& line) {
  const auto scenario = load(invocation, line);
  TrainingPlanOptions options;
  if (line.has("simulate"))
    options.simulate = static_cast<int>(line.integer("simulate", 0, 10'000));
  options.show = static_cast<int>(line.integer("top", 1, 100'000));
  if (const auto limit = line.seconds("time-limit")) options.seconds = *limit;
  const auto plan = plan_training(scenario, tables(invocation, scenario), options);
  std::cout << (line.has("json") ? plan_json(scenario, plan, options)
                                 : plan_text(scenario, plan, options));
  return kOk;
}

}  // namespace foretoken::analysis::app
