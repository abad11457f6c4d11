// foretoken bench: picks a benchmark.
#include <fmt/format.h>

#include <iostream>
#include <vector>

#include "analysis/app/bench.hpp"
#include "analysis/app/bench_engine.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {
namespace {

const std::vector<Bench>& benches() {
  static const std::vector<Bench> kBenches = {
      {"azconv", "serving: the Azure conversation trace on 4 replicas or more", bench_azconv},
      {"phold", "engine: PHOLD against a std::priority_queue on the same machine", bench_phold},
      {"queue", "engine: the pending-event set alone", bench_queue},
  };
  return kBenches;
}

void print_page() {
  std::cout << "usage: foretoken bench NAME [options]\n\n"
               "Speed of the simulator itself, as one JSON object. 'foretoken bench NAME --help'\n"
               "shows the options of one.\n\n";
  for (const Bench& bench : benches()) {
    std::cout << fmt::format("  {:<10} {}\n", bench.name, bench.summary);
  }
}

}  // namespace

int bench_command(const Invocation& invocation) {
  const auto& args = invocation.args;
  if (!args.empty() && (args[0] == "--help" || args[0] == "-h")) {
    print_page();
    return kOk;
  }
  std::vector<std::string> names;
  for (const Bench& bench : benches()) {
    names.emplace_back(bench.name);
    if (args.empty() || bench.name != args[0]) continue;
    Invocation inner = invocation;
    inner.args.erase(inner.args.begin());
    return bench.run(inner);
  }
  if (args.empty()) {
    throw UsageError(fmt::format("which benchmark? It is one of {}", fmt::join(names, ", ")));
  }
  throw UsageError(fmt::format("unknown benchmark '{}'{}; it is one of {}", args[0],
                               suggestion(args[0], names), fmt::join(names, ", ")));
}

}  // namespace foretoken::analysis::app
