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

// A row for each point of the file.
std::vector<Loaded> load_cases(const fs::path& path, const scenarios::loader::Catalogue& catalogue,
                               const CaseOptions& options,
                               const std::shared_ptr<Summaries>& summaries) {
  YamlFile file = YamlFile::open(path);
  const CaseHead head = read_case_head(file, path);
  const auto* const evaluator = find_evaluator(file, head.evaluator);
  std::vector<Loaded> loaded;
  for (const CasePoint& point : read_points(file, head)) {
    loaded.emplace_back().row.head = point.head;
    // What is wrong with the file as a whole is said once, not once a point.
    if (evaluator != nullptr && file.ok())
      loaded.back().predict = evaluator->make(
          {file, path.parent_path(), catalogue, options.calibration, summaries, point.keys});
  }
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

// A file is read where its name is asked for or one of its points may be.
bool may_hold(const CaseOptions& options, const std::string& file) {
  return options.only.empty() ||
         std::any_of(options.only.begin(), options.only.end(), [&file](const std::string& id) {
           return id == file || id.starts_with(file + "-");
         });
}

bool wanted(const CaseOptions& options, const std::string& file, const std::string& id) {
  const auto& only = options.only;
  return only.empty() || std::find(only.begin(), only.end(), file) != only.end() ||
         std::find(only.begin(), only.end(), id) != only.end();
}

void check_ids(const CaseOptions& options, const std::vector<std::string>& ids) {
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
  const auto summaries = std::make_shared<Summaries>();
  std::vector<Loaded> cases;
  std::vector<Diagnostic> problems;
  std::vector<std::string> ids;
  for (const auto& path : case_files(options.folder)) {
    const std::string name = path.stem().string();
    ids.push_back(name);
    if (!may_hold(options, name)) continue;
    try {
      for (Loaded& loaded : load_cases(path, catalogue, options, summaries)) {
        if (loaded.row.head.id != name) ids.push_back(loaded.row.head.id);
        if (wanted(options, name, loaded.row.head.id)) cases.push_back(std::move(loaded));
      }
    } catch (const InputError& error) {
      problems.insert(problems.end(), error.diagnostics().begin(), error.diagnostics().end());
    }
  }
  if (problems.empty()) check_ids(options, ids);
  if (!problems.empty()) throw InputError(std::move(problems));
  std::vector<CaseRow> rows;
  for (auto& loaded : cases) {
    predict(loaded.row, loaded.predict);
    rows.push_back(std::move(loaded.row));
  }
  return rows;
}

}  // namespace foretoken::validation::cases
