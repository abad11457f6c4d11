// The benchmark that checks a prediction: loads around the predicted one, then what was measured
// simulated as it was, arrival by arrival.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/exporters/launch_files.hpp"
#include "analysis/number_text.hpp"
#include "models/serving/arrivals.hpp"

namespace foretoken::analysis::exporters {
namespace {

using Json = nlohmann::json;
using models::serving::ClosedLoopArrivals;
using models::serving::TraceArrivals;

struct Load {
  bool closed = false;
  double rate = 0.0;  // requests/s, or in flight
  double input = 0.0, output = 0.0;
  bool known = false;  // of a run; else the scenario's own words
};

// A trace says rate and lengths itself.
void take_trace(const TraceArrivals& trace, Load& load) {
  if (!trace.requests || trace.requests->size() < 2) return;
  const auto& requests = *trace.requests;
  const auto n = static_cast<double>(requests.size());
  const double span_s =
      1e-12 * static_cast<double>(requests.back().arrival_ps - requests.front().arrival_ps);
  if (span_s > 0) load.rate = n / span_s * trace.rate_scale;
  for (const auto& request : requests) {
    load.input += request.input_tokens / n;
    load.output += request.output_tokens / n;
  }
}

double field(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
}

Load load_of(const Emission& e, const Json& summary) {
  Load load;
  const auto& workload = e.scenario->serving.workload;
  if (const auto* loop = std::get_if<ClosedLoopArrivals>(&workload.arrivals)) {
    load.closed = true;
    load.rate = loop->concurrency;
  } else {
    load.rate = models::serving::offered_rate(workload);
  }
  const double done = field(summary, "finished_in_window");
  if (done > 0) {
    load.known = true;
    load.input = field(summary, "total_input_tokens") / done;
    load.output = field(summary, "total_output_tokens") / done;
    if (load.rate <= 0) load.rate = field(summary, "arrived") / field(summary, "duration");
  } else if (const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals)) {
    take_trace(*trace, load);
  } else {
    load.input = workload.input.mean > 0 ? workload.input.mean : workload.input.tokens;
    load.output = workload.output.mean > 0 ? workload.output.mean : workload.output.tokens;
  }
  return load;
}

std::string predicted(const Json& summary) {
  if (!summary.contains("figures")) return "# No run was given, so no prediction to check.\n";
  std::string out = "# Predicted, with the range that the error found by validation allows:\n";
  for (const char* key : {"p50_ttft", "p99_ttft", "p50_tpot", "p99_tpot", "output_throughput"}) {
    const auto found = summary["figures"].find(key);
    if (found == summary["figures"].end()) continue;
    const Json& f = *found;
    if (!f["value"].is_number()) continue;
    out += fmt::format("#   {:<20} {} {}", key, significant(f["value"].get<double>(), 4),
                       f["unit"].get<std::string>());
    if (f["low"].is_number())
      out += fmt::format("   {} to {}", significant(f["low"].get<double>(), 4),
                         significant(f["high"].get<double>(), 4));
    out += "\n";
  }
  return out;
}

// Limits of a single request: of several on one metric the highest percentile.
std::string goodput_flag(const scenarios::loader::Scenario& scenario) {
  std::string out;
  for (const char* metric : {"ttft", "tpot", "e2el"}) {
    const scenarios::loader::SloTerm* limit = nullptr;
    for (const auto& term : scenario.slo)
      if (term.metric == metric && (limit == nullptr || term.statistic > limit->statistic))
        limit = &term;
    if (limit != nullptr) out += fmt::format(" {}:{:g}", metric, limit->limit_s * 1e3);
  }
  return out.empty() ? out : " \\\n    --goodput" + out;
}

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string levels(const Load& load) {
  std::string out;
  for (const double factor : {0.25, 0.5, 0.75, 0.95, 1.0, 1.05}) {
    const double level = load.rate * factor;
    out += load.closed ? fmt::format(" {}", std::max(1L, std::lround(level)))
                       : fmt::format(" {:.4g}", level);
  }
  return out;
}

}  // namespace

std::string benchmark_script(const Emission& e) {
  const auto& scenario = *e.scenario;
  const Json summary = e.summary.empty() ? Json::object() : Json::parse(e.summary);
  const Load load = load_of(e, summary);
  std::string name = scenario.name;
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  std::string out = fmt::format("#!/usr/bin/env bash\n# {}\n", name);
  out += "# The benchmark that checks the prediction, on a server that is up at BASE_URL.\n";
  out += predicted(summary);
  out += fmt::format(
      "# vLLM's client draws prompts of random words; here all of {:.0f} tokens in and {:.0f} out, "
      "the means of\n# {}. Lengths and gaps that vary are not reproduced; step 2 makes up for it: "
      "it simulates the\n# requests that were really sent.\n",
      load.input, load.output, load.known ? "the run" : "the scenario");
  out += "set -euo pipefail\n";
  out += e.model.empty() ? fmt::format(": \"${{MODEL:?path or Hugging Face id of {}}}\"\n",
                                       scenario.serving.deployment.model.name)
                         : fmt::format("MODEL=${{MODEL:-{}}}\n", e.model);
  out +=
      "BASE_URL=${BASE_URL:-http://127.0.0.1:8000}\nOUT=${OUT:-measured}\n"
      "PROMPTS=${PROMPTS:-1000}\nmkdir -p \"$OUT\"\n\n";
  out += fmt::format(
      "# 1. Measure: loads around the predicted point, {:.4g} {}.\nfor load in{}; "
      "do\n",
      load.rate, load.closed ? "requests in flight" : "requests/s", levels(load));
  out += fmt::format(
      "  vllm bench serve --backend openai --base-url \"$BASE_URL\" --model \"$MODEL\" \\\n"
      "    --dataset-name random --random-input-len {:.0f} --random-output-len {:.0f} "
      "--ignore-eos \\\n    {} --num-prompts \"$PROMPTS\" --seed {} \\\n    "
      "--percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,90,95,99{} \\\n    "
      "--save-result --save-detailed --result-dir \"$OUT\" --result-filename \"load-$load.json\"\n"
      "done\n",
      std::max(1.0, load.input), std::max(1.0, load.output),
      load.closed ? "--max-concurrency \"$load\"" : "--request-rate \"$load\"",
      scenario.serving.seed, goodput_flag(scenario));
  std::string replay = e.scenario_path.empty() ? "SCENARIO.yaml" : quoted(e.scenario_path);
  for (const std::string& set : scenario.overrides)
    if (!set.starts_with("workload")) replay += " --set " + quoted(set);
  out += fmt::format(
      "\n# 2. Predict what was measured: the same arrivals and lengths, simulated.\n"
      "for file in \"$OUT\"/load-*.json; do\n"
      "  foretoken run {} --set \"workload={{arrivals: {{trace: $(realpath \"$file\")}}}}\" --json "
      "--no-files > \"${{file%.json}}.predicted\"\ndone\n",
      replay);
  out += R"(
# 3. Both side by side.
python3 - "$OUT" <<'END'
import glob, json, sys
print(f"{'load':24} {'metric':14} {'measured':>10} {'predicted':>10} {'error':>8}")
for name in sorted(glob.glob(sys.argv[1] + "/load-*.json")):
    measured, predicted = (json.load(open(f)) for f in (name, name[:-5] + ".predicted"))
    for key in ("median_ttft_ms", "p99_ttft_ms", "median_tpot_ms", "p99_tpot_ms", "output_throughput"):
        m, p = measured[key], predicted[key]
        print(f"{name.split('/')[-1]:24} {key:14.14} {m:10.2f} {p:10.2f} {100 * (p / m - 1):+7.1f}%")
END
)";
  return out;
}

}  // namespace foretoken::analysis::exporters
