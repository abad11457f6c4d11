#pragma once
// Benchmark of the flow model.
#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

int bench_flows(const Invocation&);

}  // namespace foretoken::analysis::app
