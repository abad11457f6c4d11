// foretoken validate serving: the error of TTFT and TPOT over runs of real servers.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "validation/serving/replay_log.hpp"
#include "validation/serving/validate_serving.hpp"

namespace foretoken::analysis::app {
namespace {

namespace serving = validation::serving;
using serving::ErrorFigures;
using serving::Errors;
using serving::ServingValidation;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate serving [options]";
  page.about =
      "Simulates every run of real servers as the closed loop it was, with its deployment left "
      "out\n"
      "of the fit, and prints the error of TTFT and TPOT, beside a peer's where the file has it.\n"
      "Errors are in percent of the measured time.\n";
  page.examples =
      "  foretoken validate serving\n"
      "  foretoken validate serving --only Qwen3-32B --detail\n"
      "  foretoken validate serving --data mine.csv --config-dir configs --out errors\n";
  page.options = {
      {"data", "FILE", "runs of servers, columns as in served-aggregated.csv (default: our own)"},
      {"config-dir", "DIR", "config.json files of models that the catalogue lacks"},
      {"fit", "FILE", "factors and run protocols (default: validation/serving/serving_fit.json)"},
      {"assumptions", "FILE", "settings on top of the fit, for studies (JSON)"},
      {"only", "TEXT", "rows whose deployment holds this text"},
      {"out", "DIR", "write predictions.csv there"},
      {"threads", "N", "threads (default: all cores)"},
      {"max-mape", "PERCENT", "exit 5 if the mean absolute error of TPOT is larger"},
      {"detail", "", "also by deployment and curve, and every row that was refused"},
      {"parts", "", "with --out: what a step of each row is made of (parts.csv)"},
      {"json", "", "as JSON"},
  };
  return page;
}

Json figures_json(const ErrorFigures& e) {
  return {{"n", e.n},
          {"mape", e.mape},
          {"median_ape", e.median_ape},
          {"p95_ape", e.p95_ape},
          {"bias", e.bias}};
}

Json metrics_json(const Errors& e) {
  return {{"ttft", figures_json(e.ttft)}, {"tpot", figures_json(e.tpot)}};
}

Json replay_json(const serving::Replay& replay) {
  Json figures = Json::array();
  for (const auto& f : replay.figures)
    figures.push_back({{"quantity", f.quantity},
                       {"statistic", f.statistic},
                       {"measured_s", f.measured_s},
                       {"predicted_s", f.predicted_s},
                       {"error_percent", 100 * f.error()}});
  return {{"log", replay.log},
          {"requests", replay.requests},
          {"worst_percent", replay.worst_percent},
          {"figures", std::move(figures)}};
}

void print_replay(const serving::Replay& replay) {
  std::cout << fmt::format("\n{}: {} requests replayed, worst figure {:.1f} % off\n", replay.log,
                           replay.requests, replay.worst_percent);
  for (const auto& f : replay.figures)
    std::cout << fmt::format("  {} {:<5} measured {:>9.4f} s  predicted {:>9.4f} s  {:>+6.1f} %\n",
                             f.quantity, f.statistic, f.measured_s, f.predicted_s, 100 * f.error());
}

Json to_json(const ServingValidation& v) {
  Json refused = Json::array(), groups = Json::array();
  for (const auto& r : v.rows) {
    if (!r.set_aside.empty()) {
      refused.push_back({{"id", r.row.id}, {"reason", "set aside: " + r.set_aside}});
    } else if (!r.prediction) {
      refused.push_back({{"id", r.row.id}, {"reason", r.refused}});
    }
  }
  for (const auto& g : v.groups) {
    Json group = {{"key", g.key}, {"n", g.n}, {"metrics", metrics_json(g.own)}};
    if (g.peer) group["peer"] = metrics_json(*g.peer);
    groups.push_back(std::move(group));
  }
  Json json = {{"dataset", v.dataset},
               {"rows", v.rows.size()},
               {"predicted", v.predicted},
               {"refused", std::move(refused)},
               {"metrics", metrics_json(v.own)}};
  if (v.peer) json["peer"] = metrics_json(*v.peer);
  json["groups"] = std::move(groups);
  return json;
}

std::string line_text(const std::string& name, std::size_t n, const Errors& own,
                      const std::optional<Errors>& peer) {
  std::string text =
      fmt::format("  {:<66} {:>5} {:>7.1f} {:>7.1f} {:>+7.1f}   {:>7.1f} {:>7.1f} {:>+7.1f}", name,
                  n, own.tpot.mape, own.tpot.median_ape, own.tpot.bias, own.ttft.mape,
                  own.ttft.median_ape, own.ttft.bias);
  if (peer)
    text += fmt::format("   {:>7.1f} {:>7.1f}   {:>7.1f} {:>7.1f}", peer->tpot.mape,
                        peer->tpot.median_ape, peer->ttft.mape, peer->ttft.median_ape);
  return text + "\n";
}

void print_text(const ServingValidation& v, bool detail) {
  std::cout << fmt::format("{}: {} of {} rows predicted, error in %\n\n", v.dataset, v.predicted,
                           v.rows.size())
            << fmt::format("  {:<66} {:>5} {:>7} {:>7} {:>7}   {:>7} {:>7} {:>7}   {}\n", "",
                           "rows", "TPOT", "median", "bias", "TTFT", "median", "bias",
                           v.peer ? "peer: TPOT, median, TTFT, median" : "");
  for (const auto& group : v.groups) {
    const bool curve = group.key.contains("curve");
    if (curve && !detail) continue;
    std::string name;
    for (const auto& [key, value] : group.key) name += (name.empty() ? "" : " ") + value;
    std::cout << line_text(name, group.n, group.own, group.peer);
  }
  std::cout << line_text("all", v.predicted, v.own, v.peer);
  std::size_t refused = 0, aside = 0;
  for (const auto& r : v.rows) {
    aside += !r.set_aside.empty();
    refused += r.set_aside.empty() && !r.prediction;
  }
  if (refused + aside == 0) return;
  std::cout << fmt::format("\n{} rows refused, {} set aside{}\n", refused, aside,
                           detail ? ":" : " (--detail says why)");
  if (!detail) return;
  for (const auto& r : v.rows) {
    if (!r.set_aside.empty()) std::cout << fmt::format("  {}: {}\n", r.row.id, r.set_aside);
    if (r.set_aside.empty() && !r.prediction)
      std::cout << fmt::format("  {}: {}\n", r.row.id, r.refused);
  }
}

}  // namespace

int validate_serving_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  serving::ServingOptions options;
  options.data = line->has("data")
                     ? std::filesystem::path(line->text("data"))
                     : invocation.home / "validation/measurements/serving/served-aggregated.csv";
  options.set_aside = invocation.home / "validation/measurements/serving/set-aside.csv";
  options.fit = line->has("fit") ? std::filesystem::path(line->text("fit"))
                                 : invocation.home / "validation/serving/serving_fit.json";
  if (!line->has("fit") && !std::filesystem::exists(options.fit)) options.fit.clear();
  if (line->has("config-dir")) options.config_dir = line->text("config-dir");
  if (line->has("assumptions")) options.assumptions = line->text("assumptions");
  if (line->has("only")) options.only = line->text("only");
  options.parts = line->has("parts");
  options.threads = line->has("threads") ? static_cast<unsigned>(line->integer("threads", 1, 1024))
                                         : std::max(1U, std::thread::hardware_concurrency());
  std::optional<double> limit;
  if (line->has("max-mape")) limit = line->number("max-mape", 0.0, 1e6);
  const scenarios::loader::Catalogue catalogue(invocation.home);
  const auto calibration = scenarios::loader::read_calibration(calibration_file(invocation.home));
  const ServingValidation v = serving::validate_serving(catalogue, calibration, options);
  // Logs belong to the product's own rows.
  std::optional<serving::Replay> replay;
  if (!line->has("data") && options.only.empty())
    replay = serving::replay_log(
        invocation.home / "validation/measurements/serving/vllm-rtx4090-llama-3.1-8b", catalogue,
        calibration,
        options.fit.empty() ? serving::FitSet{} : serving::read_serving_fit(options.fit).all);
  if (line->has("out")) serving::write_predictions(v, line->text("out"));
  if (line->has("json")) {
    Json json = to_json(v);
    if (replay) json["replays"] = Json::array({replay_json(*replay)});
    std::cout << json.dump(2) << '\n';
  } else {
    print_text(v, line->has("detail"));
    if (replay) print_replay(*replay);
  }
  if (v.predicted == 0) {
    fmt::print(stderr, "foretoken: no row could be predicted\n");
    return kBadInput;
  }
  if (limit && v.own.tpot.mape > *limit) {
    fmt::print(stderr, "foretoken: mean absolute error of TPOT {:.1f} % is above --max-mape {:g}\n",
               v.own.tpot.mape, *limit);
    return kGateFailed;
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
