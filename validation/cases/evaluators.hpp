#pragma once
// Who predicts a case: a name that case files use and a function that reads its own keys from the
// file and computes the figure. One more: write the function in a file of its own, name it in the
// table of evaluators.cpp.
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::validation::cases {

// Summaries of runs that several cases look at, by what was run.
using Summaries = std::map<std::string, std::string>;

struct CaseContext {
  scenarios::loader::YamlFile& file;  // the case
  std::filesystem::path folder;       // relative paths in it start here
  const scenarios::loader::Catalogue& catalogue;
  std::filesystem::path calibration;                                     // calibration.h5
  std::shared_ptr<Summaries> summaries = std::make_shared<Summaries>();  // shared by all cases
  std::optional<scenarios::loader::YamlNode> point = {};  // of a case that has several

  // Where the keys stand that may differ between points.
  [[nodiscard]] scenarios::loader::YamlNode keys() const { return point ? *point : file.root(); }
};

// Reads the evaluator's keys and returns what computes the figure, in the unit of `measured`.
// Problems of the file are noted in it; the computation runs only if there was none. It may throw
// InputError or InfeasibleError: the case is then refused with that reason.
using Prediction = std::function<double()>;
using Evaluator = Prediction (*)(const CaseContext&);

struct EvaluatorEntry {
  std::string_view name, summary;
  Evaluator make;
};
const std::vector<EvaluatorEntry>& evaluators();

// The scenario that key `scenario` names, with `set:` (a list of PATH=VALUE; first the case's, then
// its point's) and `more` applied.
scenarios::loader::Scenario case_scenario(const CaseContext& context,
                                          const std::vector<std::string>& more = {});

std::vector<std::string> case_overrides(const CaseContext& context);

// --- evaluators, one file each
Prediction step_evaluator(const CaseContext&);           // evaluate_step.cpp
Prediction step_gain_evaluator(const CaseContext&);      // evaluate_step.cpp
Prediction run_evaluator(const CaseContext&);            // evaluate_run.cpp
Prediction training_evaluator(const CaseContext&);       // evaluate_training.cpp
Prediction training_pair_evaluator(const CaseContext&);  // evaluate_training.cpp

}  // namespace foretoken::validation::cases
