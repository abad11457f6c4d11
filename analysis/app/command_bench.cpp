// foretoken bench: picks a benchmark.
#include "analysis/app/bench_azconv.hpp"
#include "analysis/app/bench_engine.hpp"
#include "analysis/app/bench_flows.hpp"
#include "analysis/app/subcommand.hpp"

namespace foretoken::analysis::app {

int bench_command(const Invocation& invocation) {
  return run_subcommand(
      invocation, "benchmark",
      "Speed of the simulator itself, as one JSON object. These report; no test waits on them.\n",
      {{"phold", "engine: events of the PHOLD model", bench_phold},
       {"queue", "engine: the pending-event queue alone", bench_queue},
       {"flows", "network: max-min fair flows on a large fabric, against SimGrid", bench_flows},
       {"azconv", "serving: the Azure conversation trace on 4 replicas or more", bench_azconv}});
}

}  // namespace foretoken::analysis::app
