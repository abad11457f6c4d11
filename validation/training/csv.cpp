#include "validation/training/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "sim/core/error.hpp"
#include "validation/calibrate/text_file.hpp"

namespace foretoken::validation::training {
namespace {

using sim::core::Diagnostic;
using sim::core::InputError;

[[noreturn]] void fail(const std::filesystem::path& file, int line, const std::string& message) {
  Diagnostic problem;
  problem.file = file.string();
  problem.line = line;
  problem.column = 1;
  problem.message = message;
  throw InputError(std::vector<Diagnostic>{problem});
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else if (c != '\r')
      cells.back() += c;
  }
  return cells;
}

}  // namespace

bool Csv::has(const std::string& column) const {
  return std::find(header.begin(), header.end(), column) != header.end();
}

std::string Csv::text(const Line& line, const std::string& column) const {
  const auto at = std::find(header.begin(), header.end(), column);
  return at == header.end() ? std::string()
                            : line.cells[static_cast<std::size_t>(at - header.begin())];
}

double Csv::number(const Line& line, const std::string& column, double otherwise) const {
  const std::string cell = text(line, column);
  if (cell.empty()) return otherwise;
  char* end = nullptr;
  const double value = std::strtod(cell.c_str(), &end);
  if (end == cell.c_str() || *end != '\0')
    fail(file, line.number, fmt::format("{}: '{}' is not a number", column, cell));
  return value;
}

double Csv::required(const Line& line, const std::string& column) const {
  const double value = number(line, column, 0.0);
  if (!(value > 0) || value > 1e18)
    fail(file, line.number,
         fmt::format("{}: '{}' must be a number above zero", column, text(line, column)));
  return value;
}

Csv read_csv(const std::filesystem::path& file) {
  std::istringstream text(calibrate::read_text(file));
  Csv csv;
  csv.file = file;
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (line.empty() || line == "\r") continue;
    std::vector<std::string> cells = split(line);
    if (csv.header.empty()) {
      csv.header = std::move(cells);
      continue;
    }
    if (cells.size() != csv.header.size())
      fail(file, number,
           fmt::format("{} cells; the header has {}", cells.size(), csv.header.size()));
    csv.lines.push_back({number, std::move(cells)});
  }
  if (csv.header.empty()) fail(file, 1, "an empty file; expected a header and rows");
  return csv;
}

}  // namespace foretoken::validation::training
