#pragma once
// What a claim file can ask for: each kind of quantity reads its own keys and returns what computes
// the figure. One more: a function in a file of its own and a row in the table of quantity.cpp.
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/statistics.hpp"
#include "analysis/study/evaluate.hpp"
#include "analysis/training.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"
#include "validation/claims/claim.hpp"

namespace foretoken::validation::claims {

// Simulations that claims share, each run once.
class Workshop {
 public:
  Workshop(const scenarios::loader::Catalogue& catalogue, std::filesystem::path calibration)
      : catalogue_(catalogue), calibrations_(std::move(calibration)) {}

  [[nodiscard]] const scenarios::loader::Catalogue& catalogue() const { return catalogue_; }
  analysis::study::CalibrationStore& calibrations() { return calibrations_; }
  [[nodiscard]] std::shared_ptr<const models::kernels::Calibration> calibration_of(
      const std::string& tables);

  struct Run {
    analysis::Metrics metrics;
    double relative_error = 0.0;
    Provenance provenance = Provenance::analytical;
    std::string infeasible;
  };
  // `key`: file and overrides.
  const Run& run(const std::string& key, const scenarios::loader::Scenario& scenario);

  struct Training {
    analysis::TrainingPrediction prediction;
    std::string infeasible;
  };
  const Training& train(const std::string& key, const scenarios::loader::TrainingScenario& job);

 private:
  const scenarios::loader::Catalogue& catalogue_;
  analysis::study::CalibrationStore calibrations_;
  std::map<std::string, std::shared_ptr<const models::kernels::Calibration>> by_tables_;
  std::map<std::string, Run> runs_;
  std::map<std::string, Training> trainings_;
};

struct QuantityContext {
  scenarios::loader::YamlFile& file;  // the claim
  scenarios::loader::YamlNode node;   // the quantity's own map
  std::filesystem::path folder;       // relative paths in it start here
  Workshop& workshop;
};

using Compute = std::function<Value(const Values&)>;

// Problems of the file are noted in it; what comes back runs only if there was none.
struct QuantityKind {
  std::string_view name, summary;
  Compute (*make)(const QuantityContext&);
};
const std::vector<QuantityKind>& quantity_kinds();

// The one kind that `node` names; an error at the node otherwise.
Compute read_quantity(const QuantityContext& context);

// --- for the kinds
// The file that key `kind` names, beside the claim.
std::filesystem::path scenario_path(const QuantityContext& context, std::string_view kind);
std::vector<std::string> overrides_of(const QuantityContext& context);
std::string memo_key(const std::filesystem::path& path, const std::vector<std::string>& overrides);
scenarios::loader::Scenario load_serving(const QuantityContext& context, std::string_view kind);
// One of the names of `figures` under key `figure`; a harmless first one with an error otherwise.
template <class F>
const F& read_figure(const QuantityContext& context,
                     const std::vector<std::pair<std::string, F>>& figures);
void unknown_figure(const QuantityContext& context, const std::string& name,
                    const std::vector<std::string>& known);

template <class F>
const F& read_figure(const QuantityContext& context,
                     const std::vector<std::pair<std::string, F>>& figures) {
  const auto name = context.node.required<std::string>("figure");
  std::vector<std::string> known;
  for (const auto& [key, figure] : figures) {
    if (key == name) return figure;
    known.push_back(key);
  }
  if (!name.empty()) unknown_figure(context, name, known);
  return figures.front().second;
}

// --- kinds, by file
Compute given_quantity(const QuantityContext&);       // quantity.cpp
Compute formula_quantity(const QuantityContext&);     // quantity.cpp
Compute card_quantity(const QuantityContext&);        // quantity_cards.cpp
Compute price_quantity(const QuantityContext&);       // quantity_cards.cpp
Compute parameters_quantity(const QuantityContext&);  // quantity_cards.cpp
Compute memory_quantity(const QuantityContext&);      // quantity_serving.cpp
Compute step_quantity(const QuantityContext&);        // quantity_serving.cpp
Compute run_quantity(const QuantityContext&);         // quantity_serving.cpp
Compute load_quantity(const QuantityContext&);        // quantity_serving.cpp
Compute training_quantity(const QuantityContext&);    // quantity_training.cpp
Compute ledger_quantity(const QuantityContext&);      // quantity_ledger.cpp

}  // namespace foretoken::validation::claims
