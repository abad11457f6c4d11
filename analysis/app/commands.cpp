#include <fmt/format.h>

#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands = {
      {"run", "predict", "simulate a scenario and print what to expect of it", run_command},
      {"estimate", "predict", "memory and step time in closed form, operator by operator",
       estimate_command},
      {"plan", "predict", "the cheapest deployment, or the fastest layout, and why others lost",
       plan_command},
      {"capacity", "predict", "the largest load a deployment serves within its SLO",
       capacity_command},
      {"cost", "predict", "what owning, renting or calling costs, entry by entry", cost_command},
      {"sweep", "predict", "one scenario at many values, kept in one table", sweep_command},
      {"compare", "predict", "what differs between two runs, and whether it is chance",
       compare_command},
      {"report", "predict", "one page of one run or several: choice, load, efficiency, cost, trust",
       report_command},
      {"export", "predict", "a run as CSV, JSON lines, vLLM's benchmark file or Perfetto trace",
       export_command},
      {"emit", "predict", "a deployment as engine flags, Kubernetes, Slurm; its benchmark",
       emit_command},
      {"explain", "predict", "a request of a run in words; what a metric or a key means",
       explain_command},
      {"serve", "predict", "a local page: runs, reports, a scenario editor", serve_command},
      {"check", "prepare", "look for mistakes in scenario files without running them",
       check_command},
      {"list", "prepare", "models, hardware, engines, policies or workloads in the catalogue",
       list_command},
      {"schema", "prepare", "JSON Schema of scenario files, for editors", schema_command},
      {"validate", "trust", "predicted against measured", validate_command},
      {"calibrate", "trust", "build the calibration file from measurements", calibrate_command},
      {"import", "trust", "what a trace of requests is like; a profiler's trace as a table",
       import_command},
      {"bench", "trust", "speed of the simulator itself", bench_command},
      {"doctor", "more", "look for what is missing on this machine", doctor_command},
      {"completion", "more", "completion for bash, zsh or fish", completion_command},
      {"help", "more", "units, metrics, exit-codes, or a command", help_command},
  };
  return kCommands;
}

std::string version_line() {
  return fmt::format("foretoken {} ({}, {})", FORETOKEN_VERSION, FORETOKEN_BUILD_TYPE,
                     FORETOKEN_COMPILER);
}

std::string overview() {
  std::string page =
      "foretoken: latency, throughput, power and cost of a DeepSeek deployment, predicted.\n\n"
      "usage: foretoken COMMAND [arguments] [options]\n";
  std::string_view group;
  for (const Command& command : commands()) {
    if (command.group != group) page += fmt::format("\n{}:\n", command.group);
    group = command.group;
    page += fmt::format("  {:<10} {}\n", command.name, command.summary);
  }
  page +=
      "\nexamples:\n"
      "  foretoken run scenarios/quickstart.yaml\n"
      "  foretoken run scenarios/quickstart.yaml --set hardware.node=hgx-b200 --out runs/b200\n"
      "  foretoken validate kernels\n"
      "\n'foretoken COMMAND --help' shows a command's options; 'foretoken --version' the "
      "version.\n";
  return page;
}

}  // namespace foretoken::analysis::app
