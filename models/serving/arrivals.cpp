#include "models/serving/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/core/error.hpp"
#include "sim/core/random.hpp"

namespace foretoken::models::serving {
namespace {

using sim::core::Duration;
using sim::core::Random;

enum class Purpose : std::uint32_t { gap = 1, input = 2, output = 3 };

// Lengths come from a stream of their own for each request, so that they do not depend on the
// order in which clients send.
std::int32_t draw_length(const LengthSpec& spec, std::uint64_t seed, Purpose purpose,
                         std::uint64_t request) {
  const auto low = std::max<std::int64_t>(1, std::llround(spec.low_fraction * spec.tokens));
  if (low >= spec.tokens) return spec.tokens;
  Random random(seed, static_cast<std::uint32_t>(request), static_cast<std::uint32_t>(purpose));
  return static_cast<std::int32_t>(random.integer(low, spec.tokens));
}

class Trace final : public OpenArrivals {
 public:
  Trace(const TraceArrivals& trace, const WorkloadSpec& workload)
      : requests_(trace.requests), rate_scale_(trace.rate_scale), limit_(requests_->size()) {
    if (workload.requests) limit_ = std::min(limit_, static_cast<std::size_t>(*workload.requests));
    if (workload.duration) until_ps_ = workload.duration->ps();
  }
  std::optional<TraceRequest> next() override {
    if (at_ >= limit_) return std::nullopt;
    TraceRequest request = (*requests_)[at_];
    if (rate_scale_ != 1.0)
      request.arrival_ps = std::llround(static_cast<double>(request.arrival_ps) / rate_scale_);
    if (request.arrival_ps >= until_ps_) return std::nullopt;
    ++at_;
    return request;
  }

 private:
  std::shared_ptr<const std::vector<TraceRequest>> requests_;
  double rate_scale_;
  std::size_t at_ = 0, limit_;
  std::int64_t until_ps_ = INT64_MAX;
};

class Poisson final : public OpenArrivals {
 public:
  Poisson(const PoissonArrivals& arrivals, const WorkloadSpec& workload, std::uint64_t seed)
      : rate_(arrivals.requests_per_s),
        workload_(workload),
        seed_(seed),
        gaps_(seed, 0, static_cast<std::uint32_t>(Purpose::gap)) {}
  std::optional<TraceRequest> next() override {
    if (workload_.requests && number_ >= static_cast<std::uint64_t>(*workload_.requests))
      return std::nullopt;
    now_ps_ += Duration::from_seconds(gaps_.exponential(1.0 / rate_)).ps();
    if (workload_.duration && now_ps_ >= workload_.duration->ps()) return std::nullopt;
    const Lengths lengths = draw_lengths(workload_, seed_, number_++);
    return TraceRequest{now_ps_, lengths.input, lengths.output};
  }

 private:
  double rate_;
  WorkloadSpec workload_;
  std::uint64_t seed_, number_ = 0;
  Random gaps_;
  std::int64_t now_ps_ = 0;
};

void check_length(const LengthSpec& length, const char* name, std::vector<std::string>& errors) {
  if (length.tokens < 1)
    errors.push_back(std::string("workload.") + name + " must be at least one token");
  if (!(length.low_fraction > 0.0 && length.low_fraction <= 1.0))
    errors.push_back(std::string("workload.") + name + ": the low fraction must be in (0, 1]");
}

void check_trace(const TraceArrivals& trace, std::vector<std::string>& errors) {
  if (!trace.requests || trace.requests->empty()) {
    errors.emplace_back("the trace holds no request");
    return;
  }
  if (!(trace.rate_scale > 0.0)) errors.emplace_back("rate_scale must be positive");
  std::int64_t before = 0;
  for (std::size_t i = 0; i < trace.requests->size(); ++i) {
    const TraceRequest& r = (*trace.requests)[i];
    if (r.input_tokens < 1 || r.output_tokens < 1)
      errors.push_back("request " + std::to_string(i) +
                       " of the trace has a length below one token");
    if (r.arrival_ps < before)
      errors.push_back("request " + std::to_string(i) +
                       " of the trace arrives before the one ahead");
    before = r.arrival_ps;
    if (errors.size() > 20) return;
  }
}

}  // namespace

std::unique_ptr<OpenArrivals> make_open_arrivals(const WorkloadSpec& workload, std::uint64_t seed) {
  if (const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals))
    return std::make_unique<Trace>(*trace, workload);
  if (const auto* poisson = std::get_if<PoissonArrivals>(&workload.arrivals))
    return std::make_unique<Poisson>(*poisson, workload, seed);
  return nullptr;
}

Lengths draw_lengths(const WorkloadSpec& workload, std::uint64_t seed, std::uint64_t request) {
  return {draw_length(workload.input, seed, Purpose::input, request),
          draw_length(workload.output, seed, Purpose::output, request)};
}

std::int64_t longest_request(const WorkloadSpec& workload) {
  const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals);
  if (trace == nullptr) return std::int64_t{workload.input.tokens} + workload.output.tokens;
  std::int64_t longest = 0;
  for (const TraceRequest& r : *trace->requests)
    longest = std::max(longest, std::int64_t{r.input_tokens} + r.output_tokens);
  return longest;
}

bool fit_context(Lengths& lengths, std::int64_t max_tokens, bool truncate) {
  if (std::int64_t{lengths.input} + lengths.output <= max_tokens) return true;
  if (!truncate || max_tokens < 2) return false;
  lengths.output =
      static_cast<std::int32_t>(std::min<std::int64_t>(lengths.output, max_tokens - 1));
  lengths.input = static_cast<std::int32_t>(max_tokens - lengths.output);
  return true;
}

void check_workload(const WorkloadSpec& workload) {
  std::vector<std::string> errors;
  if (const auto* trace = std::get_if<TraceArrivals>(&workload.arrivals)) {
    check_trace(*trace, errors);
  } else {
    check_length(workload.input, "input", errors);
    check_length(workload.output, "output", errors);
    if (!workload.requests && !workload.duration)
      errors.emplace_back("arrivals without an end: give workload.duration or workload.requests");
  }
  if (const auto* poisson = std::get_if<PoissonArrivals>(&workload.arrivals))
    if (!(poisson->requests_per_s > 0.0)) errors.emplace_back("the arrival rate must be positive");
  if (const auto* loop = std::get_if<ClosedLoopArrivals>(&workload.arrivals))
    if (loop->concurrency < 1) errors.emplace_back("the concurrency must be at least one");
  if (workload.requests && *workload.requests < 1)
    errors.emplace_back("workload.requests must be at least one");
  if (workload.requests && *workload.requests > UINT32_MAX)
    errors.emplace_back("workload.requests: more than 4,294,967,295 cannot be numbered");
  if (errors.empty()) return;
  std::vector<sim::core::Diagnostic> diagnostics;
  for (auto& error : errors) diagnostics.push_back({"", 0, 0, std::move(error), "", false});
  throw sim::core::InputError(std::move(diagnostics));
}

}  // namespace foretoken::models::serving
