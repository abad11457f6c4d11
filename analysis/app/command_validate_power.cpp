// foretoken validate power: GPU watts and joules a token beside measured ones.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "validation/power/node_wall.hpp"
#include "validation/power/states.hpp"
#include "validation/power/validate_power.hpp"

namespace foretoken::analysis::app {
namespace {

namespace power = validation::power;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate power [options]";
  page.about =
      "GPU watts of real servers against what the power model makes of our own steps of the same\n"
      "deployment, with the model, task and accelerator in question left out of the fit. Joules a\n"
      "token are given the measured tokens/s, and end to end with the predicted ones. Wall watts "
      "of\n"
      "whole nodes are reported beside the few rows that there are. Errors in percent of "
      "measured.\n";
  page.examples =
      "  foretoken validate power\n"
      "  foretoken validate power --data mine.csv --config-dir configs --json\n";
  page.options = {
      {"data", "FILE", "rows of measured power, columns as in ml-energy.csv (default: our own)"},
      {"config-dir", "DIR", "config.json files of models that the catalogue lacks"},
      {"max-mape", "PERCENT", "exit 5 if the mean absolute error of watts is larger"},
      {"detail", "", "also by group, and every row"},
      {"json", "", "as JSON"},
  };
  return page;
}

Json figures_json(const power::Figures& f) {
  return {{"n", f.n},
          {"mape", f.mape},
          {"median_ape", f.median_ape},
          {"p95_ape", f.p95_ape},
          {"bias", f.bias}};
}

Json metrics_json(const power::PowerErrors& e) {
  return {{"watts", figures_json(e.watts)},
          {"joules_per_token", figures_json(e.joules_per_token)},
          {"joules_per_token_end_to_end", figures_json(e.end_to_end)},
          {"output_tokens_per_s", figures_json(e.tokens_per_s)}};
}

Json fit_json(const power::PowerFit& fit) {
  return {{"gpu", fit.gpu},
          {"busy", fit.model.busy},
          {"tensor", fit.model.tensor},
          {"memory", fit.model.memory},
          {"link", fit.model.link},
          {"ceiling", fit.model.ceiling},
          {"rows", fit.rows},
          {"error_pct", 100 * fit.mean_error}};
}

Json node_json(const power::NodeWallRow& row) {
  Json json = {{"system", row.system},
               {"run", row.run},
               {"measured_w", row.measured_w},
               {"predicted_w", row.predicted_w ? Json(*row.predicted_w) : Json(nullptr)}};
  if (row.predicted_w) json["ape"] = 100 * std::abs(*row.predicted_w / row.measured_w - 1.0);
  if (!row.refused.empty()) json["refused"] = row.refused;
  return json;
}

power::Figures errors_of(const std::vector<power::StateRow>& states) {
  std::vector<double> errors;
  for (const auto& row : states)
    if (row.predicted_w) errors.push_back(*row.predicted_w / row.measured_w - 1.0);
  return power::figures_of(errors);
}

Json states_json(const std::vector<power::StateRow>& states) {
  Json rows = Json::array();
  for (const auto& row : states) {
    Json item = {{"gpu", row.gpu},
                 {"state", row.state},
                 {"measured_w", row.measured_w},
                 {"predicted_w", row.predicted_w ? Json(*row.predicted_w) : Json(nullptr)}};
    if (!row.refused.empty()) item["refused"] = row.refused;
    rows.push_back(std::move(item));
  }
  return {{"metrics", figures_json(errors_of(states))}, {"rows", std::move(rows)}};
}

Json to_json(const power::PowerValidation& v, const std::vector<power::NodeWallRow>& nodes,
             const std::vector<power::StateRow>& states) {
  Json refused = Json::array(), groups = Json::array(), fits = Json::array(), wall = Json::array();
  for (const auto& r : v.rows)
    if (!r.prediction) refused.push_back({{"id", r.row.id}, {"reason", r.refused}});
  for (const auto& g : v.groups)
    groups.push_back(
        {{"key", g.key}, {"n", g.errors.watts.n}, {"metrics", metrics_json(g.errors)}});
  for (const auto& fit : v.fits) fits.push_back(fit_json(fit));
  for (const auto& node : nodes) wall.push_back(node_json(node));
  return {{"dataset", v.dataset},           {"rows", v.rows.size()},
          {"predicted", v.predicted},       {"refused", std::move(refused)},
          {"metrics", metrics_json(v.all)}, {"groups", std::move(groups)},
          {"states", states_json(states)},  {"fits", std::move(fits)},
          {"node_wall", std::move(wall)}};
}

void print_line(const std::string& name, const power::PowerErrors& e) {
  std::cout << fmt::format(
      "  {:<52} {:>4} {:>7.1f} {:>7.1f} {:>+7.1f}   {:>7.1f} {:>7.1f}   {:>7.1f} {:>7.1f}\n", name,
      e.watts.n, e.watts.mape, e.watts.median_ape, e.watts.bias, e.joules_per_token.mape,
      e.joules_per_token.median_ape, e.end_to_end.mape, e.end_to_end.median_ape);
}

void print_rows(const power::PowerValidation& v) {
  for (const auto& r : v.rows) {
    if (!r.prediction) {
      std::cout << fmt::format("  {}: refused: {}\n", r.row.id, r.refused);
      continue;
    }
    std::cout << fmt::format(
        "  {:<62} W {:>6.0f} {:>6.0f} {:>+6.1f} %  J/token {:>8.4f} end to end {:>8.4f} {:>8.4f}\n",
        r.row.id, r.row.watts, r.prediction->watts, 100 * (r.prediction->watts / r.row.watts - 1.0),
        r.row.joules_per_token, r.prediction->joules_per_token, r.prediction->end_to_end);
  }
}

void print_states(const std::vector<power::StateRow>& states, bool detail) {
  if (states.empty()) return;
  const auto f = errors_of(states);
  std::cout << fmt::format(
      "\nsingle states of a GPU, seen by no fit: {} rows, mean {:.1f} %, median {:.1f} %, bias "
      "{:+.1f} %\n",
      f.n, f.mape, f.median_ape, f.bias);
  if (!detail) return;
  for (const auto& row : states) {
    std::cout << fmt::format("  {:<10} {:<46} {:>6.0f} {}\n", row.gpu, row.state, row.measured_w,
                             row.predicted_w
                                 ? fmt::format("{:>6.0f} {:>+6.1f} %", *row.predicted_w,
                                               100 * (*row.predicted_w / row.measured_w - 1.0))
                                 : "  not predicted: " + row.refused);
  }
}

void print_text(const power::PowerValidation& v, const std::vector<power::NodeWallRow>& nodes,
                const std::vector<power::StateRow>& states, bool detail) {
  std::cout << fmt::format("{}: {} of {} rows predicted, groups left out, error in %\n\n",
                           v.dataset, v.predicted, v.rows.size())
            << fmt::format("  {:<52} {:>4} {:>7} {:>7} {:>7}   {:>7} {:>7}   {:>7} {:>7}\n", "",
                           "rows", "watts", "median", "bias", "J/token", "median", "end2end",
                           "median");
  for (const auto& g : v.groups) {
    if (g.key.contains("group") && !detail) continue;
    print_line(g.key.begin()->second, g.errors);
  }
  print_line("all", v.all);
  std::cout << '\n';
  for (const auto& fit : v.fits)
    std::cout << fmt::format(
        "  {:<12} busy {:.2f} tensor {:.2f} memory {:.2f} of (TDP - idle), {} rows, {:.1f} % with "
        "groups left out\n",
        fit.gpu, fit.model.busy, fit.model.tensor, fit.model.memory, fit.rows,
        100 * fit.mean_error);
  std::cout << "\nwall watts of whole nodes (reported, not gated)\n";
  for (const auto& node : nodes) {
    std::cout << fmt::format(
        "  {:<72} {:>6.0f} {}\n", node.system + ", " + node.run, node.measured_w,
        node.predicted_w ? fmt::format("{:>6.0f} {:>+6.1f} %", *node.predicted_w,
                                       100 * (*node.predicted_w / node.measured_w - 1.0))
                         : "  not predicted: " + node.refused);
  }
  print_states(states, detail);
  if (detail) print_rows(v);
}

}  // namespace

int validate_power_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  const auto folder = invocation.home / "validation" / "measurements" / "power";
  power::PowerOptions options;
  options.own_data = folder / "ml-energy.csv";
  options.prompts = folder / "prompts.csv";
  options.data = line->has("data") ? std::filesystem::path(line->text("data")) : options.own_data;
  if (line->has("config-dir")) options.config_dir = line->text("config-dir");
  options.calibration = calibration_file(invocation.home);
  const scenarios::loader::Catalogue catalogue(invocation.home);
  const auto v = power::validate_power(catalogue, options);
  const auto nodes = power::validate_node_wall(catalogue, folder, options.calibration);
  const auto states = power::validate_states(catalogue, folder);
  if (line->has("json"))
    std::cout << to_json(v, nodes, states).dump(2) << '\n';
  else
    print_text(v, nodes, states, line->has("detail"));
  if (v.predicted == 0) {
    fmt::print(stderr, "error: no row of {} could be predicted; the reasons stand above\n",
               v.dataset);
    return kBadInput;
  }
  const bool failed =
      line->has("max-mape") && v.all.watts.mape > line->number("max-mape", 0.0, 1000.0);
  return failed ? kGateFailed : kOk;
}

}  // namespace foretoken::analysis::app
