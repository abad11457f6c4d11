#pragma once
// What estimate, run and plan do for a training scenario; export of its timeline.
#include "analysis/app/command.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {

int estimate_training(const Invocation& invocation, const ParsedLine& line);
int run_training(const Invocation& invocation, const ParsedLine& line);
int plan_training_command(const Invocation& invocation, const ParsedLine& line);

}  // namespace foretoken::analysis::app
