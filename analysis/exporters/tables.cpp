#include "analysis/exporters/tables.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <variant>

namespace foretoken::analysis::exporters {
namespace {

using models::serving::RequestOutcome;
using models::serving::RequestTable;
using models::serving::ServingResult;

struct Column {
  std::string name;
  std::variant<std::vector<double>, std::vector<std::int32_t>, std::vector<std::string>> values;
  [[nodiscard]] std::size_t size() const {
    return std::visit([](const auto& v) { return v.size(); }, values);
  }
};
using Table = std::vector<Column>;

template <class Values>
void add(Table& table, const char* name, Values values) {
  table.push_back({name, std::move(values)});
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const char* outcome_name(RequestOutcome outcome) {
  switch (outcome) {
    case RequestOutcome::completed:
      return "completed";
    case RequestOutcome::rejected:
      return "rejected";
    case RequestOutcome::timed_out:
      return "timed out";
    case RequestOutcome::failed:
      return "failed";
    case RequestOutcome::unfinished:
      break;
  }
  return "unfinished";
}

std::vector<std::int32_t> numbers_of(const RequestTable& r) {
  std::vector<std::int32_t> numbers(r.size());
  for (std::size_t i = 0; i < r.size(); ++i) numbers[i] = static_cast<std::int32_t>(r.number_of(i));
  return numbers;
}

Table requests_of(const RequestTable& r) {
  const std::size_t n = r.size();
  std::vector<double> ttft(n, kNone), tpot(n, kNone), e2el(n, kNone);
  std::vector<std::string> outcome;
  for (std::size_t i = 0; i < n; ++i) {
    outcome.emplace_back(outcome_name(r.outcome[i]));
    if (r.outcome[i] != RequestOutcome::completed) continue;
    ttft[i] = r.first_token_s[i] - r.arrival_s[i];
    e2el[i] = r.last_token_s[i] - r.arrival_s[i];
    if (r.output_tokens[i] > 1)
      tpot[i] = (r.last_token_s[i] - r.first_token_s[i]) / (r.output_tokens[i] - 1);
  }
  Table table;
  add(table, "request", numbers_of(r));
  add(table, "arrival_s", r.arrival_s);
  add(table, "scheduled_s", r.scheduled_s);
  add(table, "first_token_s", r.first_token_s);
  add(table, "last_token_s", r.last_token_s);
  add(table, "ttft_s", ttft);
  add(table, "tpot_s", tpot);
  add(table, "e2el_s", e2el);
  add(table, "input_tokens", r.input_tokens);
  add(table, "output_tokens", r.output_tokens);
  add(table, "preemptions", r.preemptions);
  add(table, "replica", r.replica);
  add(table, "outcome", std::move(outcome));
  if (!r.tenant.empty()) add(table, "tenant", r.tenant);
  if (!r.priority.empty()) add(table, "priority", r.priority);
  if (!r.deadline_s.empty()) add(table, "deadline_s", r.deadline_s);
  return table;
}

Table iterations_of(const models::serving::StepTable& s) {
  Table table;
  add(table, "start_s", s.start_s);
  add(table, "duration_s", s.duration_s);
  add(table, "replica", s.replica);
  add(table, "prefill_tokens", s.prefill_tokens);
  add(table, "prefill_sequences", s.prefill_sequences);
  add(table, "decode_sequences", s.decode_sequences);
  add(table, "waiting_requests", s.waiting);
  add(table, "kv_blocks", s.kv_blocks);
  add(table, "swapped_blocks", s.swapped_blocks);
  return table;
}

Table timeseries_of(const models::serving::TimeSeries& s) {
  std::vector<double> time(s.running.size());
  for (std::size_t i = 0; i < time.size(); ++i) time[i] = static_cast<double>(i) * s.bin_s;
  Table table;
  add(table, "time_s", std::move(time));
  add(table, "running_requests", s.running);
  add(table, "waiting_requests", s.waiting);
  add(table, "kv_used_fraction", s.kv_used_fraction);
  add(table, "batch_tokens", s.batch_tokens);
  add(table, "gpu_watts", s.gpu_watts);
  add(table, "output_tokens_per_s", s.output_tokens_per_s);
  return table;
}

Table table_of(const ServingResult& run, const std::string& name) {
  if (name == "requests") return requests_of(run.requests);
  if (name == "iterations") return iterations_of(run.steps);
  if (name == "timeseries") return timeseries_of(run.series);
  throw std::invalid_argument("no table '" + name + "'");
}

struct CsvText {
  std::string operator()(double value) const {
    return std::isfinite(value) ? fmt::format("{}", value) : std::string();
  }
  std::string operator()(std::int32_t value) const { return std::to_string(value); }
  std::string operator()(const std::string& value) const { return csv_cell(value); }
};

// Text in these tables is ours: no character of it needs an escape.
struct JsonText {
  std::string operator()(double value) const {
    return std::isfinite(value) ? fmt::format("{}", value) : std::string("null");
  }
  std::string operator()(std::int32_t value) const { return std::to_string(value); }
  std::string operator()(const std::string& value) const { return "\"" + value + "\""; }
};

template <class Text>
std::string cell(const Column& column, std::size_t row, const Text& text) {
  return std::visit([&](const auto& values) { return text(values[row]); }, column.values);
}

}  // namespace

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_of(const ServingResult& run, const std::string& name) {
  const Table table = table_of(run, name);
  std::string out;
  for (const Column& column : table) out += (out.empty() ? "" : ",") + column.name;
  out += "\n";
  for (std::size_t row = 0; row < table.front().size(); ++row) {
    for (std::size_t i = 0; i < table.size(); ++i)
      out += (i == 0 ? "" : ",") + cell(table[i], row, CsvText{});
    out += "\n";
  }
  return out;
}

std::string jsonl_of(const ServingResult& run, const std::string& name) {
  const Table table = table_of(run, name);
  std::string out;
  for (std::size_t row = 0; row < table.front().size(); ++row) {
    for (std::size_t i = 0; i < table.size(); ++i)
      out += (i == 0 ? "{\"" : ",\"") + table[i].name + "\":" + cell(table[i], row, JsonText{});
    out += "}\n";
  }
  return out;
}

}  // namespace foretoken::analysis::exporters
