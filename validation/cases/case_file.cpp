#include "validation/cases/case_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "scenarios/loader/card_file.hpp"
#include "sim/core/error.hpp"

namespace foretoken::validation::cases {
namespace {

namespace fs = std::filesystem;
using scenarios::loader::YamlNode;

// `8%` or `10 points`.
void read_limit(const YamlNode& root, CaseHead& head) {
  const std::string text = root.required<std::string>("limit");
  if (text.empty()) return;
  const char* const end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, head.limit);
  const std::string unit(rest, end);
  head.points = unit == " points";
  if (status != std::errc{} || head.limit <= 0.0 || (unit != "%" && !head.points)) {
    root.any_child("limit").error(
        fmt::format("'{}' is no limit; write 8% (of measured) or 10 points", text));
  }
}

double read_measured(const YamlNode& node) {
  return node.required<scenarios::loader::Ratio>("measured", scenarios::loader::kAnyNumber).value;
}

}  // namespace

CaseHead read_case_head(const scenarios::loader::YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  CaseHead head;
  head.id = root.required<std::string>("case");
  if (!head.id.empty() && head.id != path.stem().string()) {
    root.any_child("case").error(
        fmt::format("the case is called '{}' but its file '{}'; make them equal", head.id,
                    path.filename().string()));
  }
  head.quantity = root.required<std::string>("quantity");
  if (!root.has("points")) head.measured = read_measured(root);
  read_limit(root, head);
  const YamlNode source = root.required_child("source");
  head.source = source.required<std::string>("is");
  head.date = scenarios::loader::read_date(source, "date");
  head.evaluator = root.required<std::string>("evaluate");
  return head;
}

std::vector<CasePoint> read_points(const scenarios::loader::YamlFile& file, const CaseHead& head) {
  const YamlNode root = file.root();
  if (!root.has("points")) return {{head, std::nullopt}};
  const YamlNode list = root.any_child("points");
  std::vector<CasePoint> points;
  for (const YamlNode& item : list.items()) {
    CasePoint point{head, item};
    point.head.id += "-" + item.required<std::string>("point");
    point.head.measured = read_measured(item);
    for (const CasePoint& other : points)
      if (other.head.id == point.head.id)
        item.error(fmt::format("'{}' is here twice; give each point a name", point.head.id));
    points.push_back(std::move(point));
  }
  if (points.empty()) list.error("no points; give a list of {point: NAME, measured: X, ...}");
  return points;
}

std::vector<fs::path> case_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code status;
  for (fs::directory_iterator it(folder, status), end; !status && it != end; it.increment(status)) {
    if (it->path().extension() == ".yaml") files.push_back(it->path());
  }
  if (files.empty()) {
    throw sim::core::InputError(fmt::format("no case files (*.yaml) in {}", folder.string()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace foretoken::validation::cases
