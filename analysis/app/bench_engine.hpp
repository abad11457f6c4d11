#pragma once
// Benchmarks of the event engine.
#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

int bench_phold(const Invocation&);
int bench_queue(const Invocation&);

}  // namespace foretoken::analysis::app
