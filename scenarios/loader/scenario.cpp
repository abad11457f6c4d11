#include "scenarios/loader/scenario.hpp"

#include <fmt/format.h>

#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

constexpr int kFormatVersion = 1;

void check_version(const YamlNode& root) {
  if (!root.has("foretoken")) {
    return root.error("missing key 'foretoken'; begin the file with foretoken: 1");
  }
  const int version = root.required<int>("foretoken");
  if (version != kFormatVersion && version != 0) {
    root.any_child("foretoken")
        .error(fmt::format("format version {}; this program reads version {}", version,
                           kFormatVersion));
  }
}

}  // namespace

Scenario load_scenario(const std::filesystem::path& file, const Catalogue& catalogue,
                       const std::vector<std::string>& overrides) {
  YamlFile yaml = YamlFile::open(file);
  for (const std::string& assignment : overrides) yaml.override_value(assignment);
  const YamlNode root = yaml.root();
  Scenario scenario;
  scenario.file = file;
  scenario.input_hashes[file.string()] = hash_text(yaml.text());
  const LoadContext context{yaml, catalogue, file.parent_path(), scenario.input_hashes};

  check_version(root);
  scenario.name = root.value_or<std::string>("name", file.stem().string());
  auto& serving = scenario.serving;
  serving.deployment = read_deployment(root, context);
  serving.workload = read_workload(root, context);
  scenario.slo = read_slo(root);
  scenario.cost = read_cost(root, context, serving.deployment.node);
  serving.seed = root.value_or<std::uint64_t>("seed", 1);
  check_deployment(root, serving.deployment);
  check_workload(root, serving.workload, serving.deployment.model);
  yaml.finish();
  scenario.warnings = yaml.warnings();
  scenario.resolved = yaml.resolved();
  return scenario;
}

}  // namespace foretoken::scenarios::loader
