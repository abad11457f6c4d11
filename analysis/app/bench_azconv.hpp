#pragma once
// Benchmark of serving.
#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

int bench_azconv(const Invocation&);

}  // namespace foretoken::analysis::app
