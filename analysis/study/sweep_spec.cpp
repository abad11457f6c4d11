#include "analysis/study/sweep_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>

#include "scenarios/loader/yaml_reader.hpp"
#include "sim/core/random.hpp"

namespace foretoken::analysis::study {
namespace {

using scenarios::loader::YamlFile;
using scenarios::loader::YamlNode;

constexpr std::uint32_t kRandomPurpose = 0x73776565;  // draws of a sweep's random points

struct Number {
  double value = 0.0;
  std::string unit;
  bool whole = false;
};

Number number_of(const std::string& text) {
  Number number;
  const char* const end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, number.value);
  if (status != std::errc{}) throw std::invalid_argument("'" + text + "' is not a number");
  number.unit.assign(stop, end);
  number.whole = std::none_of(text.data(), stop, [](char c) { return c == '.' || c == 'e'; });
  return number;
}

std::string text_of(double value, const Number& like, bool whole) {
  if (whole) return fmt::format("{}{}", std::llround(value), like.unit);
  // Six digits: a step of a range is no measurement.
  return fmt::format("{:.6g}{}", value, like.unit);
}

std::vector<std::string> values_of(const YamlNode& node) {
  std::vector<std::string> values;
  if (node.is_list()) {
    for (const YamlNode& item : node.items()) {
      if (!item.is_scalar())
        item.error("a single value is expected here; nest with dots in the path");
      else
        values.push_back(item.text());
    }
    if (values.empty()) node.error("no values");
    return values;
  }
  if (!node.is_map()) {
    node.error("write a list of values, [1, 2, 4], or a range, {from: 1, to: 8, steps: 4}");
    return values;
  }
  const auto from = node.required<std::string>("from"), to = node.required<std::string>("to");
  const auto steps = node.required<int>("steps", {2, 100'000});
  const bool logarithmic =
      node.optional_choice<bool>("scale", {{"linear", false}, {"log", true}}).value_or(false);
  if (from.empty() || to.empty() || steps < 2) return values;
  try {
    values = spaced_values(from, to, static_cast<std::size_t>(steps), logarithmic);
  } catch (const std::invalid_argument& error) {
    node.error(error.what());
  }
  return values;
}

std::vector<Axis> axes_of(const YamlNode& node) {
  std::vector<Axis> axes;
  for (const auto& [path, values] : node.entries()) axes.push_back({path, values_of(values)});
  if (axes.empty()) node.error("no paths to vary");
  return axes;
}

Point point_of(const YamlNode& node) {
  Point point;
  for (const auto& [path, value] : node.entries()) {
    if (value.is_scalar())
      point.push_back({path, value.text()});
    else
      value.error("a single value is expected here; nest with dots in the path");
  }
  return point;
}

void add_grid(const YamlNode& node, SweepSpec& spec) {
  std::vector<Point> points{{}};
  for (const Axis& axis : axes_of(node)) {
    if (points.size() * axis.values.size() > kMostPoints)
      return node.error(fmt::format("more than {} points", kMostPoints));
    std::vector<Point> longer;
    for (const Point& point : points)
      for (const std::string& value : axis.values) {
        longer.push_back(point);
        longer.back().push_back({axis.path, value});
      }
    points = std::move(longer);
  }
  spec.points.insert(spec.points.end(), points.begin(), points.end());
}

void add_random(const YamlNode& node, SweepSpec& spec) {
  const int samples = node.required<int>("samples", {1, static_cast<double>(kMostPoints)});
  const auto axes = axes_of(node.required_child("values"));
  if (std::any_of(axes.begin(), axes.end(), [](const Axis& a) { return a.values.empty(); })) return;
  for (int i = 0; i < samples; ++i) {
    sim::core::Random random(spec.seed, static_cast<std::uint32_t>(i), kRandomPurpose);
    Point point;
    for (const Axis& axis : axes)
      point.push_back({axis.path, axis.values[random.below(axis.values.size())]});
    spec.points.push_back(std::move(point));
  }
}

std::vector<Objective> objectives_of(const YamlNode& node) {
  std::vector<Objective> objectives;
  for (const auto& [key, maximise] : {std::pair{"maximise", true}, std::pair{"minimise", false}})
    for (const YamlNode& item : node.any_child(key).items())
      objectives.push_back({item.as<std::string>(), maximise});
  if (objectives.size() < 2)
    node.error("a Pareto front has two objectives or more: maximise: [...], minimise: [...]");
  return objectives;
}

std::vector<std::string> varied_paths(const SweepSpec& spec) {
  std::vector<std::string> paths;
  std::set<std::string> known;
  const auto add = [&](const std::string& path) {
    if (known.insert(path).second) paths.push_back(path);
  };
  for (const Point& point : spec.points)
    for (const Assignment& assignment : point) add(assignment.path);
  if (spec.adaptive)
    for (const Axis& axis : spec.adaptive->axes) add(axis.path);
  return paths;
}

void read_points(const YamlNode& root, SweepSpec& spec) {
  if (root.has("grid")) add_grid(root.child("grid"), spec);
  for (const YamlNode& item : root.any_child("list").items()) spec.points.push_back(point_of(item));
  if (root.has("random")) add_random(root.child("random"), spec);
  if (root.has("adaptive")) {
    const YamlNode node = root.child("adaptive");
    Adaptive adaptive;
    adaptive.points = static_cast<std::size_t>(
        node.required<int>("points", {2, static_cast<double>(kMostPoints)}));
    adaptive.objectives = objectives_of(node);
    adaptive.axes = axes_of(node.required_child("values"));
    spec.adaptive = std::move(adaptive);
  }
  if (spec.points.empty() && !spec.adaptive)
    root.error("nothing to sweep: give grid, list, random or adaptive");
}

}  // namespace

std::vector<std::string> spaced_values(const std::string& from, const std::string& to,
                                       std::size_t n, bool logarithmic) {
  const Number a = number_of(from), b = number_of(to);
  if (a.unit != b.unit)
    throw std::invalid_argument("'" + from + "' and '" + to + "' carry different units");
  if (logarithmic && (a.value <= 0 || b.value <= 0))
    throw std::invalid_argument("a logarithmic range needs ends above 0");
  const bool whole = a.whole && b.whole && a.unit.empty();
  std::vector<std::string> values;
  for (std::size_t i = 0; i < n; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(n - 1);
    const double value = logarithmic ? a.value * std::pow(b.value / a.value, share)
                                     : a.value + share * (b.value - a.value);
    std::string text = text_of(value, a, whole);
    if (values.empty() || values.back() != text) values.push_back(std::move(text));
  }
  return values;
}

SweepSpec read_sweep(const std::filesystem::path& file) {
  YamlFile yaml = YamlFile::open(file);
  const YamlNode root = yaml.root();
  SweepSpec spec;
  spec.file = file;
  if (root.required<int>("foretoken") > 1)
    root.any_child("foretoken").error("this program reads version 1");
  spec.name = root.value_or<std::string>("name", file.stem().string());
  spec.seed = root.value_or<std::uint64_t>("seed", 1);
  spec.repeats = root.value_or<int>("repeats", 1, {1, 10'000});
  const auto scenario = root.required<std::string>("scenario");
  spec.scenario = std::filesystem::path(scenario).is_absolute() ? std::filesystem::path(scenario)
                                                                : file.parent_path() / scenario;
  spec.fixed = point_of(root.child("set"));
  read_points(root, spec);
  yaml.finish();
  spec.paths = varied_paths(spec);
  return spec;
}

}  // namespace foretoken::analysis::study
