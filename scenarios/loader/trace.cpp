#include "scenarios/loader/trace.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "scenarios/loader/line_reader.hpp"
#include "scenarios/loader/trace_builder.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::serving::TraceRequest;
using sim::core::InputError;

enum class Field : std::uint8_t {
  date,
  seconds,
  input,
  output,
  tenant,
  priority,
  session,
  deadline
};

struct Column {
  std::string_view name;
  Field field;
  std::string_view format;  // of files that have it; empty = says nothing
};

// Header names and what they hold.
constexpr std::array kColumns = {
    Column{"TIMESTAMP", Field::date, "Azure LLM inference"},
    Column{"ContextTokens", Field::input, ""},
    Column{"GeneratedTokens", Field::output, ""},
    Column{"Timestamp", Field::seconds, "BurstGPT"},
    Column{"Request tokens", Field::input, ""},
    Column{"Response tokens", Field::output, ""},
    Column{"arrived_at", Field::seconds, "Vidur"},
    Column{"num_prefill_tokens", Field::input, "Vidur"},
    Column{"num_decode_tokens", Field::output, ""},
    Column{"arrival_s", Field::seconds, "plain CSV"},
    Column{"input_tokens", Field::input, ""},
    Column{"output_tokens", Field::output, ""},
    Column{"tenant", Field::tenant, ""},
    Column{"priority", Field::priority, ""},
    Column{"session", Field::session, ""},
    Column{"deadline_s", Field::deadline, ""},
};

constexpr std::size_t kMaxColumns = 32;
constexpr std::size_t kFields = 8;

struct Columns {
  std::array<int, kFields> at{};  // by Field, -1 = not there
  int count = 0;
  std::string format;
  Columns() { at.fill(-1); }
  [[nodiscard]] int of(Field field) const { return at[static_cast<std::size_t>(field)]; }
};

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
  for (int i = 0; i < columns.count; ++i)
    for (const Column& known : kColumns) {
      if (known.name != fields[static_cast<std::size_t>(i)]) continue;
      columns.at[static_cast<std::size_t>(known.field)] = i;
      if (!known.format.empty()) columns.format = known.format;
    }
  if (columns.of(Field::input) < 0 || columns.of(Field::output) < 0) return std::nullopt;
  const bool timed = columns.of(Field::date) >= 0 || columns.of(Field::seconds) >= 0;
  if (!timed && columns.format != "Vidur") return std::nullopt;
  return columns;
}

class CsvReader {
 public:
  explicit CsvReader(const std::filesystem::path& file) : lines_(file), builder_(file.string()) {}

  Trace read() {
    if (!lines_.next(line_)) lines_.fail("is empty");
    const auto columns = parse_header(line_);
    if (!columns) {
      builder_.at(lines_.line_number(), line_);
      builder_.problem(1,
                       "unknown header; expected TIMESTAMP,ContextTokens,GeneratedTokens or "
                       "arrival_s,input_tokens,output_tokens, or that of BurstGPT or Vidur");
      return builder_.finish();
    }
    columns_ = *columns;
    builder_.trace().format = columns_.format;
    builder_.trace().timed = columns_.of(Field::date) >= 0 || columns_.of(Field::seconds) >= 0;
    while (lines_.next(line_)) row();
    return builder_.finish();
  }

 private:
  [[nodiscard]] std::string_view text(Field field) const {
    const int at = columns_.of(field);
    return at < 0 ? std::string_view() : fields_[static_cast<std::size_t>(at)];
  }
  [[nodiscard]] int column_of(std::string_view field) const {
    return static_cast<int>(field.data() - line_.data()) + 1;
  }

  void row() {
    builder_.at(lines_.line_number(), line_);
    const int count = static_cast<int>(split(line_, fields_));
    if (count != columns_.count) {
      return builder_.problem(1, fmt::format("{} field{} where the header has {}; is the file cut "
                                             "short?",
                                             count, count == 1 ? "" : "s", columns_.count));
    }
    const bool date = columns_.of(Field::date) >= 0;
    const std::string_view time = text(date ? Field::date : Field::seconds);
    std::optional<Instant> instant;
    if (builder_.trace().timed) {
      instant = date ? parse_date_time(time) : parse_seconds(time);
      if (!instant)
        return builder_.problem(column_of(time),
                                fmt::format("'{}' is no time; expected {}", time,
                                            date ? "2023-11-16 18:15:46.6805900" : "seconds"));
    }
    if (columns_.format == "BurstGPT" && text(Field::output) == "0") return builder_.left_out();
    const auto input = tokens(Field::input, "input"), output = tokens(Field::output, "output");
    TraceRequest request;
    if (!input || !output || !attributes(request)) return;
    request.input_tokens = *input;
    request.output_tokens = *output;
    if (instant) {
      builder_.add(request, *instant, column_of(time));
    } else {
      builder_.add(request);
    }
  }

  std::optional<std::int32_t> tokens(Field which, std::string_view what) {
    const std::string_view field = text(which);
    auto value = digits(field);
    if (!value && field.ends_with(".0")) value = digits(field.substr(0, field.size() - 2));
    if (value) return builder_.length(*value, column_of(field), what);
    builder_.problem(column_of(field),
                     fmt::format("{} length '{}' is not a whole number of tokens", what, field));
    return std::nullopt;
  }

  bool attributes(TraceRequest& request) {
    const auto number = [&](Field which, std::string_view what, std::int32_t& out) {
      const std::string_view field = text(which);
      if (field.empty()) return true;
      const auto value = digits(field);
      if (value && *value <= std::numeric_limits<std::int32_t>::max() && *value >= 0) {
        out = static_cast<std::int32_t>(*value);
        return true;
      }
      builder_.problem(column_of(field), fmt::format("{} '{}' is not a whole number", what, field));
      return false;
    };
    if (!number(Field::tenant, "tenant", request.tenant) ||
        !number(Field::priority, "priority", request.priority) ||
        !number(Field::session, "session", request.session))
      return false;
    const std::string_view field = text(Field::deadline);
    if (field.empty()) return true;
    const auto deadline = parse_seconds(field);
    constexpr std::int64_t kLongest = 9'000'000;
    if (!deadline || deadline->seconds < 0 || deadline->seconds > kLongest) {
      builder_.problem(column_of(field),
                       fmt::format("'{}' is no number of seconds after the arrival", field));
      return false;
    }
    request.deadline_ps = deadline->seconds * 1'000'000'000'000 + deadline->ps;
    return true;
  }

  LineReader lines_;
  TraceBuilder builder_;
  Columns columns_;
  std::string_view line_;
  std::array<std::string_view, kMaxColumns> fields_;
};

}  // namespace

Trace read_trace_file(const std::filesystem::path& file) {
  std::string name = file.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (name.ends_with(".jsonl")) return read_json_lines(file);
  if (name.ends_with(".json")) return read_bench_json(file);
  return CsvReader(file).read();
}

std::shared_ptr<const std::vector<TraceRequest>> read_trace(const std::filesystem::path& file) {
  const Trace trace = read_trace_file(file);
  if (!trace.timed)
    throw InputError({{file.string(),
                       0,
                       0,
                       "holds lengths only, no arrival times: name it under workload.lengths, with "
                       "arrivals such as poisson: 5/s",
                       {},
                       false}});
  return trace.requests;
}

}  // namespace foretoken::scenarios::loader
