#include "scenarios/loader/trace.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::serving::TraceRequest;
using sim::core::Diagnostic;
using sim::core::InputError;

constexpr std::size_t kMaxProblems = 20;  // listed; the rest are counted
constexpr std::size_t kMaxLine = 4096;
constexpr std::size_t kMaxRequests = 200'000'000;
constexpr std::int32_t kMaxTokens = 100'000'000;

// Lines of a plain or gzip file, without their end. A gzip file cut short or damaged throws.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& file) : name_(file.string()) {
    std::error_code code;
    const auto status = std::filesystem::status(file, code);
    if (!std::filesystem::exists(status)) fail("no such file");
    if (std::filesystem::is_directory(status)) fail("is a folder, not a file");
    stream_ = gzopen(file.c_str(), "rb");
    if (stream_ == nullptr) fail("cannot be read");
    gzbuffer(stream_, 1 << 17);
  }
  ~LineReader() {
    if (stream_ != nullptr) gzclose(stream_);
  }
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // The view holds until the next call.
  bool next(std::string_view& line) {
    while (true) {
      const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
      const std::size_t newline = rest.find('\n');
      if (newline != std::string_view::npos || (at_end_ && !rest.empty())) {
        const std::size_t length = std::min(newline, rest.size());
        line = rest.substr(0, length);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        begin_ += std::min(length + 1, rest.size());
        ++line_number_;
        return true;
      }
      if (at_end_) return false;
      if (rest.size() > kMaxLine) fail("a line longer than 4096 characters: not a trace");
      refill();
    }
  }
  [[nodiscard]] int line_number() const { return line_number_; }

  [[noreturn]] void fail(const std::string& message) const {
    const int line = line_number_ > 0 ? line_number_ + 1 : 0;
    throw InputError({Diagnostic{name_, line, line > 0 ? 1 : 0, message, {}, false}});
  }

 private:
  void refill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const int got =
        gzread(stream_, buffer_.data() + end_, static_cast<unsigned>(buffer_.size() - end_));
    int status = Z_OK;
    const char* const words = gzerror(stream_, &status);
    if (status == Z_BUF_ERROR) fail("the gzip file is cut short; fetch it again");
    if (got < 0 || status < 0) fail(fmt::format("the gzip file is damaged ({})", words));
    end_ += static_cast<std::size_t>(got);
    at_end_ = got == 0;
  }

  std::string name_;
  gzFile stream_ = nullptr;
  std::vector<char> buffer_ = std::vector<char>(1 << 17);
  std::size_t begin_ = 0, end_ = 0;
  bool at_end_ = false;
  int line_number_ = 0;
};

// Unsigned decimal digits exactly filling `text`.
std::optional<std::int64_t> digits(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return value;
}

// A date and time as seconds since 1970 and picoseconds, which do not fit one 64-bit count.
struct Instant {
  std::int64_t seconds = 0;
  std::int64_t ps = 0;
};

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

std::optional<Instant> parse_seconds(std::string_view text) {
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end || !(std::abs(value) < 1e12)) {
    return std::nullopt;
  }
  Instant result;
  result.seconds = static_cast<std::int64_t>(std::floor(value));
  result.ps = std::llround((value - std::floor(value)) * 1e12);
  return result;
}

struct Columns {
  int time = -1, input = -1, output = -1, count = 0;
  bool date_time = true;
};

constexpr std::size_t kMaxColumns = 32;

std::size_t split(std::string_view line, std::array<std::string_view, kMaxColumns>& fields) {
  std::size_t count = 0;
  while (count < kMaxColumns) {
    const std::size_t comma = line.find(',');
    fields[count++] = line.substr(0, comma);
    if (comma == std::string_view::npos) break;
    line.remove_prefix(comma + 1);
  }
  return count;
}

std::optional<Columns> parse_header(std::string_view line) {
  if (line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  std::array<std::string_view, kMaxColumns> fields;
  Columns columns;
  columns.count = static_cast<int>(split(line, fields));
  for (int i = 0; i < columns.count; ++i) {
    const std::string_view name = fields[static_cast<std::size_t>(i)];
    if (name == "TIMESTAMP") columns.time = i;
    if (name == "arrival_s") columns.time = i, columns.date_time = false;
    if (name == "ContextTokens" || name == "input_tokens") columns.input = i;
    if (name == "GeneratedTokens" || name == "output_tokens") columns.output = i;
  }
  if (columns.time < 0 || columns.input < 0 || columns.output < 0) return std::nullopt;
  return columns;
}

class TraceParser {
 public:
  explicit TraceParser(const std::filesystem::path& file) : name_(file.string()), lines_(file) {}

  std::shared_ptr<const std::vector<TraceRequest>> parse() {
    std::string_view line;
    if (!lines_.next(line)) lines_.fail("is empty");
    const auto columns = parse_header(line);
    if (!columns) {
      problem(line, 1,
              "unknown header; expected TIMESTAMP,ContextTokens,GeneratedTokens or "
              "arrival_s,input_tokens,output_tokens");
      throw InputError(problems_);
    }
    while (lines_.next(line)) row(line, *columns);
    if (count_ > kMaxProblems) {
      problems_.push_back(
          {name_, 0, 0, fmt::format("and {} more problems", count_ - kMaxProblems), {}, false});
    }
    if (requests_->empty() && problems_.empty()) {
      problems_.push_back({name_, 0, 0, "holds no request, only a header", {}, false});
    }
    if (!problems_.empty()) throw InputError(problems_);
    requests_->shrink_to_fit();
    return requests_;
  }

 private:
  void problem(std::string_view line, int column, const std::string& message) {
    if (++count_ > kMaxProblems) return;
    constexpr std::size_t kShown = 160;
    std::string shown(line.substr(0, kShown));
    for (char& c : shown) c = static_cast<unsigned char>(c) < 0x20 || (c & 0x80) != 0 ? '?' : c;
    problems_.push_back({name_, lines_.line_number(), column, message, std::move(shown), false});
  }

  static int column_of(std::string_view line, std::string_view field) {
    return static_cast<int>(field.data() - line.data()) + 1;
  }

  void row(std::string_view line, const Columns& columns) {
    std::array<std::string_view, kMaxColumns> fields;
    const int count = static_cast<int>(split(line, fields));
    if (count != columns.count) {
      return problem(line, 1,
                     fmt::format("{} field{} where the header has {}; is the file cut short?",
                                 count, count == 1 ? "" : "s", columns.count));
    }
    const std::string_view time = fields[static_cast<std::size_t>(columns.time)];
    const auto instant = columns.date_time ? parse_date_time(time) : parse_seconds(time);
    if (!instant) {
      return problem(line, column_of(line, time),
                     fmt::format("'{}' is no time; expected {}", time,
                                 columns.date_time ? "2023-11-16 18:15:46.6805900" : "seconds"));
    }
    const auto input = tokens(line, fields[static_cast<std::size_t>(columns.input)], "input");
    const auto output = tokens(line, fields[static_cast<std::size_t>(columns.output)], "output");
    if (!input || !output) return;
    add(line, time, *instant, *input, *output);
  }

  std::optional<std::int32_t> tokens(std::string_view line, std::string_view field,
                                     std::string_view what) {
    const auto value = digits(field);
    if (!value) {
      problem(line, column_of(line, field),
              fmt::format("{} length '{}' is not a whole number of tokens", what, field));
    } else if (*value < 1 || *value > kMaxTokens) {
      problem(line, column_of(line, field),
              fmt::format("{} length {} is outside 1 .. {}", what, *value, kMaxTokens));
    } else {
      return static_cast<std::int32_t>(*value);
    }
    return std::nullopt;
  }

  void add(std::string_view line, std::string_view time, const Instant& instant, std::int32_t input,
           std::int32_t output) {
    if (requests_->empty()) first_ = instant;
    const std::int64_t seconds = instant.seconds - first_.seconds;
    constexpr std::int64_t kLongest = 9'000'000;  // simulated time reaches 106 days
    if (seconds > kLongest) {
      return problem(line, column_of(line, time), "more than 104 days after the first request");
    }
    if (seconds < 0 || seconds * 1'000'000'000'000 + instant.ps - first_.ps < last_ps_) {
      return problem(line, column_of(line, time), "earlier than the row before; sort the trace");
    }
    if (requests_->size() >= kMaxRequests) lines_.fail("more requests than fit in memory");
    last_ps_ = seconds * 1'000'000'000'000 + instant.ps - first_.ps;
    requests_->push_back({last_ps_, input, output});
  }

  std::string name_;
  LineReader lines_;
  std::shared_ptr<std::vector<TraceRequest>> requests_ =
      std::make_shared<std::vector<TraceRequest>>();
  std::vector<Diagnostic> problems_;
  std::size_t count_ = 0;
  Instant first_;
  std::int64_t last_ps_ = 0;
};

}  // namespace

std::shared_ptr<const std::vector<TraceRequest>> read_trace(const std::filesystem::path& file) {
  return TraceParser(file).parse();
}

}  // namespace foretoken::scenarios::loader
