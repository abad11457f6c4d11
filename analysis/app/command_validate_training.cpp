// foretoken validate training: the error of training steps and memory.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "validation/training/validate_training.hpp"

namespace foretoken::analysis::app {
namespace {

namespace study = validation::training;
namespace job = models::training;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate training [options]";
  page.about =
      "Step time and peak memory of measured training jobs beside what is predicted for them. A\n"
      "job's constants are fitted without its fold (five folds by model, accelerator, precision "
      "and\nlayout). Beside it: the error of one constant MFU a source.\n";
  page.examples =
      "  foretoken validate training\n"
      "  foretoken validate training --detail\n"
      "  foretoken validate training --data my-runs --json\n";
  page.options = {
      {"data", "PATH", "a CSV, or a folder of them, told apart by their header (default: our own)"},
      {"max-mape", "PERCENT", "exit 5 if the mean absolute error of step time is larger"},
      {"detail", "", "every row, with where its time goes"},
      {"json", "", "as JSON"},
  };
  return page;
}

Json figures_json(const study::ErrorFigures& e) {
  return {{"n", e.n},
          {"mape", e.mape},
          {"median_ape", e.median_ape},
          {"p95_ape", e.p95_ape},
          {"bias", e.bias}};
}

Json metrics_json(const study::ErrorFigures& time,
                  const std::optional<study::ErrorFigures>& memory) {
  Json json = {{"step_time", figures_json(time)}};
  if (memory) json["peak_memory"] = figures_json(*memory);
  return json;
}

Json row_json(const study::PredictedRow& row, bool detail) {
  Json json = {{"id", row.id},
               {"source", row.source},
               {"measured_s", row.measured_s},
               {"predicted_s", row.predicted_s},
               {"baseline_s", row.baseline_s}};
  if (row.measured_bytes) {
    json["measured_bytes"] = *row.measured_bytes;
    json["predicted_bytes"] = *row.predicted_bytes;
  }
  if (!detail) return json;
  const auto& account = row.sample->account;
  Json parts = Json::object(), raw = Json::object();
  for (std::size_t i = 0; i < job::kParts; ++i)
    parts[std::string(to_string(static_cast<job::Part>(i)))] = row.step.waterfall.parts[i];
  const auto& w = row.step.waterfall;
  parts["bubble"] = w.bubble_s;
  parts["send"] = w.send_s;
  parts["gradients"] = w.gradients_s;
  parts["parameters"] = w.parameters_s;
  parts["optimizer"] = w.optimizer_s;
  parts["straggler"] = w.straggler_s;
  parts["host"] = w.host_s;
  json["fold"] = row.sample->row->fold;
  json["recompute"] = std::string(to_string(row.sample->spec.recompute));
  json["predicted_gib"] = row.sample->peak_bytes / 1073741824.0;
  json["reduce_s"] = account.reduce_s;
  json["gather_s"] = account.gather_s;
  json["tokens_per_expert"] = account.tokens_per_expert;
  json["parts"] = parts;
  return json;
}

Json to_json(const study::TrainingValidation& v, bool detail) {
  Json refused = Json::array(), groups = Json::array(), rows = Json::array();
  for (const auto& [id, reason] : v.refused) refused.push_back({{"id", id}, {"reason", reason}});
  for (const auto& g : v.sources) {
    Json group = {{"key", g.key},
                  {"n", g.n},
                  {"metrics", metrics_json(g.step_time, g.peak_memory)},
                  {"baseline_mape", g.baseline_mape}};
    if (g.pairs_right) group["pairs_right"] = *g.pairs_right;
    if (g.regret_pct) group["regret_pct"] = *g.regret_pct;
    groups.push_back(std::move(group));
  }
  for (const auto& row : v.predicted) rows.push_back(row_json(row, detail));
  return {{"dataset", v.dataset},
          {"rows", v.rows},
          {"predicted", v.predicted.size()},
          {"refused", std::move(refused)},
          {"metrics", metrics_json(v.step_time, v.peak_memory)},
          {"groups", std::move(groups)},
          {"predictions", std::move(rows)}};
}

void print_rows(const study::TrainingValidation& v, bool all) {
  std::vector<const study::PredictedRow*> rows;
  for (const auto& row : v.predicted) rows.push_back(&row);
  const auto off = [](const study::PredictedRow* r) {
    return std::abs(r->predicted_s / r->measured_s - 1);
  };
  if (!all)
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const auto* a, const auto* b) { return off(a) > off(b); });
  constexpr std::size_t kWorst = 10;
  std::cout << (all ? "\nrows:\n" : "\nworst rows:\n");
  for (std::size_t i = 0; i < rows.size() && (all || i < kWorst); ++i)
    std::cout << fmt::format("  {:+6.1f} %  measured {:9.3f} s, predicted {:9.3f} s  {}\n",
                             100 * (rows[i]->predicted_s / rows[i]->measured_s - 1),
                             rows[i]->measured_s, rows[i]->predicted_s, rows[i]->id);
}

void print_text(const study::TrainingValidation& v, bool detail) {
  std::cout << fmt::format("{}: {} of {} jobs predicted, error in %\n\n", v.dataset,
                           v.predicted.size(), v.rows)
            << fmt::format("  {:<32} {:>5} {:>7} {:>7} {:>7} {:>7} {:>9} {:>7} {:>7} {:>7}\n", "",
                           "jobs", "mean", "median", "p95", "bias", "constant", "memory", "pairs",
                           "regret");
  for (const auto& g : v.sources) {
    std::string name;
    for (const auto& [key, value] : g.key) name = value + (name.empty() ? "" : " ") + name;
    std::cout << fmt::format(
        "  {:<32} {:>5} {:>7.1f} {:>7.1f} {:>7.1f} {:>+7.1f} {:>9.1f} {:>7} {:>7} {:>7}\n", name,
        g.n, g.step_time.mape, g.step_time.median_ape, g.step_time.p95_ape, g.step_time.bias,
        g.baseline_mape, g.peak_memory ? fmt::format("{:.1f}", g.peak_memory->mape) : "-",
        g.pairs_right ? fmt::format("{:.2f}", *g.pairs_right) : "-",
        g.regret_pct ? fmt::format("{:.1f}", *g.regret_pct) : "-");
  }
  std::cout << "\n  constant: one constant MFU a source; pairs: layouts of a model that differ by "
               "more than 10 %,\n  share ordered right; regret: fastest by prediction over truly "
               "fastest, worst model\n";
  print_rows(v, detail);
  for (const auto& [id, reason] : v.refused)
    std::cout << fmt::format("not predicted: {}: {}\n", id, reason);
}

}  // namespace

int validate_training_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const scenarios::loader::Catalogue catalogue(invocation.home);
  const auto folder = line->has("data")
                          ? std::filesystem::path(line->text("data"))
                          : invocation.home / "validation" / "measurements" / "training";
  const study::TrainingStudy training(
      study::read_dataset(folder, catalogue),
      scenarios::loader::read_calibration(calibration_file(invocation.home)));
  study::TrainingValidation result = training.validate();
  result.dataset = line->has("data") ? line->text("data") : "validation/measurements/training";
  if (result.predicted.empty()) throw sim::core::InputError("no job could be predicted");
  if (line->has("json"))
    std::cout << to_json(result, line->has("detail")).dump(2) << '\n';
  else
    print_text(result, line->has("detail"));
  if (line->has("max-mape")) {
    const double limit = line->number("max-mape", 0.0, 1e6);
    if (result.step_time.mape > limit) {
      fmt::print(stderr, "foretoken: mean absolute error {:.1f} % is above --max-mape {:g}\n",
                 result.step_time.mape, limit);
      return kGateFailed;
    }
  }
  return kOk;
}

int calibrate_training_command(const Invocation& invocation) {
  CommandPage about;
  about.synopsis = "calibrate training [FOLDER] [options]";
  about.about =
      "Fits the constants of every training software on measured jobs and writes them to\n"
      "scenarios/software/constants, one set from all and one for each fold left out. The same\n"
      "measurements give the same bytes.\n";
  about.examples = "  foretoken calibrate training\n";
  about.max_arguments = 1;
  about.options = {{"out,o", "DIR", "folder of the cards (default: the product's)"}};
  const auto line = parse(about, invocation);
  if (!line) return kOk;
  const scenarios::loader::Catalogue catalogue(invocation.home);
  const auto folder = !line->arguments.empty()
                          ? std::filesystem::path(line->arguments[0])
                          : invocation.home / "validation" / "measurements" / "training";
  if (!line->arguments.empty() && !line->has("out"))
    throw UsageError(
        "calibrate training FOLDER needs --out DIR: the product's cards are left alone");
  const study::TrainingStudy training(
      study::read_dataset(folder, catalogue),
      scenarios::loader::read_calibration(calibration_file(invocation.home)));
  for (const auto& [name, card] : training.data().software) {
    const auto fitted = training.fit(name);
    const auto file = line->has("out") ? std::filesystem::path(line->text("out")) / (name + ".yaml")
                                       : scenarios::loader::constants_file(catalogue, name);
    study::write_text(file,
                      scenarios::loader::constants_card(name, training.data().hash, fitted.full,
                                                        fitted.folds, fitted.error));
    std::cout << fmt::format("{}: error {:.1f} % with its fold left out;", file.string(),
                             100 * fitted.error.at("step_time"));
    for (const auto& [key, value] : fitted.full) std::cout << fmt::format(" {} {:.4g}", key, value);
    std::cout << '\n';
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
