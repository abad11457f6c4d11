#include "scenarios/loader/calibration_file.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "scenarios/loader/hdf5_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::kernels::Calibration;
using models::kernels::Table;
using sim::core::InputError;

// /                       kind, format_version, source_hash
// /parameters/{name,value}
// /tables/GPU/OP.ENGINE-VERSION/data   columns one after another, then the seconds
//                          attributes: op, engine, version, columns; labels of COLUMN
constexpr const char* kKind = "foretoken calibration";
constexpr char kSeparator = '\n';

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part + kSeparator;
  return text;
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find(kSeparator, begin);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void write_table(Hdf5File& file, const Table& table) {
  const std::string path =
      "/tables/" + table.gpu + "/" + table.op + "." + table.engine + "-" + table.version;
  std::vector<float> data;
  data.reserve((table.values.size() + 1) * table.seconds.size());
  for (const auto& column : table.values) data.insert(data.end(), column.begin(), column.end());
  data.insert(data.end(), table.seconds.begin(), table.seconds.end());
  Hdf5Storage storage;
  storage.chunk = data.size();  // read as a whole, always
  storage.deflate = 9;
  file.write(path, data, storage);
  file.set_attribute(path, "op", table.op);
  file.set_attribute(path, "engine", table.engine);
  file.set_attribute(path, "version", table.version);
  file.set_attribute(path, "columns", joined(table.columns));
  for (const auto& [column, names] : table.labels)
    file.set_attribute(path, "labels of " + column, joined(names));
}

void check_table(const Table& table, const std::string& where) {
  for (const float value : table.seconds)
    if (!(value > 0) || !std::isfinite(value))
      throw InputError(where + ": holds a time that is not a positive number; build it anew");
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const auto labels = table.labels.find(table.columns[c]);
    if (labels == table.labels.end()) continue;
    for (const float value : table.values[c])
      if (!(value >= 0) || value >= static_cast<float>(labels->second.size()))
        throw InputError(where + ": column '" + table.columns[c] +
                         "' names a label that does not exist; build it anew");
  }
}

Table read_table(const Hdf5File& file, const std::string& gpu, const std::string& path,
                 const std::string& name) {
  Table table;
  table.gpu = gpu;
  table.op = file.string_attribute(path, "op");
  table.engine = file.string_attribute(path, "engine");
  table.version = file.string_attribute(path, "version");
  table.columns = parts_of(file.string_attribute(path, "columns"));
  for (const std::string& column : table.columns)
    if (file.has_attribute(path, "labels of " + column))
      table.labels[column] = parts_of(file.string_attribute(path, "labels of " + column));
  const std::vector<float> data = file.read<float>(path);
  const std::string where = name + ": " + path;
  if (data.size() % (table.columns.size() + 1) != 0)
    throw InputError(where + ": its length does not fit its columns; build it anew");
  const auto rows = static_cast<std::ptrdiff_t>(data.size() / (table.columns.size() + 1));
  auto begin = data.begin();
  for (std::size_t c = 0; c < table.columns.size(); ++c, begin += rows)
    table.values.emplace_back(begin, begin + rows);
  table.seconds.assign(begin, data.end());
  check_table(table, where);
  return table;
}

}  // namespace

std::shared_ptr<const Calibration> read_calibration(const std::filesystem::path& file,
                                                    const std::string& gpu) {
  const Hdf5File in = Hdf5File::open(file);
  const std::string name = file.string();
  if (!in.has_attribute("/", "kind") || in.string_attribute("/", "kind") != kKind)
    throw InputError(name + ": is no calibration file; build one with 'foretoken calibrate'");
  auto calibration = std::make_shared<Calibration>();
  const int expected = calibration->format_version;
  const std::int64_t version = in.int_attribute("/", "format_version");
  if (version != expected)
    throw InputError(name + ": is of format version " + std::to_string(version) +
                     ", this program reads version " + std::to_string(expected) +
                     "; build it anew with 'foretoken calibrate'");
  calibration->source_hash = in.string_attribute("/", "source_hash");
  const std::vector<std::string> names = in.read_strings("/parameters/name");
  const std::vector<double> values = in.read<double>("/parameters/value");
  if (names.size() != values.size())
    throw InputError(name + ": parameters and their names differ in number; build it anew");
  for (std::size_t i = 0; i < names.size(); ++i) calibration->parameters[names[i]] = values[i];
  for (const std::string& folder : in.children("/tables")) {
    if (!gpu.empty() && folder != gpu) continue;
    for (const std::string& table : in.children("/tables/" + folder))
      calibration->tables.push_back(
          read_table(in, folder, "/tables/" + folder + "/" + table, name));
  }
  return calibration;
}

void write_calibration(const std::filesystem::path& file, const Calibration& calibration) {
  // Written beside and renamed, so that a failure leaves no half of a file behind.
  std::filesystem::path unfinished = file;
  unfinished += ".unfinished";
  try {
    Hdf5File out = Hdf5File::create(unfinished);
    out.set_attribute("/", "kind", kKind);
    out.set_attribute("/", "format_version", static_cast<std::int64_t>(calibration.format_version));
    out.set_attribute("/", "source_hash", calibration.source_hash);
    std::vector<std::string> names;
    std::vector<double> values;
    for (const auto& [name, value] : calibration.parameters) {
      names.push_back(name);
      values.push_back(value);
    }
    out.write_fixed_strings("/parameters/name", names);
    out.write("/parameters/value", values);
    out.make_group("/tables");
    for (const Table& table : calibration.tables) write_table(out, table);
    out.close();
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(unfinished, ignored);
    throw;
  }
  std::error_code error;
  std::filesystem::rename(unfinished, file, error);
  if (error) throw InputError(file.string() + ": cannot be written: " + error.message());
}

}  // namespace foretoken::scenarios::loader
