#pragma once
// Subjects of `foretoken validate`: predicted against measured, one file each.
#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

// args without the subject.
int validate_cases_command(const Invocation&);
int validate_claims_command(const Invocation&);
int validate_kernels_command(const Invocation&);
int validate_power_command(const Invocation&);
int validate_serving_command(const Invocation&);
int validate_trace_command(const Invocation&);
int validate_training_command(const Invocation&);
// `foretoken calibrate training`.
int calibrate_training_command(const Invocation&);

}  // namespace foretoken::analysis::app
