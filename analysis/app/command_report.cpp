// foretoken report: one page out of runs, a plan, the load around it and its operators.
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "analysis/app/capacity_json.hpp"
#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/interrupt.hpp"
#include "analysis/app/options.hpp"
#include "analysis/app/saved_scenario.hpp"
#include "analysis/app/session.hpp"
#include "analysis/estimate.hpp"
#include "analysis/exporters/saved_run.hpp"
#include "analysis/report.hpp"
#include "analysis/results_store.hpp"
#include "analysis/study/compare.hpp"

namespace foretoken::analysis::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using exporters::SavedRun;
using sim::core::InputError;

CommandPage page() {
  CommandPage page;
  page.synopsis = "report RUN... [options]";
  page.about =
      "One self-contained page, in English and Chinese, that opens without a network and prints "
      "to\n"
      "A4. The first run is the one reported on; further runs, and the deployments of a plan, are "
      "set\n"
      "beside it. Each chart offers its data as CSV.\n";
  page.examples =
      "  foretoken report runs/mine --load --out mine.html\n"
      "  foretoken report runs/h200 runs/b200 --out choice.html\n"
      "  foretoken plan plan.yaml --json > plan.json; foretoken report runs/best --plan "
      "plan.json\n"
      "  foretoken validate cases --json > cases.json; foretoken report runs/mine --validated "
      "cases.json\n";
  page.min_arguments = 1;
  page.max_arguments = 12;
  page.options = {
      {"out,o", "FILE", "file to write", "report.html"},
      {"load", "", "simulate the first run's deployment at other loads: latency curves and knee"},
      {"plan", "FILE", "what 'foretoken plan --json' printed: the deployments it looked at"},
      {"validated", "FILE",
       "what 'foretoken validate claims --json' or 'validate cases --json' printed; may be "
       "repeated",
       "", true},
      {"lang", "CODE", "language it opens in, en or zh (default: the reader's)"},
      {"threads", "N", "simulations at a time; the result does not depend on it (default: all)"},
  };
  return page;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

SavedRun open_serving(const fs::path& folder) {
  SavedRun run = exporters::open_run(folder);
  if (run.kind != "serving")
    throw InputError(
        fmt::format("{} is a run of {}: its report.html is all there is; report is for "
                    "serving runs",
                    folder.string(), run.kind));
  return run;
}

Json data_of(const SavedRun& run) {
  const fs::path file = run.folder / "report.html";
  Json data = Json::parse(data_of_report(file), nullptr, false);
  if (!data.is_object() || !data.contains("summary") || !data.contains("config"))
    throw InputError(file.string() + ": its data is damaged; run the scenario again");
  return data;
}

// What a run looks like beside others; the page of a single run has the rest.
Json beside(const Json& data, const SavedRun& run) {
  Json summary = data["summary"];
  for (const char* key : {"sources", "pools", "warnings", "accounts", "conservation"})
    summary.erase(key);
  return {{"folder", run.folder.string()},
          {"deployment", data.value("deployment", "")},
          {"summary", std::move(summary)},
          {"curves", data["curves"]},
          {"config", data["config"]}};
}

Json comparison_json(const SavedRun& a, const SavedRun& b) {
  const auto compared = study::compare_runs(a.folder, b.folder);
  Json rows = Json::array();
  for (const auto& r : compared.results)
    rows.push_back({{"metric", r.metric},
                    {"a", number(r.a)},
                    {"b", number(r.b)},
                    {"low", number(r.low)},
                    {"high", number(r.high)},
                    {"significant", r.significant ? Json(*r.significant) : Json(nullptr)}});
  Json inputs = Json::array();
  for (const auto& input : compared.inputs) inputs.push_back({input.path, input.a, input.b});
  return {{"results", std::move(rows)}, {"inputs", std::move(inputs)}, {"paired", compared.paired}};
}

Json plan_json(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw InputError("cannot read " + file.string());
  Json plan = Json::parse(stream, nullptr, false);
  if (!plan.is_object() || !plan.contains("ranked") || !plan.contains("rejected"))
    throw InputError(file.string() +
                     ": is not what 'foretoken plan --json' prints: no ranked and rejected");
  constexpr std::size_t kShown = 60;
  if (plan["rejected"].size() > kShown)
    plan["rejected"].erase(plan["rejected"].begin() + kShown, plan["rejected"].end());
  return plan;
}

// Claims and published cases that were checked, each with how it came out; without the parts.
void add_validated(Json& data, const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw InputError("cannot read " + file.string());
  const Json found = Json::parse(stream, nullptr, false);
  const auto take = [&](const char* kind, const std::vector<const char*>& keys) {
    if (!found.is_object() || !found.contains(kind) || !found[kind].is_array()) return false;
    Json& list = data["validated"][kind] = Json::array();
    for (const Json& item : found[kind]) {
      Json& row = list.emplace_back(Json::object());
      for (const char* key : keys)
        if (item.contains(key)) row[key] = item[key];
      if (row.size() < keys.size()) return false;
    }
    return true;
  };
  const bool taken =
      take("claims", {"id", "claim", "claim_zh", "claimed", "predicted", "verdict"}) ||
      take("cases", {"id", "quantity", "measured", "predicted", "ape", "limit", "unit", "holds"});
  if (!taken)
    throw InputError(file.string() +
                     ": is not what 'foretoken validate claims --json' or 'foretoken validate "
                     "cases --json' prints");
}

Json step_json(const StepEstimate& step) {
  Json rows = Json::array();
  for (const auto& op : step.operators)
    rows.push_back({{"name", op.name},
                    {"part", op.part},
                    {"seconds", op.seconds},
                    {"flops", op.flops},
                    {"bytes", op.bytes},
                    {"roofline_s", op.roofline_s},
                    {"provenance", sim::core::to_string(op.provenance)},
                    {"relative_error", op.relative_error}});
  return {{"kind", step.shape.kind == StepKind::decode ? "decode" : "prefill"},
          {"batch", step.shape.batch},
          {"tokens", step.shape.tokens},
          {"context", step.shape.context},
          {"step_s", step.step_s},
          {"gpu_s", step.gpu_s},
          {"host_s", step.host_s},
          {"mfu", number(step.mfu)},
          {"mbu", number(step.mbu)},
          {"operators", std::move(rows)}};
}

// Steps of the kind the run was busy with: its mean decode batch, and a full step of prompts.
Json efficiency_json(const scenarios::loader::Scenario& scenario, const fs::path& home,
                     const Json& data) {
  const auto& d = scenario.serving.deployment;
  const Json& pool = data["summary"]["pools"].at(0);
  const auto figure = [&pool](const char* key) {
    return pool[key].is_number() ? pool[key].get<double>() : 0.0;
  };
  const double sequences = figure("mean_decode_sequences_per_gpu") * figure("gpus_per_replica") /
                           d.layout.data_attention;
  const double context = figure("mean_decode_context");
  const auto calibration = load_calibration(home, scenario);
  Json steps = Json::array();
  if (sequences >= 0.5 && d.role != models::serving::PoolRole::prefill)
    steps.push_back(step_json(
        estimate_step(d, calibration,
                      {StepKind::decode, std::max<std::int64_t>(1, std::llround(sequences)), 1,
                       std::max<std::int64_t>(1, std::llround(context))})));
  const std::int64_t prompt =
      d.model.max_positions > 0
          ? std::min<std::int64_t>(d.batching.max_tokens, d.model.max_positions)
          : d.batching.max_tokens;
  if (d.role != models::serving::PoolRole::decode)
    steps.push_back(step_json(estimate_step(d, calibration, {StepKind::prefill, 1, prompt, 0})));
  Json peaks = Json::object();
  for (const auto& [format, peak] : d.node.gpu.peak)
    peaks[std::string(models::hardware::to_string(format))] = peak.value();
  return {{"gpu", d.node.gpu.name},
          {"bytes_per_s", d.node.gpu.memory_bandwidth.value()},
          {"flops_per_s", std::move(peaks)},
          {"steps", std::move(steps)}};
}

Json load_json(const scenarios::loader::Scenario& scenario, const fs::path& home, int threads,
               const InterruptGuard& interrupt) {
  const scenarios::loader::Catalogue catalogue(home);
  study::CalibrationStore calibrations(calibration_file(home));
  const study::Evaluator evaluator(scenario.file, catalogue, calibrations);
  study::CapacityOptions options;
  options.threads = threads;
  options.interrupt = interrupt.flag();
  return Json::parse(capacity_json(scenario, study::find_capacity(evaluator, scenario, options)));
}

// Notes and load of the first run need its scenario; without it the page says why they are missing.
void add_simulated(Json& data, const SavedRun& run, const ParsedLine& line, const fs::path& home) {
  std::string why;
  const auto scenario = load_again(run.manifest, home, why);
  if (!scenario) {
    if (line.has("load")) throw InputError(run.folder.string() + ": no --load, since " + why);
    fmt::print(stderr, "note: no section on efficiency, since {}\n", why);
    return;
  }
  data["efficiency"] = efficiency_json(*scenario, home, data);
  if (!line.has("load")) return;
  if (scenario->slo.empty())
    throw InputError(run.folder.string() + ": --load needs an slo in the scenario");
  const int threads = line.has("threads")
                          ? static_cast<int>(line.integer("threads", 1, 1024))
                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const InterruptGuard interrupt;
  data["load"] = load_json(*scenario, home, threads, interrupt);
}

}  // namespace

int report_command(const Invocation& invocation) {
  const auto line = parse(page(), invocation);
  if (!line) return kOk;
  if (line->has("lang")) (void)line->choice("lang", {"en", "zh"});
  std::vector<SavedRun> runs;
  for (const std::string& folder : line->arguments) runs.push_back(open_serving(folder));
  Json data = data_of(runs.front());
  if (line->has("plan")) data["plan"] = plan_json(line->text("plan"));
  for (const std::string& file : line->list("validated")) add_validated(data, file);
  if (runs.size() > 1) {
    data["runs"] = Json::array();
    data["comparisons"] = Json::array();
    for (const SavedRun& run : runs) data["runs"].push_back(beside(data_of(run), run));
    for (std::size_t i = 1; i < runs.size(); ++i)
      data["comparisons"].push_back(comparison_json(runs.front(), runs[i]));
  }
  try {
    add_simulated(data, runs.front(), *line, invocation.home);
  } catch (const study::Interrupted&) {
    fmt::print(stderr, "foretoken: interrupted; nothing was written\n");
    return kInterrupted;
  }
  if (line->has("lang")) data["language"] = line->text("lang");
  data["report_command"] = shell_quoted(invocation.argv);
  const std::string title = data["summary"].value("name", runs.front().name);
  const std::string verdict = data["summary"].value("verdict", "");
  const fs::path file = line->text("out");
  write_file_atomically(
      file, report_page(data.dump(-1, ' ', false, Json::error_handler_t::replace), title,
                        title + "\n" + data.value("deployment", "") + "\n" + verdict + "\n"));
  std::cout << file.string() << '\n';
  return kOk;
}

}  // namespace foretoken::analysis::app
