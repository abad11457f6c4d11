#pragma once
// What the readers of trace files share: checks, places of problems, order.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/loader/trace.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {

// A point in time as seconds since some start and picoseconds, which do not fit one 64-bit count.
struct Instant {
  std::int64_t seconds = 0;
  std::int64_t ps = 0;
};
Instant instant_of(double seconds);
std::optional<Instant> parse_date_time(std::string_view text);
std::optional<Instant> parse_seconds(std::string_view text);
// Unsigned decimal digits exactly filling `text`.
std::optional<std::int64_t> digits(std::string_view text);

class TraceBuilder {
 public:
  explicit TraceBuilder(std::string name) : name_(std::move(name)) {}

  // Place of what is read now: for problems.
  void at(int line, std::string_view text) {
    line_ = line;
    text_ = text;
  }
  void problem(int column, const std::string& message);
  // A length, checked; nothing and a problem if it is none.
  std::optional<std::int32_t> length(std::int64_t value, int column, std::string_view what);
  // Sets the arrival time and takes the request, unless it is out of order. False then.
  bool add(models::serving::TraceRequest request, const Instant& when, int column);
  // Of a file without times.
  void add(const models::serving::TraceRequest& request) { requests_->push_back(request); }
  void left_out() { ++trace_.left_out; }
  [[nodiscard]] std::size_t size() const { return requests_->size(); }
  std::vector<models::serving::TraceRequest>& requests() { return *requests_; }
  Trace& trace() { return trace_; }
  // Throws if anything was wrong or there is no request.
  Trace finish();

 private:
  std::string name_;
  int line_ = 0;
  std::string_view text_;
  Trace trace_;
  std::shared_ptr<std::vector<models::serving::TraceRequest>> requests_ =
      std::make_shared<std::vector<models::serving::TraceRequest>>();
  std::vector<sim::core::Diagnostic> problems_;
  std::size_t count_ = 0;
  Instant first_;
  std::int64_t last_ps_ = 0;
};

// Readers by form.
Trace read_json_lines(const std::filesystem::path& file);
Trace read_bench_json(const std::filesystem::path& file);

}  // namespace foretoken::scenarios::loader
