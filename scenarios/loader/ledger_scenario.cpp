#include "scenarios/loader/ledger_scenario.hpp"

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

models::cost::Service read_service(const YamlNode& block, const models::hardware::NodeSpec& node) {
  models::cost::Service service;
  service.units = block.required<Ratio>("nodes", kPositive).value;
  if (node.gpus > 0) service.gpus_per_unit = node.gpus;
  if (const auto gpus = block.optional<Ratio>("gpus_per_node", kPositive))
    service.gpus_per_unit = gpus->value;
  service.unit_watts = block.required<sim::core::Watts>("node_power").value();
  service.requests_per_day = block.required<Ratio>("requests_per_day").value;
  service.input_tokens = block.required<Ratio>("input_tokens").value;
  service.output_tokens = block.required<Ratio>("output_tokens").value;
  service.unit_capacity_per_day =
      block.optional<Ratio>("node_capacity_per_day", kPositive).value_or(Ratio{0.0}).value;
  return service;
}

}  // namespace

bool is_ledger_scenario(const std::filesystem::path& file) {
  try {
    return YamlFile::open(file).root().has("service");
  } catch (const sim::core::InputError&) {
    return false;
  }
}

LedgerScenario load_ledger_scenario(const std::filesystem::path& file, const Catalogue& catalogue,
                                    const std::vector<std::string>& overrides) {
  YamlFile yaml = YamlFile::open(file);
  for (const std::string& assignment : overrides) yaml.override_value(assignment);
  const YamlNode root = yaml.root();
  std::map<std::string, std::string> hashes;
  const LoadContext context{yaml, catalogue, file.parent_path(), hashes};
  LedgerScenario out;
  out.file = file;
  if (root.required<int>("foretoken") > 1)
    root.any_child("foretoken").error("this program reads version 1");
  out.name = root.value_or<std::string>("name", file.stem().string());
  const YamlNode block = root.required_child("service");
  models::hardware::NodeSpec node;
  if (const auto name = block.optional<std::string>("node")) {
    if (const auto card = load_card(block.any_child("node"), *name, context, load_node))
      node = card->spec;
  }
  out.service = read_service(block, node);
  out.cost = read_cost(root, context, node);
  yaml.finish();
  out.warnings = yaml.warnings();
  out.resolved = yaml.resolved();
  return out;
}

}  // namespace foretoken::scenarios::loader
