#include "analysis/study/plan_after.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "analysis/number_text.hpp"
#include "analysis/study/capacity.hpp"

namespace foretoken::analysis::study {
namespace {

constexpr double kMostLoad = 16.0, kLoadPrecision = 1.04;
constexpr std::size_t kSections = 3;  // loads tried at a time; fixed, so threads change nothing
constexpr double kHoursAYear = 8760.0;

std::string tightest(const SloReport& slo) {
  const auto least = std::min_element(
      slo.terms.begin(), slo.terms.end(),
      [](const SloOutcome& a, const SloOutcome& b) { return a.margin < b.margin; });
  return least == slo.terms.end() ? std::string() : least->term.text;
}

// Months after which what was paid for the hardware is less than the rent saved.
std::optional<double> break_even_months(const WayToPay& bought, const Scenario& scenario, int nodes,
                                        double rent_cny_per_hour) {
  const auto& spec = scenario.cost;
  if (!spec.node_price) return std::nullopt;
  const double rate = spec.exchange.cny_per_usd;
  const double purchase = nodes * spec.node_price->amount *
                          (spec.node_price->currency == models::cost::Currency::CNY ? 1.0 : rate);
  const double depreciation = purchase / (spec.horizon_years * kHoursAYear);
  const double running = bought.cny_per_hour - depreciation;
  if (!(rent_cny_per_hour > running)) return std::nullopt;
  return purchase / (rent_cny_per_hour - running) / (kHoursAYear / 12.0);
}

struct ApiLatency {
  double ttft_s = 0.0, tpot_s = 0.0;
};

// Value of a term when every request is answered remotely.
double api_value(const scenarios::loader::SloTerm& term, const ApiLatency& latency,
                 const Traffic& traffic) {
  if (term.metric == "ttft") return latency.ttft_s;
  if (term.metric == "tpot") return latency.tpot_s;
  std::vector<double> e2el;
  e2el.reserve(traffic.output.size());
  for (const std::int32_t tokens : traffic.output)
    e2el.push_back(latency.ttft_s + (tokens - 1) * latency.tpot_s);
  return statistic(analysis::describe(std::move(e2el)), term.statistic);
}

}  // namespace

BreakingLoad breaking_load(const Scenario& winner, const Simulate& simulate, int threads,
                           const std::atomic<bool>* interrupt) {
  BreakingLoad found;
  const auto try_all = [&](const std::vector<double>& factors) {
    std::vector<SloReport> reports(factors.size());
    for_each_in_order(factors.size(), threads, interrupt, [&](std::size_t i) {
      Scenario other = winner;
      scale_load(other.serving.workload, factors[i]);
      reports[i] = simulate(other).slo;
    });
    found.simulated += factors.size();
    return reports;
  };
  double low = 1.0, high = 0.0;
  const auto narrow = [&](const std::vector<double>& factors) {
    const auto reports = try_all(factors);
    for (std::size_t i = 0; i < factors.size(); ++i) {
      if (reports[i].met) {
        low = factors[i];
        continue;
      }
      high = factors[i];
      found.term = tightest(reports[i]);
      return;
    }
  };
  for (double at = 1.0; high == 0.0 && at < kMostLoad; at *= 2.0)
    narrow({at * 1.25, at * 1.5, at * 2.0});
  while (high > 0.0 && high / low > kLoadPrecision) {
    std::vector<double> inside;
    for (std::size_t i = 1; i <= kSections; ++i)
      inside.push_back(
          low * std::pow(high / low, static_cast<double>(i) / static_cast<double>(kSections + 1)));
    narrow(inside);
  }
  found.factor = low;
  found.beyond = high == 0.0;
  return found;
}

std::vector<HourOfDay> nodes_by_hour(const Scenario& winner, const std::vector<double>& day,
                                     const Simulate& simulate) {
  const auto& d = winner.serving.deployment;
  const int per_node = d.node.gpus;
  const int step = std::max(1, d.layout.gpus() / per_node);  // nodes a replica
  std::map<double, int> known;
  std::vector<HourOfDay> hours;
  for (std::size_t hour = 0; hour < day.size(); ++hour) {
    const double load = day[hour];
    if (load > 0.0 && !known.contains(load)) {
      int low = 0, high = d.nodes / step + 1;  // too few, enough (or one too many)
      while (high - low > 1) {
        const int middle = (low + high) / 2;
        Scenario other = winner;
        other.serving.deployment.nodes = middle * step;
        other.serving.deployment.replicas = middle * step * per_node / d.layout.gpus();
        scale_load(other.serving.workload, load);
        (simulate(other).slo.met ? high : low) = middle;
      }
      known[load] = high * step <= d.nodes ? high * step : 0;
    }
    hours.push_back({static_cast<int>(hour), load, load > 0 ? known[load] : 0});
  }
  return hours;
}

std::vector<WayToPay> ways_to_pay(const Ranked& winner, const CandidateSet& set) {
  const Candidate& w = winner.candidate;
  const Metrics& m = winner.metrics;
  std::vector<WayToPay> ways;
  std::optional<Scenario> owned;
  for (const Candidate& c : set.candidates) {
    if (c.timer != w.timer || c.nodes != w.nodes || c.policy != w.policy ||
        c.max_tokens != w.max_tokens || c.max_sequences != w.max_sequences ||
        c.api_share != w.api_share)
      continue;
    const Scenario scenario = scenario_of(c, set.bases[c.base]);
    const auto account =
        models::cost::cost_of_run(scenario.cost, m.nodes, m.gpus, m.energy.mean_facility_watts,
                                  m.output_rate.value, m.total_rate.value);
    const bool rented = !scenario.cost.node_price;
    if (!rented) owned = scenario;
    ways.push_back({!rented                      ? "buy"
                    : c.pay.starts_with("rent:") ? "rent, " + c.pay.substr(5)
                                                 : "rent",
                    account.total_cny_per_hour, account.total_usd_per_hour, std::nullopt});
  }
  std::stable_sort(ways.begin(), ways.end(), [](const WayToPay& a, const WayToPay& b) {
    return a.cny_per_hour < b.cny_per_hour;
  });
  const auto bought =
      std::find_if(ways.begin(), ways.end(), [](const WayToPay& way) { return way.name == "buy"; });
  if (bought == ways.end()) return ways;
  for (const WayToPay& way : ways)  // the cheapest rent comes first
    if (way.name != "buy") {
      bought->break_even_months = break_even_months(*bought, *owned, m.nodes, way.cny_per_hour);
      break;
    }
  return ways;
}

std::optional<ApiOnly> all_by_api(const ApiOption& api, const Scenario& scenario,
                                  const Traffic& traffic) {
  if (!traffic.open || traffic.input.empty() || traffic.span_s <= 0) return std::nullopt;
  const auto& remote = api.terms;
  double input = 0.0, output = 0.0;
  for (const std::int32_t n : traffic.input) input += n;
  for (const std::int32_t n : traffic.output) output += n;
  const double usd =
      1e-6 * (input * remote.usd_per_million_input + output * remote.usd_per_million_output);
  ApiOnly only;
  only.usd_per_hour = usd / (traffic.span_s / 3600.0);
  only.cny_per_hour = only.usd_per_hour * scenario.cost.exchange.cny_per_usd;
  only.cost_per_hour =
      scenario.cost.currency == models::cost::Currency::CNY ? only.cny_per_hour : only.usd_per_hour;
  only.usd_per_million_output = usd / output * 1e6;
  const ApiLatency latency{remote.round_trip_s + remote.first_token_s, 1.0 / remote.tokens_per_s};
  only.meets = true;
  for (const auto& term : scenario.slo) {
    const double value = api_value(term, latency, traffic);
    if (value <= term.limit_s) continue;
    only.meets = false;
    only.why += fmt::format("{}{}: {}", only.why.empty() ? "" : "; ", term.text, time_text(value));
  }
  return only;
}

}  // namespace foretoken::analysis::study
