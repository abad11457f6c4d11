#include "validation/importers/trace.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <memory>
#include <string_view>

#include "sim/core/error.hpp"
#include "validation/importers/gzip_stream.hpp"
#include "validation/importers/kineto.hpp"
#include "validation/importers/nsight.hpp"

namespace foretoken::validation::importers {
namespace {

using sim::core::Diagnostic;
using sim::core::InputError;

constexpr std::string_view kHeader = "name,stream,start_us,duration_us";

[[noreturn]] void fail(const std::filesystem::path& file, int line, std::string message,
                       std::string text) {
  Diagnostic diagnostic;
  diagnostic.file = file.string();
  diagnostic.line = line;
  diagnostic.column = 1;
  diagnostic.message = std::move(message);
  diagnostic.source_line = std::move(text);
  throw InputError(std::vector<Diagnostic>{diagnostic});
}

// Splits a CSV line; fields in double quotes may hold commas, and quotes doubled.
std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += '"';
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

template <class Number>
bool parse_number(const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Kernel parse_row(const std::filesystem::path& file, int line, const std::string& text) {
  std::vector<std::string> fields = fields_of(text);
  if (fields.size() != 4)
    fail(file, line, fmt::format("{} fields, expected 4: {}", fields.size(), kHeader), text);
  Kernel kernel;
  if (!parse_number(fields[1], kernel.stream)) fail(file, line, "stream is no integer", text);
  if (!parse_number(fields[2], kernel.start_us) || !std::isfinite(kernel.start_us))
    fail(file, line, "start_us is no number", text);
  if (!parse_number(fields[3], kernel.duration_us) || !std::isfinite(kernel.duration_us) ||
      kernel.duration_us < 0)
    fail(file, line, "duration_us is no number of 0 or more", text);
  kernel.name = std::move(fields[0]);
  return kernel;
}

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"') text += '"';
    text += c == '\n' || c == '\r' ? ' ' : c;
  }
  return text + '"';
}

}  // namespace

Trace read_kernel_table(const std::filesystem::path& file) {
  GzipBuffer buffer(file);
  std::istream stream(&buffer);
  Trace trace;
  std::string text;
  int line = 0;
  while (std::getline(stream, text)) {
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (++line == 1) {
      if (text != kHeader)
        fail(file, 1, fmt::format("no table of kernels: the first line must be {}", kHeader), text);
      continue;
    }
    // The last line of a file that was cut short would look like a wrong row.
    if (buffer.damaged()) break;
    if (!text.empty()) trace.kernels.push_back(parse_row(file, line, text));
  }
  if (buffer.damaged())
    throw InputError(file.string() + ": the compressed file is damaged or cut short");
  if (trace.kernels.empty()) throw InputError(file.string() + ": no kernels in the table");
  std::stable_sort(trace.kernels.begin(), trace.kernels.end(),
                   [](const Kernel& a, const Kernel& b) { return a.start_us < b.start_us; });
  return trace;
}

void write_kernel_table(const Trace& trace, const std::filesystem::path& file) {
  std::string text = std::string(kHeader) + '\n';
  for (const Kernel& kernel : trace.kernels) {
    if (kernel.kind != Kernel::Kind::kernel) continue;
    // Nanoseconds at most: relative times of traces with an epoch of microseconds carry noise
    // below.
    const auto rounded = [](double us) { return std::round(us * 1e3) / 1e3; };
    text += fmt::format("{},{},{},{}\n", quoted(kernel.name), kernel.stream,
                        rounded(kernel.start_us), rounded(kernel.duration_us));
  }
  const bool packed = file.extension() == ".gz";
  const auto close = [](gzFile_s* handle) { gzclose(handle); };
  std::unique_ptr<gzFile_s, decltype(close)> out(gzopen(file.c_str(), packed ? "wb9" : "wbT"),
                                                 close);
  const auto size = static_cast<unsigned>(text.size());
  if (!out || gzwrite(out.get(), text.data(), size) != static_cast<int>(size) ||
      gzclose(out.release()) != Z_OK)
    throw InputError(file.string() + ": cannot be written");
}

bool has_shapes_of_interest(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames{"aten::mm",
                                                   "aten::addmm",
                                                   "aten::bmm",
                                                   "aten::baddbmm",
                                                   "aten::_scaled_mm",
                                                   "aten::_scaled_dot_product_flash_attention",
                                                   "aten::_scaled_dot_product_efficient_attention"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Trace read_trace(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  if (name.ends_with(".csv") || name.ends_with(".csv.gz")) return read_kernel_table(file);
  if (name.ends_with(".json") || name.ends_with(".json.gz")) return read_kineto(file);
  if (name.ends_with(".sqlite")) return read_nsight(file);
  throw InputError(file.string() +
                   ": what it holds is told by its name: .json or .json.gz (Kineto), .sqlite "
                   "(Nsight Systems), .csv or .csv.gz (table of kernels)");
}

}  // namespace foretoken::validation::importers
