#include "scenarios/loader/trace_builder.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

namespace foretoken::scenarios::loader {
namespace {

using models::serving::TraceRequest;
using sim::core::InputError;

constexpr std::size_t kMaxProblems = 20;  // listed; the rest are counted
constexpr std::size_t kMaxRequests = 200'000'000;
constexpr std::int32_t kMaxTokens = 100'000'000;

}  // namespace

std::optional<std::int64_t> digits(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return value;
}

std::optional<Instant> parse_date_time(std::string_view text) {
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' ||
      (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)),
             day = digits(text.substr(8, 2)), hour = digits(text.substr(11, 2)),
             minute = digits(text.substr(14, 2)), second = digits(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  Instant result;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  result.seconds = ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
  std::string_view rest = text.substr(19);
  if (rest.empty()) return result;
  if (rest[0] != '.' || rest.size() < 2 || rest.size() > 13) return std::nullopt;
  const auto fraction = digits(rest.substr(1));
  if (!fraction || *fraction < 0) return std::nullopt;
  result.ps = *fraction;
  for (std::size_t i = rest.size() - 1; i < 12; ++i) result.ps *= 10;
  return result;
}

Instant instant_of(double seconds) {
  Instant result;
  result.seconds = static_cast<std::int64_t>(std::floor(seconds));
  result.ps = std::llround((seconds - std::floor(seconds)) * 1e12);
  return result;
}

std::optional<Instant> parse_seconds(std::string_view text) {
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end || !(std::abs(value) < 1e12)) {
    return std::nullopt;
  }
  return instant_of(value);
}

void TraceBuilder::problem(int column, const std::string& message) {
  if (++count_ > kMaxProblems) return;
  constexpr std::size_t kShown = 160;
  std::string shown(text_.substr(0, kShown));
  for (char& c : shown) c = static_cast<unsigned char>(c) < 0x20 || (c & 0x80) != 0 ? '?' : c;
  problems_.push_back({name_, line_, column, message, std::move(shown), false});
}

std::optional<std::int32_t> TraceBuilder::length(std::int64_t value, int column,
                                                 std::string_view what) {
  if (value >= 1 && value <= kMaxTokens) return static_cast<std::int32_t>(value);
  problem(column, fmt::format("{} length {} is outside 1 .. {}", what, value, kMaxTokens));
  return std::nullopt;
}

bool TraceBuilder::add(TraceRequest request, const Instant& when, int column) {
  if (requests_->empty()) first_ = when;
  const std::int64_t seconds = when.seconds - first_.seconds;
  constexpr std::int64_t kLongest = 9'000'000;  // simulated time reaches 106 days
  if (seconds > kLongest) {
    problem(column, "more than 104 days after the first request");
    return false;
  }
  if (seconds < 0 || seconds * 1'000'000'000'000 + when.ps - first_.ps < last_ps_) {
    problem(column, "earlier than the row before; sort the trace");
    return false;
  }
  if (requests_->size() >= kMaxRequests)
    throw InputError(name_ + ": more requests than fit in memory");
  last_ps_ = seconds * 1'000'000'000'000 + when.ps - first_.ps;
  request.arrival_ps = last_ps_;
  requests_->push_back(request);
  return true;
}

Trace TraceBuilder::finish() {
  if (count_ > kMaxProblems) {
    problems_.push_back(
        {name_, 0, 0, fmt::format("and {} more problems", count_ - kMaxProblems), {}, false});
  }
  if (requests_->empty() && problems_.empty()) {
    problems_.push_back({name_, 0, 0, "holds no request, only a header", {}, false});
  }
  if (!problems_.empty()) throw InputError(problems_);
  requests_->shrink_to_fit();
  trace_.requests = requests_;
  if (trace_.left_out > 0)
    trace_.notes.push_back(fmt::format("{} failed request{} left out", trace_.left_out,
                                       trace_.left_out == 1 ? "" : "s"));
  return std::move(trace_);
}

}  // namespace foretoken::scenarios::loader
