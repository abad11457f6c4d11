// foretoken validate kernels: the error of operator times.
#include "validation/calibrate/validate_exchange.hpp"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/session.hpp"
#include "analysis/app/validate.hpp"
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "validation/calibrate/build_calibration.hpp"
#include "validation/calibrate/validate_kernels.hpp"

namespace foretoken::analysis::app {
namespace {

namespace calibrate = validation::calibrate;
using calibrate::ErrorFigures;
using calibrate::KernelValidation;
using models::kernels::Calibration;
using Json = nlohmann::ordered_json;

CommandPage page() {
  CommandPage page;
  page.synopsis = "validate kernels [options]";
  page.about =
      "Predicts every measured operator time with its whole key (shape family) left out of what "
      "is\n"
      "learned, and prints the error by operator. 'inside' is the easier error, with rows left "
      "out\n"
      "inside known keys. Errors are in percent of the measured time.\n";
  page.examples =
      "  foretoken validate kernels --only gemm\n"
      "  foretoken validate kernels --leave-out-gpu h200-sxm\n"
      "  foretoken validate kernels --data my-measurements --max-mape 15\n";
  page.options = {
      {"data", "DIR", "more measurements, GPU/OPERATOR.ENGINE-VERSION.csv[.gz] (default: our own)"},
      {"only", "NAME",
       "one family (gemm, attention, mla, moe, collective, elementwise) or operator"},
      {"leave-out-gpu", "GPU", "predict this GPU from the others and its card alone"},
      {"stride", "N", "predict every n-th row only: faster, noisier", "1"},
      {"threads", "N", "threads (default: all cores)"},
      {"max-mape", "PERCENT", "exit 5 if the mean absolute error is larger"},
      {"detail", "", "also by GPU and by table, and the worst rows"},
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

Json metrics_json(const ErrorFigures& latency, const std::optional<ErrorFigures>& interpolate) {
  Json json = {{"latency", figures_json(latency)}};
  if (interpolate) json["latency_interpolate"] = figures_json(*interpolate);
  return json;
}

Json to_json(const KernelValidation& v) {
  Json refused = Json::array(), groups = Json::array(), worst = Json::array();
  for (const auto& r : v.refused) {
    refused.push_back({{"id", r.id}, {"reason", r.reason}, {"rows", r.rows}});
  }
  for (const auto& g : v.groups) {
    groups.push_back(
        {{"key", g.key}, {"n", g.n}, {"metrics", metrics_json(g.latency, g.latency_interpolate)}});
  }
  for (const auto& w : v.worst) {
    worst.push_back({{"table", w.table},
                     {"row", w.row},
                     {"measured_us", w.measured_s * 1e6},
                     {"predicted_us", w.predicted_s * 1e6}});
  }
  return {{"dataset", v.dataset},
          {"rows", v.rows},
          {"predicted", v.predicted},
          {"refused", std::move(refused)},
          {"metrics", metrics_json(v.latency, v.latency_interpolate)},
          {"groups", std::move(groups)},
          {"worst", std::move(worst)}};
}

std::string line_text(const std::string& name, const ErrorFigures& e,
                      const std::optional<ErrorFigures>& inside) {
  std::string text = fmt::format("  {:<46} {:>8} {:>7.1f} {:>7.1f} {:>7.1f} {:>+7.1f}", name, e.n,
                                 e.median_ape, e.mape, e.p95_ape, e.bias);
  if (inside) text += fmt::format(" {:>9.1f} {:>7.1f}", inside->median_ape, inside->mape);
  return text + "\n";
}

void print_text(const KernelValidation& v, bool detail) {
  std::cout << fmt::format("{}: {} of {} rows predicted, error in %\n\n", v.dataset, v.predicted,
                           v.rows)
            << fmt::format("  {:<46} {:>8} {:>7} {:>7} {:>7} {:>7} {:>9} {:>7}\n", "", "rows",
                           "median", "mean", "p95", "bias", "inside:", "mean");
  for (const auto& group : v.groups) {
    const bool family = group.key.size() == 1 && group.key.contains("operator");
    if (!detail && !family) continue;
    std::string name;
    for (const auto& [key, value] : group.key) name += (name.empty() ? "" : " ") + value;
    std::cout << line_text(name, group.latency, group.latency_interpolate);
  }
  std::cout << line_text("all", v.latency, v.latency_interpolate);
  std::size_t refused = 0;
  for (const auto& r : v.refused) refused += r.rows;
  if (refused > 0)
    std::cout << fmt::format("\n{} rows not predicted (--detail says why)\n", refused);
  if (!detail) return;
  for (const auto& r : v.refused) std::cout << fmt::format("  {}: {}\n", r.id, r.reason);
  std::cout << "\nworst rows:\n";
  for (const auto& w : v.worst) {
    std::cout << fmt::format("  {}: {}: measured {:.1f} us, predicted {:.1f} us\n", w.table, w.row,
                             w.measured_s * 1e6, w.predicted_s * 1e6);
  }
}

// Measurements given with --data, read as `foretoken calibrate` would.
Calibration read_data(const std::string& folder, const Invocation& invocation) {
  const scenarios::loader::Catalogue catalogue(invocation.home);
  calibrate::CalibrationReport report;
  Calibration data = calibrate::read_measurements(folder, calibrate::table_gpus(catalogue), report);
  for (const auto& diagnostic : report.diagnostics) {
    fmt::print(stderr, "{}\n", sim::core::to_string(diagnostic));
  }
  return data;
}

// What the eight-GPU servers of the catalogue have, by the folder of their GPU's tables.
calibrate::Wires server_wires(const scenarios::loader::Catalogue& catalogue) {
  calibrate::Wires wires;
  for (const auto& entry : scenarios::loader::list_cards("node", catalogue)) {
    const auto node = scenarios::loader::load_node(entry.name, catalogue).card.spec;
    if (node.gpus == 8 && node.scale_up == "nvswitch" && !node.gpu.tables.empty())
      wires.emplace(node.gpu.tables, models::collective::wire_of(node));
  }
  return wires;
}

// Servers that are known by measurements of their own: a card beside each.
calibrate::Wires host_wires(const std::filesystem::path& folder,
                            const scenarios::loader::Catalogue& catalogue) {
  calibrate::Wires wires;
  if (!std::filesystem::is_directory(folder)) return wires;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (std::filesystem::exists(entry.path() / "host.yaml"))
      wires.emplace(
          entry.path().filename().string(),
          models::collective::wire_of(
              scenarios::loader::load_node("./host.yaml", catalogue, entry.path()).card.spec));
  return wires;
}

// Communication that operator tables do not cover.
void add_communication(const Calibration& data, bool ours, const Invocation& invocation,
                       KernelValidation& result) {
  const scenarios::loader::Catalogue catalogue(invocation.home);
  calibrate::validate_exchange(data, server_wires(catalogue), result);
  if (!ours) return;
  const auto folder = invocation.home / "validation" / "measurements" / "network";
  const auto h800 = scenarios::loader::load_node("hgx-h800", catalogue).card.spec;
  calibrate::validate_published_exchange(folder, models::collective::wire_of(h800), result);
  calibrate::validate_hosts(folder, host_wires(folder, catalogue), result);
}

}  // namespace

int validate_kernels_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  calibrate::KernelValidationOptions options;
  options.stride = static_cast<std::size_t>(line->integer("stride", 1, 1'000'000));
  options.threads = line->has("threads") ? static_cast<unsigned>(line->integer("threads", 1, 1024))
                                         : std::max(1U, std::thread::hardware_concurrency());
  if (line->has("only")) options.only = line->text("only");
  std::optional<double> limit;
  if (line->has("max-mape")) limit = line->number("max-mape", 0.0, 1e6);

  const auto known = scenarios::loader::read_calibration(calibration_file(invocation.home));
  std::optional<Calibration> own;
  if (line->has("data")) own = read_data(line->text("data"), invocation);
  const Calibration& data = own ? *own : *known;
  if (line->has("leave-out-gpu")) {
    options.leave_out_gpu = calibrate::table_gpu(line->text("leave-out-gpu"), data);
  }
  KernelValidation result = calibrate::validate_kernels(data, *known, options);
  if (options.leave_out_gpu.empty() && (options.only.empty() || options.only == "collective"))
    add_communication(data, !own, invocation, result);
  if (result.dataset.empty()) {
    result.dataset = own ? line->text("data") : "validation/measurements/kernels";
  }
  if (result.predicted == 0 && result.groups.empty()) {
    throw sim::core::InputError("no row was predicted: nothing matches --only or --data");
  }
  if (line->has("json")) {
    std::cout << to_json(result).dump(2) << '\n';
  } else {
    print_text(result, line->has("detail"));
  }
  if (limit && result.latency.mape > *limit) {
    fmt::print(stderr, "foretoken: mean absolute error {:.1f} % is above --max-mape {:g}\n",
               result.latency.mape, *limit);
    return kGateFailed;
  }
  return kOk;
}

}  // namespace foretoken::analysis::app
