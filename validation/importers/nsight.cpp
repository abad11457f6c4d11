#include "validation/importers/nsight.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <memory>

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

}  // namespace

Trace read_nsight(const std::filesystem::path& file) {
  Database database(file);
  if (!database.has_table("CUPTI_ACTIVITY_KIND_KERNEL") || !database.has_table("StringIds"))
    throw InputError(file.string() +
                     ": no kernels: profile with `nsys profile --trace cuda` and export with "
                     "`nsys export --type sqlite`");
  Trace trace;
  const auto take = [&](Kernel::Kind kind) {
    return [&trace, kind, &database](sqlite3_stmt* row) {
      trace.kernels.push_back(kernel_of(row, kind));
      if (trace.kernels.back().duration_us < 0) database.fail("a kernel ends before it starts");
    };
  };
  database.each(
      "SELECT s.value, k.deviceId, k.streamId, k.start, k.end FROM CUPTI_ACTIVITY_KIND_KERNEL k "
      "JOIN StringIds s ON s.id = k.demangledName",
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
  std::stable_sort(trace.kernels.begin(), trace.kernels.end(),
                   [](const Kernel& a, const Kernel& b) { return a.start_us < b.start_us; });
  const auto first = std::find_if(trace.kernels.begin(), trace.kernels.end(),
                                  [](const Kernel& k) { return k.kind == Kernel::Kind::kernel; });
  const double origin = first->start_us;
  for (Kernel& kernel : trace.kernels) kernel.start_us -= origin;
  return trace;
}

}  // namespace foretoken::validation::importers
