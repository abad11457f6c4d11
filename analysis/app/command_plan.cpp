// foretoken plan: the best way to deploy, of all that are possible.
#include "analysis/app/options.hpp"
#include "analysis/app/training_commands.hpp"
#include "scenarios/loader/scenario_training.hpp"

namespace foretoken::analysis::app {
namespace {

CommandPage page() {
  CommandPage page;
  page.synopsis = "plan SCENARIO [options]";
  page.about =
      "Ranks every layout of the scenario's model on its cluster: those that keep the rules and\n"
      "fit, by step time in closed form, the best of them simulated; says why the others lose.\n";
  page.examples =
      "  foretoken plan scenarios/training/llama-3.1-405b-h100.yaml\n"
      "  foretoken plan scenarios/training/llama-3.1-405b-h100.yaml --set hardware.nodes=64 "
      "--json\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {
      {"top", "N", "layouts to show", "10"},
      {"simulate", "K", "of the best layouts, simulate so many", "10"},
      {"time-limit", "TIME", "stop trying layouts after this much wall time", "60s"},
      {"set", "PATH=VALUE", "replace one value of the scenario; may be repeated", "", true},
      {"json", "", "as JSON"},
  };
  return page;
}

}  // namespace

int plan_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return 0;
  if (!scenarios::loader::is_training_scenario(line->arguments[0]))
    throw UsageError(
        "plan ranks layouts of training scenarios (those with a `training:` block) so far");
  return plan_training_command(invocation, *line);
}

}  // namespace foretoken::analysis::app
