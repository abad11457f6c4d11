#include "analysis/exporters/vllm_json.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "analysis/statistics.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::exporters {
namespace {

using Json = nlohmann::ordered_json;
using models::serving::RequestOutcome;

constexpr double kSame_s = 2e-9;         // beyond the rounding of seconds in run.h5
constexpr std::ptrdiff_t kLagSteps = 8;  // a token reaches the client at most so many steps late

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

using StepEnds = std::map<std::int32_t, std::vector<double>>;  // by replica, ascending

StepEnds step_ends(const models::serving::StepTable& steps) {
  StepEnds ends;
  if (steps.kept_every != 1) return ends;  // thinned: they account for nothing
  for (std::size_t i = 0; i < steps.start_s.size(); ++i)
    ends[steps.replica[i]].push_back(steps.start_s[i] + steps.duration_s[i]);
  for (auto& [replica, list] : ends) std::sort(list.begin(), list.end());
  return ends;
}

// The steps that made the tokens: the same delay after a step's end at the first and the last, and
// as many steps from one to the other as there are tokens.
std::optional<std::vector<double>> gaps_from_steps(const std::vector<double>& ends, double first_s,
                                                   double last_s, std::int32_t tokens) {
  const auto after = std::upper_bound(ends.begin(), ends.end(), first_s + kSame_s);
  for (std::ptrdiff_t back = 1; back <= std::min(kLagSteps, after - ends.begin()); ++back) {
    const auto from = after - back;
    const auto to = from + (tokens - 1);
    if (to - ends.begin() >= static_cast<std::ptrdiff_t>(ends.size())) continue;
    const double delay = first_s - *from;
    if (std::abs(*to + delay - last_s) > kSame_s) continue;
    std::vector<double> gaps;
    for (auto at = from; at != to; ++at) gaps.push_back(*(at + 1) - *at);
    return gaps;
  }
  return std::nullopt;
}

void put_statistics(Json& j, const std::string& name, const Distribution& d) {
  const auto put = [&](const std::string& statistic, double seconds) {
    j[statistic + "_" + name + "_ms"] = number(seconds * 1e3);
  };
  put("mean", d.mean);
  put("median", d.p50);
  put("std", d.std);
  put("p50", d.p50);
  put("p90", d.p90);
  put("p95", d.p95);
  put("p99", d.p99);
}

struct Arrays {
  Json input_lens = Json::array(), output_lens = Json::array(), ttfts = Json::array(),
       itls = Json::array(), start_times = Json::array(), latencies = Json::array(),
       errors = Json::array();
  std::vector<double> ttft, tpot, itl, e2el;
  std::size_t prompts = 0, completed = 0, from_steps = 0;
  std::int64_t input_tokens = 0, output_tokens = 0;
};

void put_completed(Arrays& a, const models::serving::RequestTable& r, std::size_t i,
                   const TokenGaps& gaps) {
  const double ttft = r.first_token_s[i] - r.arrival_s[i];
  const double latency = r.last_token_s[i] - r.arrival_s[i];
  ++a.completed;
  a.from_steps += gaps.from_steps ? 1 : 0;
  a.input_tokens += r.input_tokens[i];
  a.output_tokens += r.output_tokens[i];
  a.output_lens.push_back(r.output_tokens[i]);
  a.ttfts.push_back(ttft);
  a.latencies.push_back(latency);
  a.itls.push_back(gaps.gaps_s);
  a.errors.push_back("");
  a.ttft.push_back(ttft);
  a.e2el.push_back(latency);
  a.itl.insert(a.itl.end(), gaps.gaps_s.begin(), gaps.gaps_s.end());
  if (r.output_tokens[i] > 1) a.tpot.push_back((latency - ttft) / (r.output_tokens[i] - 1));
}

// vLLM keeps a row of zeros for a request that failed.
void put_failed(Arrays& a) {
  a.output_lens.push_back(0);
  a.ttfts.push_back(0.0);
  a.latencies.push_back(0.0);
  a.itls.push_back(Json::array());
  a.errors.push_back("did not complete");
}

Arrays arrays_of(const models::serving::ServingResult& tables, double start_s, double end_s) {
  const auto& r = tables.requests;
  const auto gaps = token_gaps(tables);
  Arrays a;
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (r.arrival_s[i] < start_s || r.arrival_s[i] > end_s) continue;
    ++a.prompts;
    a.input_lens.push_back(r.input_tokens[i]);
    a.start_times.push_back(r.arrival_s[i]);
    if (r.outcome[i] == RequestOutcome::completed)
      put_completed(a, r, i, gaps[i]);
    else
      put_failed(a);
  }
  return a;
}

}  // namespace

std::vector<TokenGaps> token_gaps(const models::serving::ServingResult& tables) {
  const auto& r = tables.requests;
  const StepEnds ends = step_ends(tables.steps);
  std::vector<TokenGaps> all(r.size());
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (r.outcome[i] != RequestOutcome::completed || r.output_tokens[i] < 2) continue;
    TokenGaps& gaps = all[i];
    if (const auto found = ends.find(r.replica[i]); found != ends.end())
      if (auto exact = gaps_from_steps(found->second, r.first_token_s[i], r.last_token_s[i],
                                       r.output_tokens[i])) {
        gaps = {std::move(*exact), true};
        continue;
      }
    const double between = (r.last_token_s[i] - r.first_token_s[i]) / (r.output_tokens[i] - 1);
    gaps.gaps_s.assign(static_cast<std::size_t>(r.output_tokens[i] - 1), between);
  }
  return all;
}

std::string vllm_json(const SavedRun& run, const models::serving::ServingResult& tables) {
  if (!tables.requests.complete())
    throw sim::core::InputError(run.folder.string() +
                                ": kept a sample of its requests or none, and vLLM's figures are "
                                "over all; run it with records: all");
  const Json summary = Json::parse(run.summary);
  if (!summary.contains("window") || !summary["window"].is_object())
    throw sim::core::InputError(run.folder.string() + ": no measured window in summary.json");
  const double start_s = summary["window"].value("start_s", 0.0);
  const double end_s = summary["window"].value("end_s", 0.0);
  const double duration_s = end_s - start_s;
  Arrays a = arrays_of(tables, start_s, end_s);
  if (a.completed == 0)
    throw sim::core::InputError(run.folder.string() + ": no request of its window completed");
  const auto rate = [&](double amount) { return amount / duration_s; };
  const auto completed = static_cast<double>(a.completed);
  const auto input = static_cast<double>(a.input_tokens),
             output = static_cast<double>(a.output_tokens);
  Json j;
  j["backend"] = "foretoken";
  j["label"] = run.name;
  j["model_id"] = summary["deployment"]["model"];
  j["num_prompts"] = a.prompts;
  j["duration"] = duration_s;
  j["completed"] = a.completed;
  j["failed"] = a.prompts - a.completed;
  j["total_input_tokens"] = a.input_tokens;
  j["total_output_tokens"] = a.output_tokens;
  j["request_throughput"] = rate(completed);
  j["request_goodput"] = summary.value("request_goodput", Json(nullptr));
  j["output_throughput"] = rate(output);
  j["total_token_throughput"] = rate(input + output);
  j["max_concurrent_requests"] = summary.value("max_concurrent_requests", Json(nullptr));
  put_statistics(j, "ttft", describe(std::move(a.ttft)));
  put_statistics(j, "tpot", describe(std::move(a.tpot)));
  put_statistics(j, "itl", describe(std::move(a.itl)));
  put_statistics(j, "e2el", describe(std::move(a.e2el)));
  j["input_lens"] = std::move(a.input_lens);
  j["output_lens"] = std::move(a.output_lens);
  j["ttfts"] = std::move(a.ttfts);
  j["itls"] = std::move(a.itls);
  j["latencies"] = std::move(a.latencies);
  j["start_times"] = std::move(a.start_times);
  j["errors"] = std::move(a.errors);
  j["foretoken"] = {
      {"predicted", true},
      {"gaps_from_steps", a.from_steps},
      {"gaps_equal", a.completed - a.from_steps},
      {"gaps_are",
       "itls of requests whose every token is accounted for by recorded steps; equal gaps within "
       "a request elsewhere, so that percentiles of itl are too narrow by them"}};
  return j.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace foretoken::analysis::exporters
