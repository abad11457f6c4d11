#include "analysis/slo.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

using scenarios::loader::SloTerm;

// NaN for the mean, which has no place among the order statistics.
double quantile_of(const std::string& statistic_name) {
  if (statistic_name == "p50" || statistic_name == "median") return 0.50;
  if (statistic_name == "p90") return 0.90;
  if (statistic_name == "p95") return 0.95;
  if (statistic_name == "p99") return 0.99;
  return kMissing;
}

// Type 7 over the completed values followed by `misses` infinities. The mean is of what
// completed: an infinite one would say nothing, and attainment counts the misses.
double statistic_with_misses(const Distribution& d, const std::string& name, std::size_t misses) {
  const double q = quantile_of(name);
  if (misses == 0 || std::isnan(q)) return statistic(d, name);
  const double position = static_cast<double>(d.n + misses - 1) * q;
  const auto upper = static_cast<std::size_t>(std::ceil(position));
  if (upper >= d.n) return std::numeric_limits<double>::infinity();
  // All values, or the evenly spaced quantiles that a sketch of many gives.
  const auto values = static_cast<double>(d.ascending.size());
  const double at = d.n > 1 ? position * (values - 1) / static_cast<double>(d.n - 1) : 0.0;
  const auto lower = static_cast<std::size_t>(std::floor(at));
  const auto next = std::min(lower + 1, d.ascending.size() - 1);
  return d.ascending[lower] + (at - std::floor(at)) * (d.ascending[next] - d.ascending[lower]);
}

// The limit a single request is held to: of several terms on one metric the one with the highest
// percentile, because the others allow for requests above their limit. Infinite without a term.
double request_limit(const std::vector<SloTerm>& terms, const std::string& metric) {
  double limit = std::numeric_limits<double>::infinity();
  double best = -1.0;
  for (const SloTerm& term : terms) {
    if (term.metric != metric) continue;
    const double q = quantile_of(term.statistic);
    const double rank = std::isnan(q) ? 0.0 : q;
    if (rank > best || (rank == best && term.limit_s < limit)) {
      best = rank;
      limit = term.limit_s;
    }
  }
  return limit;
}

struct Limits {
  double ttft_s, tpot_s, e2el_s;
  [[nodiscard]] Limits scaled(double factor) const {
    return {ttft_s * factor, tpot_s * factor, e2el_s * factor};
  }
};

std::size_t count_good(const RequestLatencies& r, const Limits& limit) {
  std::size_t good = 0;
  for (std::size_t i = 0; i < r.ttft_s.size(); ++i)
    good += std::isfinite(r.e2el_s[i]) && r.ttft_s[i] <= limit.ttft_s &&
            r.tpot_s[i] <= limit.tpot_s && r.e2el_s[i] <= limit.e2el_s;
  return good;
}

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? kMissing : static_cast<double>(part) / static_cast<double>(whole);
}

SloOutcome judge_term(const SloTerm& term, const Distribution& completed,
                      const std::vector<double>& requests, std::size_t misses, double error) {
  SloOutcome out;
  out.term = term;
  out.value_s = statistic_with_misses(completed, term.statistic, misses);
  out.met = out.value_s <= term.limit_s;
  out.margin = (term.limit_s - out.value_s) / term.limit_s;
  const double flipped = out.met ? out.value_s * (1.0 + error) : out.value_s * (1.0 - error);
  out.inside_error = std::isfinite(out.value_s) && (flipped <= term.limit_s) != out.met;
  const auto within = std::count_if(requests.begin(), requests.end(), [&](double v) {
    return std::isfinite(v) && v <= term.limit_s;
  });
  out.attainment = share(static_cast<std::size_t>(within), requests.size());
  return out;
}

}  // namespace

SloReport judge_slo(const std::vector<SloTerm>& terms, const RequestLatencies& requests,
                    const Distribution& ttft, const Distribution& tpot, const Distribution& e2el,
                    std::size_t misses, double relative_error, double window_s) {
  SloReport report;
  report.arrived = requests.ttft_s.size();
  for (const SloTerm& term : terms) {
    SIM_ASSERT(term.metric == "ttft" || term.metric == "tpot" || term.metric == "e2el",
               "the scenario loader let an SLO metric through that has no definition");
    const bool first = term.metric == "ttft", between = term.metric == "tpot";
    report.terms.push_back(judge_term(term,
                                      first     ? ttft
                                      : between ? tpot
                                                : e2el,
                                      first     ? requests.ttft_s
                                      : between ? requests.tpot_s
                                                : requests.e2el_s,
                                      misses, relative_error));
    report.met = report.met && report.terms.back().met;
  }
  // Missed clearly by one term, a second term near its limit changes nothing.
  const bool clear_miss = std::any_of(report.terms.begin(), report.terms.end(),
                                      [](const auto& t) { return !t.met && !t.inside_error; });
  report.inside_error = !clear_miss && std::any_of(report.terms.begin(), report.terms.end(),
                                                   [](const auto& t) { return t.inside_error; });

  const Limits limits{request_limit(terms, "ttft"), request_limit(terms, "tpot"),
                      request_limit(terms, "e2el")};
  const double e = relative_error;
  report.good = count_good(requests, limits);
  report.attainment = share(report.good, report.arrived);
  report.attainment_low =
      share(count_good(requests, limits.scaled(1.0 / (1.0 + e))), report.arrived);
  const double widest = e < 1.0 ? 1.0 / (1.0 - e) : std::numeric_limits<double>::infinity();
  report.attainment_high = share(count_good(requests, limits.scaled(widest)), report.arrived);
  if (window_s > 0) report.goodput = static_cast<double>(report.good) / window_s;
  return report;
}

}  // namespace foretoken::analysis
