#include "validation/calibrate/kernel_csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "scenarios/loader/content_hash.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::calibrate {
namespace {

using models::kernels::Table;
using sim::core::Diagnostic;

// Columns that never tell one measurement from another: what they say is constant or follows from
// the rest (num_heads of latent attention is per GPU whatever tp_size says).
const std::set<std::string, std::less<>> kIgnored{
    "beam_width",         "tp_size",          "model",
    "architecture",       "implementation",   "simulation_mode",
    "dispatch_notify_us", "combine_notify_us"};

// A column of times: which operator it belongs to, and what one unit of it is.
struct TimeColumn {
  std::string column;
  std::string suffix;  // appended to the operator's name
  double unit_s;
};
const TimeColumn kTimes[] = {{"latency", "", 1e-3},
                             {"dispatch_avg_t_us", "_dispatch", 1e-6},
                             {"combine_avg_t_us", "_combine", 1e-6},
                             {"dispatch_transmit_us", "_dispatch", 1e-6},
                             {"combine_transmit_us", "_combine", 1e-6}};

// Key columns that an operator cannot do without.
std::vector<std::string> required_columns(const std::string& op) {
  if (op == "gemm") return {"gemm_dtype", "m", "n", "k"};
  if (op == "context_attention" || op == "generation_attention")
    return {"batch_size", "isl", "num_heads", "num_key_value_heads", "kv_cache_dtype", "step"};
  if (op == "context_mla" || op == "generation_mla")
    return {"kv_cache_dtype", "num_heads", "batch_size", "isl", "step"};
  if (op == "mla_bmm") return {"op_name", "bmm_dtype", "num_tokens", "num_heads"};
  if (op == "moe")
    return {"moe_dtype",   "num_tokens",  "hidden_size", "inter_size",  "topk",
            "num_experts", "moe_tp_size", "moe_ep_size", "distribution"};
  if (op == "nccl") return {"op_name", "nccl_dtype", "num_gpus", "message_size"};
  if (op == "custom_allreduce") return {"allreduce_dtype", "num_gpus", "message_size"};
  if (op == "elementwise") return {"bytes"};
  if (op.starts_with("mla_") || op == "wideep_context_mla" || op == "wideep_generation_mla")
    return {"gemm_type", "kv_cache_dtype", "num_heads", "batch_size", "isl", "step"};
  if (op.starts_with("wideep_deepep"))
    return {"num_token", "hidden_size", "num_topk", "num_experts"};
  if (op.starts_with("wideep_"))
    return {"moe_dtype",   "num_tokens",  "hidden_size", "inter_size",  "topk",
            "num_experts", "moe_tp_size", "moe_ep_size", "distribution"};
  return {};
}

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t begin = 0;;) {
    const std::size_t comma = line.find(',', begin);
    cells.push_back(line.substr(begin, comma - begin));
    if (comma == std::string_view::npos) return cells;
    begin = comma + 1;
  }
}

std::optional<double> number_of(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size()) return std::nullopt;
  return value;
}

struct Columns {
  std::vector<std::string> names;
  std::vector<std::vector<std::string_view>> cells;  // by column
  std::vector<int> lines;                            // of each row in the file
};

class FileReader {
 public:
  FileReader(const KernelFile& file, std::vector<Diagnostic>& diagnostics)
      : file_(file), diagnostics_(diagnostics) {}

  KernelTables read() {
    KernelTables result;
    std::string text;
    try {
      text = read_text(file_.path);
    } catch (const sim::core::InputError& error) {
      report(0, error.what());
      return result;
    }
    result.bytes_hash = scenarios::loader::hash_text(text);
    if (!split(text)) return result;
    result.rows = columns_.lines.size();
    bool any = false;
    for (const TimeColumn& time : kTimes) {
      const auto column = find(time.column);
      if (!column) continue;
      any = true;
      if (auto table = build(time, *column)) result.tables.push_back(std::move(*table));
    }
    if (!any) report(1, "no column of times; 'latency' (milliseconds) is expected");
    return result;
  }

 private:
  void report(int line, std::string message, bool warning = false) {
    diagnostics_.push_back({file_.path.string(), line, 0, std::move(message), {}, warning});
  }

  [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const {
    const auto at = std::find(columns_.names.begin(), columns_.names.end(), name);
    if (at == columns_.names.end()) return std::nullopt;
    return static_cast<std::size_t>(at - columns_.names.begin());
  }

  bool split(std::string_view text) {
    int line_number = 0;
    int ragged = 0, first_ragged = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = text.find('\n', begin);
      if (end == std::string_view::npos) end = text.size();
      std::string_view line = text.substr(begin, end - begin);
      begin = end + 1;
      ++line_number;
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.empty()) continue;
      const auto cells = cells_of(line);
      if (columns_.names.empty()) {
        columns_.names.assign(cells.begin(), cells.end());
        columns_.cells.resize(cells.size());
        continue;
      }
      if (cells.size() != columns_.names.size()) {
        if (ragged++ == 0) first_ragged = line_number;
        continue;
      }
      for (std::size_t c = 0; c < cells.size(); ++c) columns_.cells[c].push_back(cells[c]);
      columns_.lines.push_back(line_number);
    }
    if (columns_.names.empty()) return report(0, "the file is empty"), false;
    if (ragged > 0)
      report(first_ragged,
             fmt::format("{} rows without {} cells are left out", ragged, columns_.names.size()));
    for (const std::string& name : required_columns(file_.op))
      if (!find(name)) return report(1, "column '" + name + "' is missing"), false;
    return true;
  }

  // Key columns that hold numbers, and what these may be.
  struct Dimension {
    std::size_t column;
    bool may_be_zero, may_be_long;
  };
  [[nodiscard]] std::vector<Dimension> dimensions() const {
    static const std::set<std::string, std::less<>> kMayBeZero{"step", "num_key_value_heads"};
    static const std::set<std::string, std::less<>> kMayBeLong{"bytes", "message_size"};
    const auto required = required_columns(file_.op);
    std::vector<Dimension> found;
    for (std::size_t c = 0; c < columns_.names.size(); ++c) {
      if (!is_key(c)) continue;
      const std::string& name = columns_.names[c];
      const bool needed = std::find(required.begin(), required.end(), name) != required.end();
      found.push_back({c, !needed || kMayBeZero.contains(name), kMayBeLong.contains(name)});
    }
    return found;
  }

  // Dimensions are positive where an operator needs them, and fit 31 bits.
  [[nodiscard]] bool has_shape(const std::vector<Dimension>& dimensions, std::size_t row) const {
    constexpr double kMost = 2147483648.0;
    return std::all_of(dimensions.begin(), dimensions.end(), [&](const Dimension& d) {
      const auto value = number_of(columns_.cells[d.column][row]);
      if (!value) return true;  // a label
      if (!std::isfinite(*value) || *value < 0) return false;
      return (*value > 0 || d.may_be_zero) && (*value < kMost || d.may_be_long);
    });
  }

  // Rows whose time is a positive number, with that time in seconds.
  std::vector<std::pair<std::size_t, double>> timed_rows(const TimeColumn& time,
                                                         std::size_t column) {
    std::vector<std::pair<std::size_t, double>> rows;
    std::size_t bad = 0, shapeless = 0;
    int first_bad = 0, first_shapeless = 0;
    const std::vector<Dimension> needed = dimensions();
    for (std::size_t i = 0; i < columns_.lines.size(); ++i) {
      if (!has_shape(needed, i)) {
        if (shapeless++ == 0) first_shapeless = columns_.lines[i];
        continue;
      }
      const auto value = number_of(columns_.cells[column][i]);
      if (value && std::isfinite(*value) && *value > 0) {
        rows.emplace_back(i, *value * time.unit_s);
      } else if (bad++ == 0) {
        first_bad = columns_.lines[i];
      }
    }
    if (shapeless > 0)
      report(first_shapeless,
             fmt::format("{} rows with a dimension of zero, below it or beyond 2^31 are left out",
                         shapeless));
    if (bad > 0)
      report(first_bad, fmt::format("{} rows whose {} is not a positive number are left out", bad,
                                    time.column));
    return rows;
  }

  [[nodiscard]] bool is_key(std::size_t column) const {
    const std::string& name = columns_.names[column];
    if (kIgnored.contains(name) || name.ends_with("_gbps")) return false;
    for (const TimeColumn& time : kTimes)
      if (name == time.column) return false;
    if (name != "op_name" && name != "kernel_source") return true;
    // These two only name what the file is about, unless they vary within it.
    const auto& cells = columns_.cells[column];
    return std::any_of(cells.begin(), cells.end(), [&](auto cell) { return cell != cells[0]; });
  }

  std::optional<Table> build(const TimeColumn& time, std::size_t column) {
    const auto rows = timed_rows(time, column);
    if (rows.empty()) return std::nullopt;
    Table table;
    table.gpu = file_.gpu;
    table.op = file_.op + time.suffix;
    table.engine = file_.engine;
    table.version = file_.version;
    for (std::size_t c = 0; c < columns_.names.size(); ++c)
      if (is_key(c)) add_key(table, c, rows);
    table.seconds.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
      table.seconds[i] = static_cast<float>(rows[i].second);
    merge_equal_keys(table, rows);
    return table;
  }

  void add_key(Table& table, std::size_t column,
               const std::vector<std::pair<std::size_t, double>>& rows) {
    const auto& cells = columns_.cells[column];
    const bool numeric = std::all_of(rows.begin(), rows.end(), [&](const auto& row) {
      return number_of(cells[row.first]).has_value();
    });
    std::vector<float> values(rows.size());
    if (!numeric) {
      std::set<std::string> names;
      for (const auto& row : rows) names.emplace(cells[row.first]);
      std::vector<std::string> labels(names.begin(), names.end());
      for (std::size_t i = 0; i < rows.size(); ++i)
        values[i] = static_cast<float>(
            std::lower_bound(labels.begin(), labels.end(), cells[rows[i].first]) - labels.begin());
      table.labels[columns_.names[column]] = std::move(labels);
    } else {
      for (std::size_t i = 0; i < rows.size(); ++i)
        values[i] = static_cast<float>(*number_of(cells[rows[i].first]));
    }
    table.columns.push_back(columns_.names[column]);
    table.values.push_back(std::move(values));
  }

  // Sorts by key and leaves one row a key: the median of its times.
  void merge_equal_keys(Table& table, const std::vector<std::pair<std::size_t, double>>& rows) {
    std::vector<std::size_t> order(table.seconds.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto compare = [&](std::size_t a, std::size_t b) {
      for (const auto& column : table.values)
        if (column[a] != column[b]) return column[a] < column[b] ? -1 : 1;
      return 0;
    };
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int by_key = compare(a, b);
      return by_key != 0 ? by_key < 0 : table.seconds[a] < table.seconds[b];
    });
    Table merged = table;
    for (auto& column : merged.values) column.clear();
    merged.seconds.clear();
    std::size_t disagreeing = 0;
    int first_line = 0;
    for (std::size_t begin = 0; begin < order.size();) {
      std::size_t end = begin + 1;
      while (end < order.size() && compare(order[begin], order[end]) == 0) ++end;
      const float lowest = table.seconds[order[begin]], highest = table.seconds[order[end - 1]];
      if (highest > 2 * lowest && disagreeing++ == 0)
        first_line = columns_.lines[rows[order[begin]].first];
      for (std::size_t c = 0; c < table.values.size(); ++c)
        merged.values[c].push_back(table.values[c][order[begin]]);
      const float upper = table.seconds[order[begin + (end - begin) / 2]];
      const float lower = table.seconds[order[begin + (end - begin - 1) / 2]];
      merged.seconds.push_back((upper + lower) / 2);
      begin = end;
    }
    if (disagreeing > 0)
      report(first_line,
             fmt::format("{} keys measured more than once disagree by more than 2x; their median "
                         "is used",
                         disagreeing),
             true);
    table = std::move(merged);
  }

  const KernelFile& file_;
  std::vector<Diagnostic>& diagnostics_;
  Columns columns_;
};

// OPERATOR.ENGINE-VERSION; the version may hold dots, the operator may not hold any.
std::optional<KernelFile> parse_name(const std::filesystem::path& path) {
  std::string name = path.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (!name.ends_with(".csv")) return std::nullopt;
  name.resize(name.size() - 4);
  const std::size_t dot = name.find('.');
  const std::size_t dash = name.find('-', dot == std::string::npos ? 0 : dot);
  if (dot == std::string::npos || dash == std::string::npos || dash == dot + 1) return std::nullopt;
  if (name.find('-') < dot) return std::nullopt;  // a model's name, not an operator's
  return KernelFile{path, path.parent_path().filename().string(), name.substr(0, dot),
                    name.substr(dot + 1, dash - dot - 1), name.substr(dash + 1)};
}

}  // namespace

std::vector<KernelFile> find_kernel_files(const std::filesystem::path& folder,
                                          std::vector<Diagnostic>& diagnostics) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(folder))
    throw sim::core::InputError(folder.string() + ": no such folder of measurements");
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<KernelFile> files;
  for (const fs::path& path : paths) {
    const std::string name = path.filename().string();
    if (!name.ends_with(".csv") && !name.ends_with(".csv.gz")) continue;
    if (auto file = parse_name(path)) {
      files.push_back(std::move(*file));
    } else {
      diagnostics.push_back({path.string(),
                             0,
                             0,
                             "is not named OPERATOR.ENGINE-VERSION.csv[.gz] and is left out",
                             {},
                             true});
    }
  }
  return files;
}

KernelTables read_kernel_file(const KernelFile& file, std::vector<Diagnostic>& diagnostics) {
  return FileReader(file, diagnostics).read();
}

}  // namespace foretoken::validation::calibrate
