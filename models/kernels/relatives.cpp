#include "models/kernels/relatives.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

namespace foretoken::models::kernels {
namespace {

// How far apart two GPUs are: another architecture counts more than any difference in figures.
double gpu_distance(const Machine& a, const Machine& b) {
  constexpr std::array<std::string_view, 5> kGenerations{"volta", "ampere", "ada", "hopper",
                                                         "blackwell"};
  const auto generation = [&](const std::string& name) {
    const auto at = std::find(kGenerations.begin(), kGenerations.end(), name);
    return static_cast<double>(at - kGenerations.begin());
  };
  const double apart =
      a.architecture == b.architecture
          ? 0.0
          : 1.0 + std::abs(generation(a.architecture) - generation(b.architecture));
  const auto ratio = [](double x, double y) {
    return x > 0 && y > 0 ? std::abs(std::log(x / y)) : 0.0;
  };
  return 10.0 * apart + ratio(a.bandwidth, b.bandwidth) + ratio(a.sms, b.sms);
}

std::vector<double> version_parts(const std::string& version) {
  std::vector<double> parts;
  double number = 0;
  bool inside = false;
  for (const char c : version) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      number = number * 10 + (c - '0');
      inside = true;
    } else if (inside) {
      parts.push_back(number);
      number = 0;
      inside = false;
    }
  }
  if (inside) parts.push_back(number);
  return parts;
}

}  // namespace

double version_distance(const std::string& a, const std::string& b) {
  const std::vector<double> left = version_parts(a), right = version_parts(b);
  double distance = 0, weight = 1e9;
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i, weight /= 1e3) {
    const double x = i < left.size() ? left[i] : 0, y = i < right.size() ? right[i] : 0;
    distance += weight * std::abs(x - y);
  }
  return distance;
}

std::vector<TableSource> table_sources(const Machine& own, const std::string& folder,
                                       const EngineVersion& engine,
                                       const Calibration& calibration) {
  std::map<std::string, Machine> machines;  // of the GPUs with tables
  for (const Table& table : calibration.tables) {
    Machine machine;
    if (!folder.empty() && table.gpu == folder) {
      machines[table.gpu] = own;
    } else if (load_machine(table.gpu, calibration.parameters, machine)) {
      machines[table.gpu] = machine;
    }
  }
  // A table of few rows (the layers of one model) speaks for its own GPU, not for others.
  constexpr double kNarrow = 0.1;  // of the widest table of the operator
  std::map<std::string, std::size_t> widest;
  for (const Table& table : calibration.tables)
    widest[table.op] = std::max(widest[table.op], table.seconds.size());
  struct Ranked {
    double gpu;     // 0 = the same
    double engine;  // 0 = the same and its version; collectives of NCCL belong to every engine
    TableSource source;
  };
  std::vector<Ranked> ranked;
  for (const Table& table : calibration.tables) {
    const auto machine = machines.find(table.gpu);
    if (machine == machines.end()) continue;
    Ranked entry{0, 0, {&table, machine->second, !folder.empty() && table.gpu == folder, true}};
    if (!entry.source.same_gpu &&
        static_cast<double>(table.seconds.size()) < kNarrow * static_cast<double>(widest[table.op]))
      continue;
    if (!entry.source.same_gpu) entry.gpu = 1 + gpu_distance(own, machine->second);
    const bool collective_library = table.engine == "nccl";
    if (table.engine == engine.engine) {
      entry.engine = version_distance(table.version, engine.version);
    } else {
      entry.engine = collective_library ? 1e15 : 1e18;
    }
    entry.source.same_engine = entry.engine == 0 || collective_library;
    ranked.push_back(entry);
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return std::tie(a.gpu, a.engine, a.source.table->op, a.source.table->engine,
                    a.source.table->version) < std::tie(b.gpu, b.engine, b.source.table->op,
                                                        b.source.table->engine,
                                                        b.source.table->version);
  });
  std::vector<TableSource> sources;
  for (const Ranked& entry : ranked) sources.push_back(entry.source);
  return sources;
}

}  // namespace foretoken::models::kernels
