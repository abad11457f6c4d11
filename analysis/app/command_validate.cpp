// foretoken validate: picks what to validate.
#include "analysis/app/subcommand.hpp"
#include "analysis/app/validate.hpp"

namespace foretoken::analysis::app {

int validate_command(const Invocation& invocation) {
  return run_subcommand(
      invocation, "subject",
      "Predicted against measured, with the groups in question left out of every fit.\n",
      {{"cases", "published deployments and figures", validate_cases_command},
       {"claims", "what two articles say, run and judged", validate_claims_command},
       {"kernels", "operator times, row by row of the measurements", validate_kernels_command},
       {"power", "GPU watts and joules a token of real servers", validate_power_command},
       {"serving", "TTFT and TPOT of real servers, run by run", validate_serving_command},
       {"trace", "a profiler's trace of a real run, class by class", validate_trace_command},
       {"training", "steps and memory of training jobs", validate_training_command}});
}

}  // namespace foretoken::analysis::app
