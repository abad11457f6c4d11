// foretoken check: every problem of scenario files, or one line on each that is fine.
#include <fmt/format.h>

#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/training_commands.hpp"
#include "models/serving/arrivals.hpp"
#include "models/serving/serving.hpp"
#include "scenarios/loader/ledger_scenario.hpp"
#include "scenarios/loader/scenario_training.hpp"
#include "scenarios/loader/traffic_scenario.hpp"

namespace foretoken::analysis::app {
namespace {

namespace serving = models::serving;
using scenarios::loader::Scenario;

std::string layout_text(const models::llm::Layout& layout) {
  std::string text = fmt::format("TP{}", layout.tensor);
  if (layout.pipeline > 1) text += fmt::format(" PP{}", layout.pipeline);
  if (layout.data_attention > 1) text += fmt::format(" DP{}", layout.data_attention);
  if (layout.context > 1) text += fmt::format(" CP{}", layout.context);
  if (layout.expert > 1) text += fmt::format(" EP{}", layout.expert);
  if (layout.experts_on_host) text += ", experts on the CPUs";
  return text;
}

std::string arrivals_text(const serving::WorkloadSpec& workload) {
  if (const auto* trace = std::get_if<serving::TraceArrivals>(&workload.arrivals)) {
    return fmt::format("{} requests of a trace", trace->requests ? trace->requests->size() : 0);
  }
  if (const auto* loop = std::get_if<serving::ClosedLoopArrivals>(&workload.arrivals)) {
    return fmt::format("{} requests in flight", loop->concurrency);
  }
  return fmt::format("{:.4g} requests/s, {}", serving::offered_rate(workload), workload.name);
}

std::string profile(const Scenario& scenario) {
  const serving::DeploymentSpec& deployment = scenario.serving.deployment;
  const serving::MemoryAccount memory = serving::account_memory(deployment);
  const int gpus = deployment.layout.gpus() * deployment.replicas;
  return fmt::format(
      "{}, {}, {} x {} ({}, {} replica{}), {}; {:.1f} of {:.1f} GB a GPU are weights, "
      "KV for {} tokens a replica rank",
      deployment.model.name, deployment.engine.name, gpus, deployment.node.gpu.name,
      layout_text(deployment.layout), deployment.replicas, deployment.replicas == 1 ? "" : "s",
      arrivals_text(scenario.serving.workload), memory.weights * 1e-9, memory.capacity * 1e-9,
      memory.kv_tokens);
}

// The exit code for this file.
int check_file(const std::string& file, const Invocation& invocation) {
  try {
    if (scenarios::loader::is_traffic_scenario(file)) {
      const auto traffic =
          scenarios::loader::load_traffic(file, scenarios::loader::Catalogue(invocation.home));
      std::cout << fmt::format("{}: ok: {} kinds of traffic over {} GPUs and {} links\n", file,
                               traffic.traffic.streams.size(), traffic.traffic.fabric.gpus.size(),
                               traffic.traffic.fabric.topology.link_count());
      return kOk;
    }
    if (scenarios::loader::is_ledger_scenario(file)) {
      const auto ledger = scenarios::loader::load_ledger_scenario(
          file, scenarios::loader::Catalogue(invocation.home));
      for (const auto& warning : ledger.warnings)
        fmt::print(stderr, "{}\n", sim::core::to_string(warning));
      std::cout << fmt::format("{}: ok: {:g} nodes, {:g} requests a day\n", file,
                               ledger.service.units, ledger.service.requests_per_day);
      return kOk;
    }
    if (scenarios::loader::is_training_scenario(file)) {
      std::cout << fmt::format("{}: ok: {}\n", file, training_profile(file, invocation));
      return kOk;
    }
    const Scenario scenario = load_with_warnings(file, invocation.home, {});
    std::cout << fmt::format("{}: ok: {}\n", file, profile(scenario));
    return kOk;
  } catch (const sim::core::InputError& error) {
    for (const auto& diagnostic : error.diagnostics()) {
      fmt::print(stderr, "{}\n", sim::core::to_string(diagnostic));
    }
    return kBadInput;
  } catch (const sim::core::InfeasibleError& error) {
    fmt::print(stderr, "{}: {}\n", file, error.what());
    return kInfeasible;
  }
}

}  // namespace

int check_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "check SCENARIO...";
  page.about =
      "Reads scenario files and everything they name, and prints every problem in one pass, or ok\n"
      "and what the file describes. Nothing is simulated.\n";
  page.examples = "  foretoken check scenarios/quickstart.yaml\n";
  page.min_arguments = 1;
  page.max_arguments = -1;
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  int worst = kOk;
  for (const std::string& file : line->arguments) {
    const int code = check_file(file, invocation);
    // Bad input says more than infeasible: the file was not understood at all.
    if (worst == kOk || code == kBadInput) worst = code == kOk ? worst : code;
  }
  return worst;
}

}  // namespace foretoken::analysis::app
