#include "validation/importers/nsight.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/core/error.hpp"

namespace foretoken::validation::importers {
namespace {

using sim::core::InputError;

struct Close {
  void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class Database {
 public:
  explicit Database(const std::filesystem::path& file) : name_(file.string()) {
    if (!std::filesystem::is_regular_file(file)) throw InputError(name_ + ": no such file");
    sqlite3* handle = nullptr;
    const int status = sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READONLY, nullptr);
    handle_.reset(handle);
    if (status != SQLITE_OK) fail("cannot be opened as SQLite");
  }

  template <class Row>
  void each(const std::string& query, Row&& row) {
    sqlite3_stmt* raw = nullptr;
    const int status = sqlite3_prepare_v2(handle_.get(), query.c_str(), -1, &raw, nullptr);
    const std::unique_ptr<sqlite3_stmt, Close> statement(raw);
    if (status != SQLITE_OK) fail("no Nsight Systems export");
    int step = sqlite3_step(raw);
    for (; step == SQLITE_ROW; step = sqlite3_step(raw)) row(raw);
    if (step != SQLITE_DONE) fail("the database is damaged");
  }

  bool has_table(const std::string& table) {
    bool found = false;
    each("SELECT name FROM sqlite_master WHERE type='table' AND name='" + table + "'",
         [&](sqlite3_stmt*) { found = true; });
    return found;
  }

  bool has_column(const std::string& table, const std::string& column) {
    bool found = false;
    each("SELECT name FROM pragma_table_info('" + table + "') WHERE name='" + column + "'",
         [&](sqlite3_stmt*) { found = true; });
    return found;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(name_ + ": " + what + " (" + sqlite3_errmsg(handle_.get()) +
                     "); export with: nsys export --type sqlite");
  }

 private:
  std::string name_;
  std::unique_ptr<sqlite3, Close> handle_;
};

std::string text_of(sqlite3_stmt* row, int column) {
  const unsigned char* text = sqlite3_column_text(row, column);
  return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text));
}

// Columns: name, deviceId, streamId, start, end; times in nanoseconds.
Kernel kernel_of(sqlite3_stmt* row, Kernel::Kind kind) {
  Kernel kernel;
  kernel.kind = kind;
  kernel.name = text_of(row, 0);
  kernel.device = sqlite3_column_int(row, 1);
  kernel.stream = sqlite3_column_int64(row, 2);
  kernel.start_us = static_cast<double>(sqlite3_column_int64(row, 3)) * 1e-3;
  kernel.duration_us =
      static_cast<double>(sqlite3_column_int64(row, 4) - sqlite3_column_int64(row, 3)) * 1e-3;
  return kernel;
}

// One operator that the framework announced by a range (torch.autograd.profiler.emit_nvtx with
// record_shapes): "aten::mm, seq = 7, op_id = 12, sizes = [[64, 128], [128, 256]]".
std::optional<FrameworkOp> announced(const std::string& text) {
  const std::string name = text.substr(0, text.find(','));
  if (!has_shapes_of_interest(name)) return std::nullopt;
  std::size_t at = text.find("sizes = [");
  if (at == std::string::npos) return std::nullopt;
  FrameworkOp op;
  op.name = name;
  int depth = 0;
  for (at += 8; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '[') {
      if (++depth == 2) op.dims.emplace_back();
    } else if (c == ']') {
      if (--depth == 0) return op;
    } else if (c >= '0' && c <= '9' && depth == 2) {
      char* end = nullptr;
      const long long size = std::strtoll(text.c_str() + at, &end, 10);
      op.dims.back().push_back(size <= INT32_MAX ? size : 0);
      at = static_cast<std::size_t>(end - text.c_str()) - 1;
    }
  }
  return std::nullopt;  // cut short
}

struct Range {
  double start_us = 0, end_us = 0;
  std::int64_t op = 0;
};

// Links kernels to the announced operators during which the host launched them.
class Announcements {
 public:
  explicit Announcements(Database& database) : database_(database) {}

  void link(Trace& trace, const std::vector<std::int64_t>& correlations) {
    if (!database_.has_table("NVTX_EVENTS") || !database_.has_table("CUPTI_ACTIVITY_KIND_RUNTIME"))
      return;
    read_ranges(trace);
    if (trace.ops.empty()) return;
    std::unordered_map<std::int64_t, std::pair<std::int64_t, double>> launches;
    database_.each("SELECT correlationId, globalTid, start FROM CUPTI_ACTIVITY_KIND_RUNTIME",
                   [&](sqlite3_stmt* row) {
                     launches[sqlite3_column_int64(row, 0)] = {
                         sqlite3_column_int64(row, 1),
                         static_cast<double>(sqlite3_column_int64(row, 2)) * 1e-3};
                   });
    for (std::size_t i = 0; i < trace.kernels.size(); ++i) {
      const auto launch = launches.find(correlations[i]);
      if (launch != launches.end())
        trace.kernels[i].op = op_at(launch->second.first, launch->second.second);
    }
  }

 private:
  void read_ranges(Trace& trace) {
    const std::string text = database_.has_column("NVTX_EVENTS", "textId")
                                 ? "COALESCE(n.text, (SELECT value FROM StringIds WHERE id = "
                                   "n.textId))"
                                 : "n.text";
    database_.each(
        "SELECT " + text +
            ", n.globalTid, n.start, n.end FROM NVTX_EVENTS n WHERE n.end IS NOT NULL ORDER BY "
            "n.start",
        [&](sqlite3_stmt* row) {
          auto op = announced(text_of(row, 0));
          if (!op) return;
          ranges_[sqlite3_column_int64(row, 1)].push_back(
              {static_cast<double>(sqlite3_column_int64(row, 2)) * 1e-3,
               static_cast<double>(sqlite3_column_int64(row, 3)) * 1e-3,
               static_cast<std::int64_t>(trace.ops.size())});
          trace.ops.push_back(std::move(*op));
        });
  }

  [[nodiscard]] std::int64_t op_at(std::int64_t thread, double us) const {
    const auto ranges = ranges_.find(thread);
    if (ranges == ranges_.end()) return -1;
    auto after = std::upper_bound(ranges->second.begin(), ranges->second.end(), us,
                                  [](double t, const Range& range) { return t < range.start_us; });
    if (after == ranges->second.begin()) return -1;
    --after;
    return us <= after->end_us ? after->op : -1;
  }

  Database& database_;
  std::map<std::int64_t, std::vector<Range>> ranges_;  // by thread, in order of start
};

}  // namespace

Trace read_nsight(const std::filesystem::path& file) {
  Database database(file);
  if (!database.has_table("CUPTI_ACTIVITY_KIND_KERNEL") || !database.has_table("StringIds"))
    throw InputError(file.string() +
                     ": no kernels: profile with `nsys profile --trace cuda` and export with "
                     "`nsys export --type sqlite`");
  Trace trace;
  std::vector<std::int64_t> correlations;  // of trace.kernels
  const auto take = [&](Kernel::Kind kind) {
    return [&trace, &correlations, kind, &database](sqlite3_stmt* row) {
      trace.kernels.push_back(kernel_of(row, kind));
      correlations.push_back(sqlite3_column_count(row) > 5 ? sqlite3_column_int64(row, 5) : -1);
      if (trace.kernels.back().duration_us < 0) database.fail("a kernel ends before it starts");
    };
  };
  const bool linked = database.has_column("CUPTI_ACTIVITY_KIND_KERNEL", "correlationId");
  database.each(std::string("SELECT s.value, k.deviceId, k.streamId, k.start, k.end, ") +
                    (linked ? "k.correlationId" : "-1") +
                    " FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN StringIds s ON s.id = k.demangledName",
                take(Kernel::Kind::kernel));
  if (trace.kernels.empty()) throw InputError(file.string() + ": no kernel in the export");
  if (database.has_table("CUPTI_ACTIVITY_KIND_MEMCPY"))
    database.each("SELECT 'Memcpy', deviceId, streamId, start, end FROM CUPTI_ACTIVITY_KIND_MEMCPY",
                  take(Kernel::Kind::copy));
  if (database.has_table("TARGET_INFO_GPU"))
    database.each("SELECT name, totalMemory FROM TARGET_INFO_GPU ORDER BY id DESC",
                  [&](sqlite3_stmt* row) {
                    trace.device = text_of(row, 0);
                    trace.device_memory = sqlite3_column_double(row, 1);
                  });
  Announcements(database).link(trace, correlations);
  std::stable_sort(trace.kernels.begin(), trace.kernels.end(),
                   [](const Kernel& a, const Kernel& b) { return a.start_us < b.start_us; });
  const auto first = std::find_if(trace.kernels.begin(), trace.kernels.end(),
                                  [](const Kernel& k) { return k.kind == Kernel::Kind::kernel; });
  const double origin = first->start_us;
  for (Kernel& kernel : trace.kernels) kernel.start_us -= origin;
  return trace;
}

}  // namespace foretoken::validation::importers
