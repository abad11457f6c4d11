#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace foretoken::validation::training {

// A small comma-separated table: header, rows; no quoting beyond "...".
struct Csv {
  std::filesystem::path file;
  std::vector<std::string> header;
  struct Line {
    int number = 0;  // in the file, from 1
    std::vector<std::string> cells;
  };
  std::vector<Line> lines;

  [[nodiscard]] bool has(const std::string& column) const;
  [[nodiscard]] std::string text(const Line& line, const std::string& column) const;
  // Empty cells give `otherwise`; what is no number throws InputError with its place.
  [[nodiscard]] double number(const Line& line, const std::string& column, double otherwise) const;
  // A missing or non-positive number throws InputError with its place.
  [[nodiscard]] double required(const Line& line, const std::string& column) const;
};

// Throws InputError with file:line on a row whose cells do not match the header.
Csv read_csv(const std::filesystem::path& file);

}  // namespace foretoken::validation::training
