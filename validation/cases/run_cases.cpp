#include "validation/cases/run_cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scenarios/loader/quantity.hpp"
#include "sim/core/error.hpp"
#include "validation/cases/evaluators.hpp"

namespace foretoken::validation::cases {
namespace {

namespace fs = std::filesystem;
using scenarios::loader::YamlFile;
using sim::core::Diagnostic;
using sim::core::InputError;

struct Loaded {
  CaseRow row;
  Prediction predict;
};

const EvaluatorEntry* find_evaluator(const YamlFile& file, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& entry : evaluators()) {
    if (entry.name == name) return &entry;
    names.emplace_back(entry.name);
  }
  if (name.empty()) return nullptr;  // said already
  const auto near = scenarios::loader::did_you_mean(name, names);
  std::string advice = near ? fmt::format("did you mean '{}'?", *near) : std::string("there are");
  if (!near)
    for (const auto& known : names) advice += " " + known;
  file.root().any_child("evaluate").error(fmt::format("no evaluator '{}'; {}", name, advice));
  return nullptr;
}

Loaded load_case(const fs::path& path, const scenarios::loader::Catalogue& catalogue,
                 const CaseOptions& options, const std::shared_ptr<Summaries>& summaries) {
  YamlFile file = YamlFile::open(path);
  Loaded loaded;
  loaded.row.head = read_case_head(file, path);
  const auto* const evaluator = find_evaluator(file, loaded.row.head.evaluator);
  if (evaluator != nullptr)
    loaded.predict =
        evaluator->make({file, path.parent_path(), catalogue, options.calibration, summaries});
  file.finish();
  return loaded;
}

void predict(CaseRow& row, const Prediction& prediction) {
  try {
    row.predicted = prediction();
  } catch (const InputError& error) {
    row.refused = error.what();
  } catch (const sim::core::InfeasibleError& error) {
    row.refused = error.what();
  }
  if (!row.predicted) return;
  const double difference = std::abs(*row.predicted - row.head.measured);
  row.error = row.head.points ? difference : 100.0 * difference / std::abs(row.head.measured);
}

bool wanted(const CaseOptions& options, const std::string& id) {
  return options.only.empty() ||
         std::find(options.only.begin(), options.only.end(), id) != options.only.end();
}

void check_ids(const CaseOptions& options, const std::vector<fs::path>& files) {
  std::vector<std::string> ids;
  for (const auto& file : files) ids.push_back(file.stem().string());
  for (const auto& id : options.only) {
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
    const auto near = scenarios::loader::did_you_mean(id, ids);
    std::string all;
    for (const auto& known : ids) all += (all.empty() ? "" : ", ") + known;
    throw InputError(fmt::format(
        "no case '{}'; {}", id,
        near ? fmt::format("did you mean '{}'?", *near) : fmt::format("there are: {}", all)));
  }
}

}  // namespace

bool CaseRow::holds() const {
  if (!predicted || !(error <= head.limit)) return false;
  return !head.points || (*predicted > 0) == (head.measured > 0);
}

std::vector<CaseRow> run_cases(const scenarios::loader::Catalogue& catalogue,
                               const CaseOptions& options) {
  const auto files = case_files(options.folder);
  check_ids(options, files);
  const auto summaries = std::make_shared<Summaries>();
  std::vector<Loaded> cases;
  std::vector<Diagnostic> problems;
  for (const auto& path : files) {
    if (!wanted(options, path.stem().string())) continue;
    try {
      cases.push_back(load_case(path, catalogue, options, summaries));
    } catch (const InputError& error) {
      problems.insert(problems.end(), error.diagnostics().begin(), error.diagnostics().end());
    }
  }
  if (!problems.empty()) throw InputError(std::move(problems));
  std::vector<CaseRow> rows;
  for (auto& loaded : cases) {
    predict(loaded.row, loaded.predict);
    rows.push_back(std::move(loaded.row));
  }
  return rows;
}

}  // namespace foretoken::validation::cases
