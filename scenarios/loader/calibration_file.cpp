#include "scenarios/loader/calibration_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
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

// /                     kind, format_version, source_hash
// /parameters/{name,value}
// /tables/index         one text a table: GPU, operator, engine, version, rows, columns; of each
// column
//                       its name, how many values its codes stand for (0 = not coded), how many
//                       labels, and these
// /tables/codes         table by table, one byte a row for each column of few values
// /tables/data          table by table, the values that codes stand for, the other columns, the
// seconds Few large datasets: with one or two a table, opening them took longer than unpacking
// them.
constexpr const char* kKind = "foretoken calibration";
constexpr char kSeparator = '\n';

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

constexpr std::size_t kCodes = 256;  // values that a byte tells apart

// The different values of a column, rising; empty where a byte cannot tell them apart.
std::vector<float> few_values(const std::vector<float>& column) {
  std::set<float> values;
  for (const float value : column)
    if (values.insert(value).second && values.size() > kCodes) return {};
  return {values.begin(), values.end()};
}

struct Packed {
  std::vector<std::string> index;
  std::vector<std::uint8_t> codes;
  std::vector<float> data;
};

void pack(const Table& table, Packed& out) {
  std::string text;
  const auto say = [&](const std::string& part) { text += part + kSeparator; };
  for (const auto& part : {table.gpu, table.op, table.engine, table.version}) say(part);
  say(std::to_string(table.seconds.size()));
  say(std::to_string(table.columns.size()));
  std::vector<float> plain;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const auto& column = table.values[c];
    const std::vector<float> few = few_values(column);
    const auto labels = table.labels.find(table.columns[c]);
    say(table.columns[c]);
    say(std::to_string(few.size()));
    say(std::to_string(labels == table.labels.end() ? 0 : labels->second.size()));
    if (labels != table.labels.end())
      for (const std::string& label : labels->second) say(label);
    if (few.empty()) plain.insert(plain.end(), column.begin(), column.end());
    out.data.insert(out.data.end(), few.begin(), few.end());
    for (std::size_t i = 0; i < column.size() && !few.empty(); ++i)
      out.codes.push_back(static_cast<std::uint8_t>(
          std::lower_bound(few.begin(), few.end(), column[i]) - few.begin()));
  }
  out.data.insert(out.data.end(), plain.begin(), plain.end());
  out.data.insert(out.data.end(), table.seconds.begin(), table.seconds.end());
  out.index.push_back(std::move(text));
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

// Takes the tables apart again; throws where the parts do not fit together.
class Unpacker {
 public:
  Unpacker(const Hdf5File& file, std::string name)
      : codes_(file.read<std::uint8_t>("/tables/codes")),
        data_(file.read<float>("/tables/data")),
        name_(std::move(name)) {}

  Table table(const std::string& text) {
    parts_ = parts_of(text);
    next_ = 0;
    Table table;
    table.gpu = part();
    table.op = part();
    table.engine = part();
    table.version = part();
    const std::size_t rows = number(), columns = number();
    std::vector<std::vector<float>> few;
    for (std::size_t c = 0; c < columns; ++c) {
      table.columns.push_back(part());
      few.push_back(floats(number()));
      if (few.back().size() > kCodes) broken();
      const std::size_t labels = number();
      for (std::size_t i = 0; i < labels; ++i) table.labels[table.columns[c]].push_back(part());
    }
    for (std::size_t c = 0; c < columns; ++c)
      table.values.push_back(few[c].empty() ? floats(rows) : decoded(few[c], rows));
    table.seconds = floats(rows);
    check_table(table, name_ + ": " + table.gpu + "/" + table.op);
    return table;
  }
  void check_end() const {
    if (code_ != codes_.size() || float_ != data_.size()) broken();
  }

 private:
  [[noreturn]] void broken() const {
    throw InputError(name_ + ": tables and their index do not fit together; build it anew");
  }
  std::string part() {
    if (next_ >= parts_.size()) broken();
    return std::move(parts_[next_++]);
  }
  std::size_t number() {
    const std::string text = part();
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) broken();
    return value;
  }
  std::vector<float> floats(std::size_t count) {
    if (count > data_.size() - float_) broken();
    const auto begin = data_.begin() + static_cast<std::ptrdiff_t>(float_);
    float_ += count;
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
  }
  std::vector<float> decoded(const std::vector<float>& few, std::size_t rows) {
    if (rows > codes_.size() - code_) broken();
    std::vector<float> column(rows);
    for (float& value : column) {
      const std::uint8_t code = codes_[code_++];
      if (code >= few.size()) broken();
      value = few[code];
    }
    return column;
  }

  std::vector<std::uint8_t> codes_;
  std::vector<float> data_;
  std::string name_;
  std::vector<std::string> parts_;
  std::size_t next_ = 0, code_ = 0, float_ = 0;
};

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
  Unpacker unpacker(in, name);
  for (const std::string& text : in.read_strings("/tables/index"))
    if (Table table = unpacker.table(text); gpu.empty() || table.gpu == gpu)
      calibration->tables.push_back(std::move(table));
  unpacker.check_end();
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
    Packed packed;
    for (const Table& table : calibration.tables) pack(table, packed);
    Hdf5Storage storage;
    storage.deflate = 9;
    out.write_fixed_strings("/tables/index", packed.index, storage);
    storage.chunk = std::max<std::size_t>(1, packed.codes.size());  // read as a whole, always
    out.write("/tables/codes", packed.codes, storage);
    storage.chunk = std::max<std::size_t>(1, packed.data.size());
    out.write("/tables/data", packed.data, storage);
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
