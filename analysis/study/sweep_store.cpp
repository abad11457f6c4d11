#include "analysis/study/sweep_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "analysis/results_store.hpp"
#include "scenarios/loader/hdf5_file.hpp"

namespace foretoken::analysis::study {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using sim::core::InputError;

constexpr const char* kClaims = ".claims";

void flatten(const Json& node, const std::string& path, std::map<std::string, double>& out) {
  if (node.is_object()) {
    for (const auto& [key, value] : node.items())
      flatten(value, path.empty() ? key : path + "." + key, out);
  } else if (node.is_number()) {
    out[path] = node.get<double>();
  } else if (node.is_boolean()) {
    out[path] = node.get<bool>() ? 1.0 : 0.0;
  }
}

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::optional<Status> status_of(const std::string& text) {
  for (const Status status :
       {Status::ok, Status::infeasible, Status::bad_input, Status::nothing_completed})
    if (to_string(status) == text) return status;
  return std::nullopt;
}

// Names a column after a path: HDF5 reads '/' as a group.
std::string column_name(std::string path) {
  for (char& c : path)
    if (c == '/') c = '_';
  return path;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

using Rows = std::vector<SweepStore::Row>;

std::set<std::string> metric_names(const Rows& rows) {
  std::set<std::string> names;
  for (const auto& row : rows)
    for (const auto& [name, value] : row.result.metrics) names.insert(name);
  return names;
}

double metric_of(const SweepStore::Row& row, const std::string& name) {
  const auto found = row.result.metrics.find(name);
  return found == row.result.metrics.end() ? kMissing : found->second;
}

std::string value_of(const SweepStore::Row& row, const std::string& path) {
  for (const Assignment& assignment : row.point)
    if (assignment.path == path) return assignment.value;
  return {};
}

std::string csv_text(const SweepSpec& spec, const Rows& rows) {
  const auto names = metric_names(rows);
  std::string out = "point,seed,status,error";
  for (const std::string& path : spec.paths) out += "," + csv_cell(path);
  for (const std::string& name : names) out += "," + csv_cell(name);
  out += "\n";
  for (const auto& row : rows) {
    out += fmt::format("{},{},{},{}", row.number, row.seed, to_string(row.result.status),
                       csv_cell(row.result.error));
    for (const std::string& path : spec.paths) out += "," + csv_cell(value_of(row, path));
    for (const std::string& name : names) out += "," + csv_number(metric_of(row, name));
    out += "\n";
  }
  return out;
}

void write_parameters(scenarios::loader::Hdf5File& file, const SweepSpec& spec, const Rows& rows) {
  file.make_group("parameters");
  for (const std::string& path : spec.paths) {
    std::vector<std::string> values;
    for (const auto& row : rows) values.push_back(value_of(row, path));
    file.write_strings("parameters/" + column_name(path), values);
  }
}

void write_metrics(scenarios::loader::Hdf5File& file, const Rows& rows) {
  file.make_group("metrics");
  file.make_group("means");
  for (const std::string& name : metric_names(rows)) {
    std::vector<double> values, means, half_widths, repeats;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      values.push_back(metric_of(rows[i], name));
      repeats.push_back(values.back());
      if (i + 1 < rows.size() && rows[i + 1].number == rows[i].number) continue;
      const Aggregate over = aggregate(repeats);
      means.push_back(over.mean);
      half_widths.push_back(over.half_width);
      repeats.clear();
    }
    file.write("metrics/" + column_name(name), values);
    file.write("means/" + column_name(name) + "/mean", means);
    file.write("means/" + column_name(name) + "/half_width_95", half_widths);
  }
}

void write_hdf5(const fs::path& path, const SweepSpec& spec, const Rows& rows) {
  auto file = scenarios::loader::Hdf5File::create(path);
  file.set_attribute("/", "format", "foretoken sweep");
  file.set_attribute("/", "format_version", std::int64_t{kSweepFormatVersion});
  file.set_attribute("/", "name", spec.name);
  std::vector<std::int64_t> numbers, seeds;
  std::vector<std::string> statuses, errors;
  for (const auto& row : rows) {
    numbers.push_back(static_cast<std::int64_t>(row.number));
    seeds.push_back(static_cast<std::int64_t>(row.seed));
    statuses.emplace_back(to_string(row.result.status));
    errors.push_back(row.result.error);
  }
  file.write("point", numbers);
  file.write("seed", seeds);
  file.write_strings("status", statuses);
  file.write_strings("error", errors);
  write_parameters(file, spec, rows);
  write_metrics(file, rows);
  file.close();
}

int lock_folder(const fs::path& folder) {
  const fs::path file = folder / ".lock";
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0)
    throw InputError("cannot write to " + folder.string() + ": " + std::strerror(errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  ::close(lock);
  throw InputError("another sweep is running in " + folder.string() +
                   "; wait for it or choose another --out");
}

}  // namespace

std::map<std::string, double> flat_numbers(const std::string& summary) {
  Json json = Json::parse(summary);
  for (const char* key : {"run", "schema_version", "seed", "sources", "warnings"}) json.erase(key);
  std::map<std::string, double> numbers;
  flatten(json, "", numbers);
  return numbers;
}

SweepStore::SweepStore(fs::path folder, bool resume, bool owner) : folder_(std::move(folder)) {
  if (!owner) return;
  std::error_code error;
  fs::create_directories(folder_ / "points", error);
  if (error)
    throw InputError("cannot write to " + folder_.string() + ": " + error.message() +
                     "; choose another --out");
  lock_ = lock_folder(folder_);
  const bool used = !fs::is_empty(folder_ / "points") || fs::exists(folder_ / "sweep.h5");
  if (used && !resume) {
    ::close(lock_);
    throw InputError(folder_.string() +
                     " already holds a sweep: --resume goes on in it (points that are there are "
                     "not simulated again), or choose another --out");
  }
  fs::remove_all(folder_ / kClaims);  // of one that was killed
  fs::create_directory(folder_ / kClaims);
}

SweepStore::~SweepStore() {
  if (lock_ >= 0) ::close(lock_);
}

std::string text_of(const PointResult& result) {
  Json json;
  json["format_version"] = kSweepFormatVersion;
  json["status"] = to_string(result.status);
  json["error"] = result.error;
  json["metrics"] = Json(result.metrics);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

PointResult result_of(const std::string& text, const std::string& name) {
  const Json json = Json::parse(text, nullptr, false);
  const auto damaged = [&](const std::string& what) {
    return InputError(name + ": " + what + "; remove the file to simulate it again");
  };
  if (!json.is_object() || !json.contains("format_version"))
    throw damaged("not a point of a sweep");
  if (json["format_version"] != kSweepFormatVersion)
    throw damaged(fmt::format("of format version {}, this program writes {}",
                              json["format_version"].dump(), kSweepFormatVersion));
  PointResult result;
  const auto status = status_of(json.value("status", ""));
  if (!status || !json.contains("metrics") || !json["metrics"].is_object())
    throw damaged("incomplete");
  result.status = *status;
  result.error = json.value("error", "");
  for (const auto& [metric, value] : json["metrics"].items()) {
    if (!value.is_number()) throw damaged("'" + metric + "' is not a number");
    result.metrics[metric] = value.get<double>();
  }
  return result;
}

std::optional<PointResult> SweepStore::find(const std::string& hash) const {
  const fs::path file = folder_ / "points" / (hash + ".json");
  if (!fs::exists(file)) return std::nullopt;
  return result_of(content_of(file), file.string());
}

void SweepStore::keep(const std::string& hash, const PointResult& result) const {
  write_file_atomically(folder_ / "points" / (hash + ".json"), text_of(result));
}

bool SweepStore::claim(std::size_t row) const {
  const fs::path file = folder_ / kClaims / std::to_string(row);
  const int claimed = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (claimed >= 0) {
    ::close(claimed);
    return true;
  }
  if (errno == EEXIST) return false;
  throw InputError("cannot write to " + folder_.string() + ": " + std::strerror(errno) +
                   "; under mpirun all machines must see the folder of a sweep");
}

void SweepStore::finish(const SweepSpec& spec, const std::vector<Row>& rows) const {
  const fs::path staged = folder_ / ".sweep.h5.writing";
  write_hdf5(staged, spec, rows);
  fs::rename(staged, folder_ / "sweep.h5");
  write_file_atomically(folder_ / "sweep.csv", csv_text(spec, rows));
  write_file_atomically(folder_ / "sweep.yaml", content_of(spec.file));
  fs::remove_all(folder_ / kClaims);
}

}  // namespace foretoken::analysis::study
