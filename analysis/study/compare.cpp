#include "analysis/study/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/results_store.hpp"
#include "analysis/study/sweep_store.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::analysis::study {
namespace {

namespace fs = std::filesystem;
using models::serving::RequestTable;
using sim::core::InputError;

// What people compare runs by, in the order shown.
constexpr const char* kMetrics[] = {"mean_ttft_ms",
                                    "p50_ttft_ms",
                                    "p90_ttft_ms",
                                    "p99_ttft_ms",
                                    "mean_tpot_ms",
                                    "p50_tpot_ms",
                                    "p90_tpot_ms",
                                    "p99_tpot_ms",
                                    "mean_e2el_ms",
                                    "p50_e2el_ms",
                                    "p99_e2el_ms",
                                    "completed",
                                    "rejected",
                                    "request_throughput",
                                    "output_throughput",
                                    "request_goodput",
                                    "slo.attainment.value",
                                    "kv.mean_used_fraction",
                                    "preemptions",
                                    "energy.mean_gpu_watts",
                                    "energy.joules_per_output_token.facility",
                                    "cost.per_hour.cny",
                                    "cost.per_million_output_tokens.cny",
                                    "cost.per_million_output_tokens.usd"};

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    throw InputError(file.string() +
                     " cannot be read: compare takes folders written by 'foretoken "
                     "run', or two scenario files");
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void collect_values(const scenarios::loader::YamlNode& node, const std::string& path,
                    std::map<std::string, std::string>& out) {
  if (node.is_scalar()) out[path] = node.text();
  const auto below = [&path](const std::string& key) {
    return path.empty() ? key : path + "." + key;
  };
  for (const auto& [key, child] : node.entries()) collect_values(child, below(key), out);
  std::size_t i = 0;
  for (const auto& item : node.items()) collect_values(item, below(std::to_string(i++)), out);
}

using Inputs = std::map<std::string, std::string>;

std::vector<InputDifference> difference_of(const Inputs& a, const Inputs& b) {
  std::vector<InputDifference> differences;
  for (const auto& [path, value] : a) {
    const auto other = b.find(path);
    if (other == b.end())
      differences.push_back({path, value, {}});
    else if (other->second != value)
      differences.push_back({path, value, other->second});
  }
  for (const auto& [path, value] : b)
    if (!a.contains(path)) differences.push_back({path, {}, value});
  std::sort(differences.begin(), differences.end(),
            [](const auto& x, const auto& y) { return x.path < y.path; });
  return differences;
}

Inputs inputs_of(const Scenario& scenario) {
  Inputs inputs;
  for (const auto& value : scenario.resolved) inputs[value.path] = value.value;
  return inputs;
}

Inputs inputs_of(const fs::path& run) {
  const fs::path file = run / "config.resolved.yaml";
  const auto yaml = scenarios::loader::YamlFile::parse(text_of(file), file.string());
  Inputs inputs;
  collect_values(yaml.root(), "", inputs);
  return inputs;
}

struct Latencies {  // of one run, in order of arrival; NaN where there is none
  std::vector<double> ttft_ms, tpot_ms, e2el_ms;
};

Latencies latencies_of(const RequestTable& t) {
  Latencies l;
  for (std::size_t i = 0; i < t.size(); ++i) {
    const bool done = t.outcome[i] == models::serving::RequestOutcome::completed;
    l.ttft_ms.push_back(done ? 1e3 * (t.first_token_s[i] - t.arrival_s[i]) : kMissing);
    l.e2el_ms.push_back(done ? 1e3 * (t.last_token_s[i] - t.arrival_s[i]) : kMissing);
    l.tpot_ms.push_back(done && t.output_tokens[i] > 1
                            ? 1e3 * (t.last_token_s[i] - t.first_token_s[i]) /
                                  static_cast<double>(t.output_tokens[i] - 1)
                            : kMissing);
  }
  return l;
}

bool same_requests(const RequestTable& a, const RequestTable& b) {
  return a.arrival_s == b.arrival_s && a.input_tokens == b.input_tokens &&
         a.output_tokens == b.output_tokens;
}

std::vector<double> present(const std::vector<double>& values) {
  std::vector<double> out;
  std::copy_if(values.begin(), values.end(), std::back_inserter(out),
               [](double v) { return !std::isnan(v); });
  return out;
}

void judge(ResultDifference& result, const Interval& interval, const std::string& method) {
  result.low = interval.low;
  result.high = interval.high;
  result.method = method;
  if (!std::isnan(interval.low)) result.significant = interval.low > 0.0 || interval.high < 0.0;
}

void compare_means(ResultDifference& result, const std::vector<double>& a,
                   const std::vector<double>& b, bool paired) {
  if (paired) {
    std::vector<double> differences;
    for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(b[i] - a[i]);
    return judge(result, batch_means_interval(present(differences)),
                 "request by request, t over 20 batch means");
  }
  const Interval x = batch_means_interval(present(a)), y = batch_means_interval(present(b));
  const double half = std::hypot(x.high - x.low, y.high - y.low) / 2.0;
  judge(result, {result.difference - half, result.difference + half},
        "t over 20 batch means of each");
}

void compare_quantiles(ResultDifference& result, std::vector<double> a, std::vector<double> b,
                       double q) {
  a = present(a);
  b = present(b);
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const Interval x = quantile_interval(a, q), y = quantile_interval(b, q);
  judge(result, {y.low - x.high, y.high - x.low}, "order statistics of each");
}

void compare_latency(ResultDifference& result, const Latencies& a, const Latencies& b,
                     bool paired) {
  const auto at = result.metric.find('_');
  const std::string statistic_name = result.metric.substr(0, at);
  const std::string name = result.metric.substr(at + 1);
  const auto of = [&](const Latencies& l) -> const std::vector<double>* {
    return name == "ttft_ms"   ? &l.ttft_ms
           : name == "tpot_ms" ? &l.tpot_ms
           : name == "e2el_ms" ? &l.e2el_ms
                               : nullptr;
  };
  if (of(a) == nullptr) return;
  if (statistic_name == "mean")
    compare_means(result, *of(a), *of(b), paired);
  else
    compare_quantiles(result, *of(a), *of(b), std::stod(statistic_name.substr(1)) / 100.0);
}

double number_of(const std::map<std::string, double>& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? kMissing : found->second;
}

}  // namespace

Interval batch_means_interval(const std::vector<double>& in_order) {
  constexpr std::size_t kBatches = 20;
  if (in_order.size() < 2 * kBatches) return {};
  std::vector<double> means;
  for (std::size_t batch = 0; batch < kBatches; ++batch) {
    const std::size_t begin = batch * in_order.size() / kBatches;
    const std::size_t end = (batch + 1) * in_order.size() / kBatches;
    double sum = 0.0;
    for (std::size_t i = begin; i < end; ++i) sum += in_order[i];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  const Aggregate over = aggregate(means);
  return {over.mean - over.half_width, over.mean + over.half_width};
}

Interval quantile_interval(const std::vector<double>& ascending, double q) {
  constexpr double kTwoSided95 = 1.959964;
  const auto n = static_cast<double>(ascending.size());
  const double half = kTwoSided95 * std::sqrt(n * q * (1.0 - q));
  const double low = std::floor(n * q - half), high = std::ceil(n * q + half);
  if (low < 0.0 || high >= n) return {};
  return {ascending[static_cast<std::size_t>(low)], ascending[static_cast<std::size_t>(high)]};
}

Comparison compare_runs(const fs::path& a, const fs::path& b) {
  Comparison comparison;
  comparison.name_a = a.string();
  comparison.name_b = b.string();
  comparison.inputs = difference_of(inputs_of(a), inputs_of(b));
  const auto metrics_a = flat_numbers(text_of(a / "summary.json"));
  const auto metrics_b = flat_numbers(text_of(b / "summary.json"));
  const RequestTable requests_a = read_run_tables(a / "run.h5").requests;
  const RequestTable requests_b = read_run_tables(b / "run.h5").requests;
  comparison.paired = same_requests(requests_a, requests_b);
  const Latencies latencies_a = latencies_of(requests_a), latencies_b = latencies_of(requests_b);
  for (const char* name : kMetrics) {
    ResultDifference result{name,
                            number_of(metrics_a, name),
                            number_of(metrics_b, name),
                            kMissing,
                            kMissing,
                            kMissing,
                            {},
                            "one run of each: no interval"};
    if (std::isnan(result.a) && std::isnan(result.b)) continue;
    result.difference = result.b - result.a;
    compare_latency(result, latencies_a, latencies_b, comparison.paired);
    comparison.results.push_back(std::move(result));
  }
  return comparison;
}

Comparison compare_scenarios(const Evaluator& a, const Evaluator& b, int repeats, int threads,
                             const std::atomic<bool>* interrupt) {
  const Scenario scenario_a = a.load({}), scenario_b = b.load({});
  Comparison comparison;
  comparison.name_a = scenario_a.name;
  comparison.name_b = scenario_b.name;
  comparison.repeats = repeats;
  comparison.paired = true;
  comparison.inputs = difference_of(inputs_of(scenario_a), inputs_of(scenario_b));
  const auto n = static_cast<std::size_t>(repeats);
  std::vector<std::map<std::string, double>> metrics(2 * n);
  for_each_in_order(2 * n, threads, interrupt, [&](std::size_t i) {
    Scenario scenario = i % 2 == 0 ? scenario_a : scenario_b;
    scenario.serving.seed += i / 2;
    const Evaluation done = (i % 2 == 0 ? a : b).evaluate(std::move(scenario), true, interrupt);
    if (done.status == Status::infeasible) throw sim::core::InfeasibleError(done.error);
    if (done.status != Status::ok) throw InputError(done.error);
    metrics[i] = flat_numbers(done.summary);
  });
  for (const char* name : kMetrics) {
    std::vector<double> of_a, of_b, differences;
    for (std::size_t r = 0; r < n; ++r) {
      of_a.push_back(number_of(metrics[2 * r], name));
      of_b.push_back(number_of(metrics[2 * r + 1], name));
      differences.push_back(of_b.back() - of_a.back());
    }
    ResultDifference result;
    result.metric = name;
    result.a = aggregate(of_a).mean;
    result.b = aggregate(of_b).mean;
    if (std::isnan(result.a) && std::isnan(result.b)) continue;
    const Aggregate over = aggregate(differences);
    result.difference = over.mean;
    if (over.n > 1)
      judge(result, {over.mean - over.half_width, over.mean + over.half_width},
            fmt::format("t over {} paired seeds", over.n));
    else
      result.method = "one seed: no interval";
    comparison.results.push_back(std::move(result));
  }
  return comparison;
}

}  // namespace foretoken::analysis::study
