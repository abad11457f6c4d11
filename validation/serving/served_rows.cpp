#include "validation/serving/served_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::serving {
namespace {

using sim::core::InputError;

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> cells;
  std::size_t from = 0;
  while (true) {
    const std::size_t comma = line.find(',', from);
    cells.emplace_back(
        line.substr(from, comma == std::string_view::npos ? line.size() - from : comma - from));
    if (comma == std::string_view::npos) return cells;
    from = comma + 1;
  }
}

struct Line {
  std::string_view text;
  int number;
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number;
    if (!line.empty()) lines.push_back({line, number});
  }
  return lines;
}

// The columns every file must have. Those of a peer's predictions may be missing.
constexpr std::string_view kNeeded[] = {
    "id",        "source",     "model",        "gpu",          "engine",        "engine_version",
    "precision", "gemm_dtype", "moe_dtype",    "input_tokens", "output_tokens", "concurrency",
    "tp",        "pp",         "attention_dp", "moe_tp",       "moe_ep",        "ttft_ms",
    "tpot_ms"};

class Cells {
 public:
  Cells(const std::map<std::string, std::size_t>& columns, std::vector<std::string> cells,
        std::string& problem)
      : columns_(columns), cells_(std::move(cells)), problem_(problem) {}

  [[nodiscard]] std::string text(const std::string& column) const {
    const auto at = columns_.find(column);
    return at == columns_.end() ? std::string() : cells_[at->second];
  }
  // A whole number of at least one; blank is `blank`, or a problem where that is 0.
  int count(const std::string& column, int blank) {
    const std::string value = text(column);
    if (value.empty() && blank > 0) return blank;
    const auto number = parse(value);
    if (!number || *number < 1 || *number > 1e9 || *number != std::floor(*number)) {
      say(fmt::format("{} is '{}', not a whole number of at least 1", column, value));
      return 1;
    }
    return static_cast<int>(*number);
  }
  double milliseconds(const std::string& column) {
    const std::string value = text(column);
    const auto number = parse(value);
    if (!number || !(*number > 0) || !std::isfinite(*number)) {
      say(fmt::format("{} is '{}', not a time in milliseconds", column, value));
      return 0.0;
    }
    return *number * 1e-3;
  }
  [[nodiscard]] std::optional<double> maybe_milliseconds(const std::string& column) const {
    const auto number = parse(text(column));
    if (!number || !(*number > 0) || !std::isfinite(*number)) return std::nullopt;
    return *number * 1e-3;
  }

 private:
  static std::optional<double> parse(const std::string& value) {
    double number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, status] = std::from_chars(value.data(), end, number);
    if (value.empty() || status != std::errc{} || stop != end) return std::nullopt;
    return number;
  }
  void say(std::string words) {
    if (problem_.empty()) problem_ = std::move(words);
  }

  const std::map<std::string, std::size_t>& columns_;
  std::vector<std::string> cells_;
  std::string& problem_;
};

std::map<std::string, std::size_t> columns_of(const std::filesystem::path& file, const Line& head) {
  std::map<std::string, std::size_t> columns;
  const auto names = split(head.text);
  for (std::size_t i = 0; i < names.size(); ++i) columns.emplace(names[i], i);
  std::vector<std::string_view> missing;
  for (const auto name : kNeeded)
    if (!columns.contains(std::string(name))) missing.push_back(name);
  if (!missing.empty())
    throw InputError(fmt::format("{}:{}: no column {}; a file of served runs has {}", file.string(),
                                 head.number, fmt::join(missing, ", "), fmt::join(kNeeded, ",")));
  return columns;
}

ServedRow read_row(Cells cells, ServedRow row) {
  row.id = cells.text("id");
  row.source = cells.text("source");
  row.model = cells.text("model");
  row.gpu = cells.text("gpu");
  row.engine = cells.text("engine");
  row.engine_version = cells.text("engine_version");
  row.precision = cells.text("precision");
  row.gemm_dtype = cells.text("gemm_dtype");
  row.moe_dtype = cells.text("moe_dtype");
  row.input_tokens = cells.count("input_tokens", 0);
  row.output_tokens = cells.count("output_tokens", 0);
  row.concurrency = cells.count("concurrency", 0);
  row.tp = cells.count("tp", 1);
  row.pp = cells.count("pp", 1);
  row.attention_dp = cells.count("attention_dp", 1);
  row.moe_tp = cells.count("moe_tp", 1);
  row.moe_ep = cells.count("moe_ep", 1);
  row.ttft_s = cells.milliseconds("ttft_ms");
  row.tpot_s = cells.milliseconds("tpot_ms");
  row.peer_ttft_s = cells.maybe_milliseconds("peer_ttft_ms");
  row.peer_tpot_s = cells.maybe_milliseconds("peer_tpot_ms");
  return row;
}

}  // namespace

std::string ServedRow::deployment_key() const {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|tp{} pp{} dp{} moe_tp{} moe_ep{}", source, model, gpu,
                     engine, engine_version, precision, gemm_dtype, moe_dtype, tp, pp, attention_dp,
                     moe_tp, moe_ep);
}

std::string ServedRow::curve_key() const {
  return fmt::format("{}|{}|{}", deployment_key(), input_tokens, output_tokens);
}

int fold_of(const ServedRow& row) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : row.curve_key()) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  hash ^= hash >> 32;
  return static_cast<int>(hash % kFolds);
}

std::vector<ServedRow> read_served_rows(const std::filesystem::path& file) {
  const std::string text = calibrate::read_text(file);
  const auto lines = lines_of(text);
  if (lines.empty()) throw InputError(file.string() + ": is empty; expected a header and rows");
  const auto columns = columns_of(file, lines.front());
  const std::size_t width = split(lines.front().text).size();
  std::vector<ServedRow> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    ServedRow row;
    row.line = lines[i].number;
    auto cells = split(lines[i].text);
    if (cells.size() != width) {
      row.id = cells.front();
      row.unusable =
          fmt::format("line {} has {} cells, the header {}", row.line, cells.size(), width);
      rows.push_back(std::move(row));
      continue;
    }
    std::string problem;
    row = read_row(Cells(columns, std::move(cells), problem), std::move(row));
    if (!problem.empty()) row.unusable = fmt::format("line {}: {}", row.line, problem);
    rows.push_back(std::move(row));
  }
  if (rows.empty()) throw InputError(file.string() + ": has a header and no rows");
  return rows;
}

}  // namespace foretoken::validation::serving
