#include "analysis/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "analysis/report_cluster.hpp"
#include "analysis/run_documents.hpp"
#include "analysis/summary.hpp"
#include "analysis/terminal.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;
using models::serving::RequestOutcome;

constexpr std::size_t kSeriesPoints = 600;  // more than pixels across a chart helps nobody
constexpr std::size_t kBatchBars = 128;
constexpr std::size_t kWorst = 10;

double rounded(double value) {  // five digits are beyond what a chart shows
  if (!std::isfinite(value) || value == 0.0) return value;
  const double scale = std::pow(10.0, 4 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

// Empirical distribution in a few hundred points, denser towards the tail.
Json curve_json(const Distribution& d) {
  Json ms = Json::array(), share = Json::array();
  if (d.n == 0) return {{"ms", ms}, {"share", share}};
  constexpr int kPoints = 240;
  // All values, or the quantiles that a sketch of many gives.
  const std::size_t values = d.ascending.size();
  std::size_t last = values;
  for (int i = 0; i <= kPoints; ++i) {
    // 1 - q falls evenly from 1 to 0 for half of the points and geometrically to 1e-4 after.
    const double x = static_cast<double>(i) / kPoints;
    const double q = i == kPoints ? 1.0 : x < 0.5 ? 1.8 * x : 1.0 - 0.1 * std::pow(1e-3, 2 * x - 1);
    const auto index =
        std::min(values - 1, static_cast<std::size_t>(q * static_cast<double>(values)));
    if (index == last) continue;
    last = index;
    ms.push_back(rounded(d.ascending[index] * 1e3));
    share.push_back(static_cast<double>(index + 1) / static_cast<double>(values));
  }
  return {{"ms", std::move(ms)}, {"share", std::move(share)}};
}

// Means of `group` neighbouring bins.
Json thinned(const std::vector<double>& bins, std::size_t group) {
  Json out = Json::array();
  for (std::size_t i = 0; i < bins.size(); i += group) {
    const std::size_t n = std::min(group, bins.size() - i);
    double sum = 0.0;
    for (std::size_t k = i; k < i + n; ++k) sum += bins[k];
    out.push_back(rounded(sum / static_cast<double>(n)));
  }
  return out;
}

Json series_json(const models::serving::TimeSeries& s) {
  const std::size_t group =
      std::max<std::size_t>(1, (s.running.size() + kSeriesPoints - 1) / kSeriesPoints);
  const double bin_s = s.bin_s * static_cast<double>(group);
  Json time = Json::array();
  for (std::size_t i = 0; i * group < s.running.size(); ++i)
    time.push_back(rounded(static_cast<double>(i) * bin_s));
  return {{"bin_s", bin_s},
          {"time_s", std::move(time)},
          {"running", thinned(s.running, group)},
          {"waiting", thinned(s.waiting, group)},
          {"kv_used_fraction", thinned(s.kv_used_fraction, group)},
          {"batch_tokens", thinned(s.batch_tokens, group)},
          {"gpu_watts", thinned(s.gpu_watts, group)},
          {"output_tokens_per_s", thinned(s.output_tokens_per_s, group)}};
}

// Busy time by the number of decoding sequences, in bars of equal width.
Json batch_json(const models::serving::StepTable& steps) {
  std::int32_t most = 0;
  for (const std::int32_t n : steps.decode_sequences) most = std::max(most, n);
  const auto width = static_cast<std::int32_t>(1 + static_cast<std::size_t>(most) / kBatchBars);
  std::vector<double> busy(static_cast<std::size_t>(most / width) + 1, 0.0);
  double total = 0.0;
  for (std::size_t i = 0; i < steps.decode_sequences.size(); ++i) {
    busy[static_cast<std::size_t>(steps.decode_sequences[i] / width)] += steps.duration_s[i];
    total += steps.duration_s[i];
  }
  Json sequences = Json::array(), share = Json::array();
  for (std::size_t i = 0; total > 0 && i < busy.size(); ++i) {
    // A bar stands for its largest value, so that "at most n" reads right.
    sequences.push_back((static_cast<std::int32_t>(i) + 1) * width - 1);
    share.push_back(rounded(busy[i] / total));
  }
  return {{"width", width}, {"sequences", std::move(sequences)}, {"share", std::move(share)}};
}

double mean_step_tokens(const models::serving::StepTable& steps) {
  double tokens = 0.0;
  for (std::size_t i = 0; i < steps.decode_sequences.size(); ++i)
    tokens += steps.prefill_tokens[i] + steps.decode_sequences[i];
  return steps.start_s.empty() ? 0.0 : tokens / static_cast<double>(steps.start_s.size());
}

// Completed requests of the window, by falling value of `key`, the first `count`.
template <class Key>
std::vector<std::size_t> largest(const ServingResult& result, std::size_t count, Key key) {
  const auto& r = result.requests;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < r.size(); ++i)
    if (r.outcome[i] == RequestOutcome::completed && r.arrival_s[i] >= result.window_start_s &&
        r.arrival_s[i] <= result.window_end_s)
      order.push_back(i);
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) {
    return key(a) != key(b) ? key(a) > key(b) : a < b;
  });
  order.erase(end, order.end());
  return order;
}

// Mean parts of a request's life: of all, and of the slowest hundredth end to end.
Json anatomy_json(const ServingResult& result, const Metrics& m) {
  const auto& r = result.requests;
  const std::size_t known = r.complete() ? m.e2el.n : r.size();
  const std::size_t tail = std::max<std::size_t>(1, known / 100);
  const auto slow =
      largest(result, tail, [&r](std::size_t i) { return r.last_token_s[i] - r.arrival_s[i]; });
  double queue = 0.0, prefill = 0.0, decode = 0.0;
  for (const std::size_t i : slow) {
    queue += r.scheduled_s[i] - r.arrival_s[i];
    prefill += r.first_token_s[i] - r.scheduled_s[i];
    decode += r.last_token_s[i] - r.first_token_s[i];
  }
  const auto n = static_cast<double>(std::max<std::size_t>(1, slow.size()));
  const auto part = [](double q, double p, double d) {
    return Json{{"queue", rounded(q)}, {"prefill", rounded(p)}, {"decode", rounded(d)}};
  };
  if (m.e2el.n == 0) return Json::array({part(0, 0, 0), part(0, 0, 0)});
  return Json::array({part(m.queueing.mean, m.prefill.mean, m.decode.mean),
                      part(queue / n, prefill / n, decode / n)});
}

Json worst_json(const ServingResult& result) {
  const auto& r = result.requests;
  Json list = Json::array();
  for (const std::size_t i :
       largest(result, kWorst, [&r](std::size_t k) { return r.first_token_s[k] - r.arrival_s[k]; }))
    list.push_back({{"index", r.number_of(i)},
                    {"arrival_s", r.arrival_s[i]},
                    {"input", r.input_tokens[i]},
                    {"output", r.output_tokens[i]},
                    {"queue_ms", (r.scheduled_s[i] - r.arrival_s[i]) * 1e3},
                    {"ttft_ms", (r.first_token_s[i] - r.arrival_s[i]) * 1e3},
                    {"e2el_ms", (r.last_token_s[i] - r.arrival_s[i]) * 1e3},
                    {"preemptions", r.preemptions[i]},
                    {"replica", r.replica[i]}});
  return list;
}

Json meta_json(const Scenario& scenario, const ServingResult& result, const RunInfo& info) {
  Json inputs = Json::object();
  for (const auto& [file, hash] : scenario.input_hashes) inputs[file] = hash;
  return {{"seed", scenario.serving.seed},
          {"version", info.version},
          {"build", build_description()},
          {"hash", fmt::format("fnv1a64:{:016x}", scenario_hash(scenario))},
          {"event_hash", fmt::format("{:016x}", result.run.hash)},
          {"scenario", scenario.file.string()},
          {"command", info.replay_command},
          {"inputs", std::move(inputs)}};
}

Json report_data(const Scenario& scenario, const ServingResult& result, const Metrics& m,
                 const RunInfo& info) {
  Json j;
  j["summary"] = Json::parse(summary_json(scenario, result, m, info));
  j["summary"].erase("run");  // timings: the page is the same for equal runs
  j["currency"] = scenario.cost.currency == models::cost::Currency::CNY ? "CNY" : "USD";
  j["deployment"] = deployment_text(scenario, m);
  j["curves"] = {
      {"ttft", curve_json(m.ttft)}, {"tpot", curve_json(m.tpot)}, {"e2el", curve_json(m.e2el)}};
  j["series"] = series_json(result.series);
  j["batch"] = batch_json(result.steps);
  j["step_tokens"] = rounded(mean_step_tokens(result.steps));
  j["anatomy"] = anatomy_json(result, m);
  j["worst"] = worst_json(result);
  if (result.network) j["network"] = link_heat_json(result);
  j["experts"] = expert_loads_json(scenario, result);
  Json config = Json::array();
  for (const auto& v : scenario.resolved) config.push_back({v.path, v.value, v.origin});
  j["config"] = std::move(config);
  j["meta"] = meta_json(scenario, result, info);
  return j;
}

}  // namespace

std::string report_html(const Scenario& scenario, const ServingResult& result, const Metrics& m,
                        const RunInfo& info) {
  return report_page(
      report_data(scenario, result, m, info).dump(-1, ' ', false, Json::error_handler_t::replace),
      scenario.name, terminal_answer(scenario, result, m, info));
}

}  // namespace foretoken::analysis
