#include "analysis/study/plan_spec.hpp"

#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::analysis::study {
namespace {

using models::llm::Layout;
using scenarios::loader::YamlFile;
using scenarios::loader::YamlNode;

constexpr double kMostWays = 1024, kMostNodes = 100'000;

// A single value or a list of them.
template <class T>
std::vector<T> some(const YamlNode& parent, const char* key, std::vector<T> fallback,
                    scenarios::loader::Limits limits = {}) {
  const YamlNode node = parent.any_child(key);
  if (!node.exists()) return fallback;
  std::vector<T> values;
  if (node.is_list())
    for (const YamlNode& item : node.items()) values.push_back(item.as<T>(limits));
  else
    values.push_back(node.as<T>(limits));
  if (values.empty()) node.error("no values");
  return values;
}

HardwareOption read_option(const YamlNode& node) {
  HardwareOption option;
  option.node = node.required<std::string>("node");
  option.nodes = some<int>(node, "nodes", {1}, {1, kMostNodes});
  option.engines = some<std::string>(node, "engine", {""});
  option.pay = some<std::string>(node, "pay", {""});
  for (const std::string& way : option.pay)
    if (!way.empty() && way != "buy" && !(way.starts_with("rent:") && way.size() > 5))
      node.any_child("pay").error("'" + way + "' is neither buy nor rent:TIER");
  return option;
}

Layout read_layout(const YamlNode& node) {
  Layout layout;
  layout.tensor = node.value_or<int>("tensor", 1, {1, kMostWays});
  layout.pipeline = node.value_or<int>("pipeline", 1, {1, kMostWays});
  layout.data_attention = node.value_or<int>("data_attention", 1, {1, kMostWays});
  layout.expert = node.value_or<int>("expert", 1, {1, kMostWays * kMostWays});
  return layout;
}

void read_layouts(const YamlNode& root, PlanSpec& spec) {
  const YamlNode node = root.any_child("parallel");
  if (!node.exists() || (node.is_scalar() && node.text() == "auto")) return;
  if (!node.is_list())
    return node.error("write auto, or a list of layouts, [{tensor: 8}, {tensor: 4, pipeline: 2}]");
  for (const YamlNode& item : node.items()) spec.layouts.push_back(read_layout(item));
}

void read_limits(const YamlNode& root, PlanLimits& limits) {
  using scenarios::loader::kPositive;
  const YamlNode node = root.child("limits");
  limits.gpus = node.optional<int>("gpus", {1, 1e9});
  if (const auto budget = node.optional<scenarios::loader::Money>("budget", kPositive))
    (budget->currency == models::cost::Currency::CNY ? limits.budget_cny : limits.budget_usd) =
        budget->amount;
  if (const auto power = node.optional<sim::core::Watts>("power", kPositive))
    limits.facility_watts = power->value();
}

void read_api(const YamlNode& root, PlanSpec& spec) {
  using scenarios::loader::kPositive;
  using scenarios::loader::Ratio;
  using scenarios::loader::Seconds;
  if (!root.has("api")) return;
  const YamlNode node = root.child("api");
  ApiOption api;
  for (const Ratio share : some<Ratio>(node, "share", {}, {0.0, 1.0}))
    if (share.value > 0.0 && share.value < 1.0) api.shares.push_back(share.value);
  api.terms.round_trip_s = node.required<Seconds>("round_trip").value;
  api.terms.first_token_s = node.required<Seconds>("first_token").value;
  api.terms.tokens_per_s = node.required<Ratio>("tokens_per_s", kPositive).value;
  api.terms.usd_per_million_input = node.required<Ratio>("usd_per_million_input").value;
  api.terms.usd_per_million_output = node.required<Ratio>("usd_per_million_output").value;
  spec.api = std::move(api);
}

void read_day(const YamlNode& root, PlanSpec& spec) {
  const YamlNode node = root.any_child("day");
  if (!node.exists()) return;
  for (const YamlNode& item : node.items())
    spec.day.push_back(item.as<scenarios::loader::Ratio>({0.0, 1000.0}).value);
  if (spec.day.size() != 24) node.error("24 numbers, one an hour, from midnight");
}

}  // namespace

PlanSpec read_plan(const std::filesystem::path& file) {
  YamlFile yaml = YamlFile::open(file);
  const YamlNode root = yaml.root();
  PlanSpec spec;
  spec.file = file;
  if (root.required<int>("foretoken") > 1)
    root.any_child("foretoken").error("this program reads version 1");
  spec.name = root.value_or<std::string>("name", file.stem().string());
  const auto scenario = root.required<std::string>("scenario");
  spec.scenario = std::filesystem::path(scenario).is_absolute() ? std::filesystem::path(scenario)
                                                                : file.parent_path() / scenario;
  for (const auto& [path, value] : root.child("set").entries())
    spec.fixed.push_back(path + "=" + value.text());
  const YamlNode hardware = root.any_child("hardware");
  for (const YamlNode& item : hardware.items()) spec.hardware.push_back(read_option(item));
  if (spec.hardware.empty())
    (hardware.exists() ? hardware : root)
        .error("no hardware to choose from: hardware: [{node: hgx-h200, nodes: [1, 2]}]");
  spec.weights = some<std::string>(root, "weights", {""});
  spec.kv_cache = some<std::string>(root, "kv_cache", {""});
  spec.policies = some<std::string>(root, "policy", {""});
  spec.max_tokens = some<int>(root, "max_tokens", {0}, {1, 1e8});
  spec.max_sequences = some<int>(root, "max_sequences", {0}, {1, 1e6});
  read_layouts(root, spec);
  read_api(root, spec);
  read_limits(root, spec.limits);
  read_day(root, spec);
  yaml.finish();
  return spec;
}

}  // namespace foretoken::analysis::study
