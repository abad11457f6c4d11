#pragma once
// What estimate, run and plan do for a training scenario; export of its timeline.
#include "analysis/app/command.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {

int estimate_training(const Invocation& invocation, const ParsedLine& line);
int run_training(const Invocation& invocation, const ParsedLine& line);
int plan_training_command(const Invocation& invocation, const ParsedLine& line);

// What a training scenario describes, in a line; warnings go to stderr. For `foretoken check`.
std::string training_profile(const std::string& file, const Invocation& invocation);

}  // namespace foretoken::analysis::app
