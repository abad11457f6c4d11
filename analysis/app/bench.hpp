#pragma once
// Benchmarks of the simulator. Each prints one JSON object (or lines of text) and returns an exit
// code. They report; they are never tests with a time limit.
#include <string_view>

#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

struct Bench {
  std::string_view name;
  std::string_view summary;
  int (*run)(const Invocation&);  // args without the name
};

int bench_azconv(const Invocation&);

}  // namespace foretoken::analysis::app
