#pragma once
// Scenario file -> typed spec. All problems of a file are reported in one pass, each with
// file:line:column (see sim/core/error.hpp).
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/cost/cost.hpp"
#include "models/serving/spec.hpp"
#include "scenarios/loader/yaml_reader.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {

struct SloTerm {          // e.g. ttft.p99 <= 2s
  std::string metric;     // ttft, tpot, e2el
  std::string statistic;  // p50, p90, p95, p99, mean
  double limit_s = 0.0;
  std::string text;  // as written
};

// What was published of the very deployment that the scenario stands for, to set beside the result.
struct Published {
  struct Figure {
    std::string figure;  // its place in summary.json: pools.decode.busy
    std::string quantity;
    double value = 0.0;
  };
  std::string source, date;
  std::vector<Figure> figures;
};

struct Scenario {
  std::string name;
  std::filesystem::path file;
  std::vector<std::string> overrides;  // as given to load_scenario
  models::serving::ServingSpec serving;
  models::cost::CostSpec cost;
  std::vector<SloTerm> slo;
  Published published;                // empty: nothing was
  std::filesystem::path calibration;  // measurements of the user's own; empty = none
  std::vector<ResolvedValue> resolved;
  std::vector<sim::core::Diagnostic> warnings;
  std::map<std::string, std::string> input_hashes;  // file -> hash, for the manifest
};

// The folder that holds scenarios/ and validation/ of the installed product.
class Catalogue {
 public:
  explicit Catalogue(std::filesystem::path root);
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  struct Entry {
    std::string name, summary;
    std::filesystem::path file;
    std::string kind = {};  // of hardware: node, gpu, cpu, nic or storage
  };
  // kind: models, hardware, engines, policies, workloads
  [[nodiscard]] std::vector<Entry> list(const std::string& kind) const;

 private:
  std::filesystem::path root_;
};

// `overrides`: "deployment.replicas=2", as given to --set.
Scenario load_scenario(const std::filesystem::path& file, const Catalogue& catalogue,
                       const std::vector<std::string>& overrides = {});

std::string json_schema();

}  // namespace foretoken::scenarios::loader
