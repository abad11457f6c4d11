#include "analysis/workload_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "analysis/number_text.hpp"
#include "analysis/statistics.hpp"

namespace foretoken::analysis {
namespace {

using models::serving::PrefixBlocks;
using models::serving::TraceRequest;

constexpr double kSecond = 1e-12;  // of a picosecond

LengthProfile lengths_of(std::vector<double> values) {
  LengthProfile out;
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  for (const double v : values) out.mean += v / static_cast<double>(values.size());
  out.p50 = percentile(values, 0.50);
  out.p90 = percentile(values, 0.90);
  out.p99 = percentile(values, 0.99);
  out.max = values.back();
  return out;
}

std::vector<double> counts_by(const std::vector<TraceRequest>& requests, double window_s) {
  const double span_s = kSecond * static_cast<double>(requests.back().arrival_ps);
  std::vector<double> counts(static_cast<std::size_t>(span_s / window_s) + 1, 0.0);
  for (const TraceRequest& r : requests)
    counts[static_cast<std::size_t>(kSecond * static_cast<double>(r.arrival_ps) / window_s)] += 1;
  return counts;
}

// Whole windows only; too few say nothing.
std::optional<double> dispersion(const std::vector<TraceRequest>& requests, double window_s) {
  std::vector<double> counts = counts_by(requests, window_s);
  counts.pop_back();
  if (counts.size() < 10) return std::nullopt;
  double sum = 0, squares = 0;
  for (const double c : counts) sum += c, squares += c * c;
  const auto n = static_cast<double>(counts.size());
  if (sum <= 0) return std::nullopt;
  return (squares / n - sum / n * sum / n) / (sum / n);
}

std::optional<double> gap_cv(const std::vector<TraceRequest>& requests) {
  if (requests.size() < 3 || requests.back().arrival_ps == requests.front().arrival_ps)
    return std::nullopt;
  double squares = 0;
  for (std::size_t i = 1; i < requests.size(); ++i) {
    const auto gap = static_cast<double>(requests[i].arrival_ps - requests[i - 1].arrival_ps);
    squares += gap * gap;
  }
  const auto n = static_cast<double>(requests.size() - 1);
  const double mean =
      static_cast<double>(requests.back().arrival_ps - requests.front().arrival_ps) / n;
  return std::sqrt(std::max(0.0, squares / n - mean * mean)) / mean;
}

// A block is a hit if it came before and so did all ahead of it, which an id stands for.
void prefix_hits(const std::vector<TraceRequest>& requests, const PrefixBlocks& prefix,
                 WorkloadProfile& out) {
  std::unordered_set<std::uint32_t> seen;
  double tokens = 0, hit_tokens = 0, blocks = 0, hit_blocks = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::int64_t input = requests[i].input_tokens;
    tokens += static_cast<double>(input);
    bool leading = true;
    for (std::uint32_t k = prefix.offset[i]; k < prefix.offset[i + 1]; ++k) {
      const std::int64_t begin = std::int64_t{k - prefix.offset[i]} * prefix.block_tokens;
      const bool hit = !seen.insert(prefix.ids[k]).second;
      leading = leading && hit;
      blocks += 1;
      if (!leading) continue;
      hit_blocks += 1;
      hit_tokens += static_cast<double>(std::min<std::int64_t>(prefix.block_tokens, input - begin));
    }
  }
  if (blocks <= 0) return;
  out.prefix_hit_tokens = hit_tokens / tokens;
  out.prefix_hit_blocks = hit_blocks / blocks;
}

std::string length_text(const LengthProfile& l) {
  const auto whole = [](double v) { return grouped(static_cast<std::int64_t>(std::llround(v))); };
  return fmt::format("{} mean, {} p50, {} p90, {} p99, {} max", whole(l.mean), whole(l.p50),
                     whole(l.p90), whole(l.p99), whole(l.max));
}

std::string rate_text(const WorkloadProfile& p) {
  if (p.mean_rate <= 0) return "no arrival times";
  return fmt::format("{:.4g} requests/s mean, {:.4g} in the busiest minute", p.mean_rate,
                     p.peak_rate);
}

std::string burst_text(const WorkloadProfile& p) {
  if (!p.gap_cv) return "no arrival times";
  std::string text = fmt::format("CV of gaps {:.3g}", *p.gap_cv);
  if (p.dispersion_1s)
    text += fmt::format("; variance over mean of counts {:.3g} in 1 s", *p.dispersion_1s);
  if (p.dispersion_1min) text += fmt::format(", {:.3g} in 1 min", *p.dispersion_1min);
  return text + " (Poisson: 1)";
}

}  // namespace

WorkloadProfile profile_requests(const std::vector<TraceRequest>& requests,
                                 const PrefixBlocks* prefix, bool timed) {
  WorkloadProfile out;
  out.requests = static_cast<std::int64_t>(requests.size());
  if (requests.empty()) return out;
  std::vector<double> input, output;
  for (const TraceRequest& r : requests) {
    input.push_back(r.input_tokens);
    output.push_back(r.output_tokens);
  }
  out.input = lengths_of(std::move(input));
  out.output = lengths_of(std::move(output));
  if (prefix != nullptr) prefix_hits(requests, *prefix, out);
  out.span_s =
      kSecond * static_cast<double>(requests.back().arrival_ps - requests.front().arrival_ps);
  if (!timed || out.span_s <= 0) return out;
  out.mean_rate = static_cast<double>(requests.size()) / out.span_s;
  constexpr double kMinute = 60.0;
  const std::vector<double> minutes = counts_by(requests, kMinute);
  out.peak_rate = *std::max_element(minutes.begin(), minutes.end()) / std::min(kMinute, out.span_s);
  out.gap_cv = gap_cv(requests);
  out.dispersion_1s = dispersion(requests, 1.0);
  out.dispersion_1min = dispersion(requests, kMinute);
  return out;
}

std::string profile_text(const WorkloadProfile& p) {
  const std::string span =
      p.mean_rate > 0 ? fmt::format("{:.1f} s", p.span_s) : std::string("no arrival times");
  std::string prefix = "the file does not say which prompts share a prefix";
  if (p.prefix_hit_tokens)
    prefix = fmt::format("{:.1f} % of prompt tokens, {:.1f} % of blocks, with an endless cache",
                         100 * *p.prefix_hit_tokens, 100 * *p.prefix_hit_blocks);
  return fmt::format(
      "  requests       {} in {}\n"
      "  rate           {}\n"
      "  input tokens   {}\n"
      "  output tokens  {}\n"
      "  burstiness     {}\n"
      "  ideal prefix   {}\n",
      grouped(p.requests), span, rate_text(p), length_text(p.input), length_text(p.output),
      burst_text(p), prefix);
}

std::string profile_json(const WorkloadProfile& p, const std::string& format) {
  using Json = nlohmann::ordered_json;
  const auto length = [](const LengthProfile& l) {
    return Json{{"mean", l.mean}, {"p50", l.p50}, {"p90", l.p90}, {"p99", l.p99}, {"max", l.max}};
  };
  const auto maybe = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
  const Json json = {{"format", format},
                     {"requests", p.requests},
                     {"span_s", p.span_s},
                     {"requests_per_s", p.mean_rate},
                     {"peak_minute_requests_per_s", p.peak_rate},
                     {"input_tokens", length(p.input)},
                     {"output_tokens", length(p.output)},
                     {"gap_cv", maybe(p.gap_cv)},
                     {"dispersion_1s", maybe(p.dispersion_1s)},
                     {"dispersion_1min", maybe(p.dispersion_1min)},
                     {"ideal_prefix_hit_tokens", maybe(p.prefix_hit_tokens)},
                     {"ideal_prefix_hit_blocks", maybe(p.prefix_hit_blocks)}};
  return json.dump(2) + "\n";
}

}  // namespace foretoken::analysis
