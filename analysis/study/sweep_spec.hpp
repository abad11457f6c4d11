#pragma once
// A sweep file: which values of which paths of a scenario to simulate.
//
//   foretoken: 1
//   name: replicas against load
//   scenario: ../quickstart.yaml
//   set: {deployment.kv_cache: fp8}                  # the same in every point
//   grid:                                            # every combination
//     deployment.replicas: [1, 2, 4]
//     workload.arrivals.rate_scale: {from: 0.5, to: 2, steps: 4, scale: log}
//   list: [{hardware.node: hgx-b200, deployment.weights: fp8}]   # these points as well
//   random: {samples: 50, values: {deployment.batching.max_tokens: {from: 512, to: 16384, scale:
//   log}}} adaptive: {points: 100, maximise: [a.metric, another], values: {...}}   # follows the
//   Pareto front repeats: 3                                       # each point with seeds seed,
//   seed+1, seed+2
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/error.hpp"

namespace foretoken::analysis::study {

struct Assignment {
  std::string path, value;
  bool operator==(const Assignment&) const = default;
};
using Point = std::vector<Assignment>;  // in the order of the file

struct Axis {
  std::string path;
  std::vector<std::string> values;  // in order; neighbours are near each other
};

struct Objective {
  std::string metric;  // a key of summary.json, dots between levels
  bool maximise = true;
};

struct Adaptive {
  std::size_t points = 0;  // simulated at most
  std::vector<Objective> objectives;
  std::vector<Axis> axes;
};

struct SweepSpec {
  std::string name;
  std::filesystem::path file, scenario;
  Point fixed;
  std::vector<Point> points;  // of grid, list and random; without repeats
  std::optional<Adaptive> adaptive;
  int repeats = 1;
  std::uint64_t seed = 1;
  std::vector<std::string> paths;  // every path that varies, in the order of the file
};

inline constexpr std::size_t kMostPoints = 1'000'000;

// Throws InputError listing every problem; paths of the scenario are not looked at here.
SweepSpec read_sweep(const std::filesystem::path& file);

// n values from `from` to `to`, both included, with the unit that both carry: "2/s".."20/s".
// Whole where both ends are whole. Throws std::invalid_argument saying what is wrong.
std::vector<std::string> spaced_values(const std::string& from, const std::string& to,
                                       std::size_t n, bool logarithmic);

}  // namespace foretoken::analysis::study
