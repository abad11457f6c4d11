#include "scenarios/loader/scenario.hpp"

#include <fmt/format.h>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/scenario_parts.hpp"
#include "scenarios/loader/scenario_text.hpp"

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

// What other tools call these keys.
void suggest_keys(YamlFile& file) {
  for (const auto& [theirs, ours] : std::initializer_list<std::pair<const char*, const char*>>{
           {"tp", "tensor"},
           {"tensor_parallel", "tensor"},
           {"tensor_parallel_size", "tensor"},
           {"pp", "pipeline"},
           {"pipeline_parallel_size", "pipeline"},
           {"dp", "data_attention"},
           {"attention_dp", "data_attention"},
           {"ep", "expert"},
           {"gpu", "node"},
           {"gpus", "nodes"},
           {"system", "node"},
           {"isl", "input"},
           {"osl", "output"},
           {"qps", "poisson"},
           {"rate", "poisson"},
           {"request_rate", "poisson"},
           {"concurrency", "closed_loop"},
           {"num_requests", "requests"},
           {"dtype", "weights"},
           {"quantization", "weights"},
           {"kv", "kv_cache"},
           {"kv_cache_dtype", "kv_cache"},
           {"max_num_seqs", "max_sequences"},
           {"max_num_batched_tokens", "max_tokens"},
           {"chunked_prefill_size", "max_tokens"},
           {"backend", "engine"},
           {"cluster", "hardware"},
           {"serving", "deployment"},
           {"slos", "slo"},
           {"version", "foretoken"}}) {
    file.suggest(theirs, ours);
  }
}

// A calibration file beside the product's. A GPU without tables is then looked up by its name.
std::filesystem::path read_own_calibration(const YamlNode& root, const LoadContext& context,
                                           models::hardware::GpuSpec& gpu) {
  const auto name = root.optional<std::string>("calibration");
  if (!name || name->empty()) return {};
  const YamlNode node = root.any_child("calibration");
  const std::filesystem::path file = context.base_of(node) / *name;
  std::error_code status;
  if (!std::filesystem::is_regular_file(file, status)) {
    node.error(fmt::format("no such file: {}; write one with foretoken calibrate FILE... --out {}",
                           file.lexically_normal().string(), *name));
    return {};
  }
  context.hash(file);
  if (gpu.tables.empty()) gpu.tables = gpu.name;
  return file;
}

Published read_published(const YamlNode& root) {
  Published published;
  if (!root.has("published")) return published;
  const YamlNode node = root.required_child("published");
  published.source = node.required<std::string>("source");
  published.date = read_date(node, "date");
  for (const YamlNode& item : node.any_child("figures").items())
    published.figures.push_back({item.required<std::string>("figure"),
                                 item.required<std::string>("quantity"),
                                 item.required<Ratio>("value", kAnyNumber).value});
  if (published.figures.empty()) node.error("no figures; name at least one of summary.json");
  return published;
}

}  // namespace

namespace {

// all, none, or one_in: N.
std::int64_t read_records(const YamlNode& root) {
  const YamlNode records = root.any_child("records");
  if (!records.is_map())
    return root.optional_choice<std::int64_t>("records", {{"all", 1}, {"none", 0}}).value_or(1);
  return records.required<std::int64_t>("one_in", {1.0, 1e9});
}

Scenario read_scenario(YamlFile yaml, const std::filesystem::path& file, const Catalogue& catalogue,
                       const std::vector<std::string>& overrides) {
  for (const std::string& assignment : overrides) yaml.override_value(assignment);
  const YamlNode root = yaml.root();
  Scenario scenario;
  scenario.file = file;
  scenario.overrides = overrides;
  scenario.input_hashes[file.string()] = hash_text(yaml.text());
  const LoadContext context{yaml, catalogue, file.parent_path(), scenario.input_hashes};

  suggest_keys(yaml);
  check_version(root);
  scenario.name = root.value_or<std::string>("name", file.stem().string());
  auto& serving = scenario.serving;
  serving.deployment = read_deployment(root, context);
  scenario.calibration = read_own_calibration(root, context, serving.deployment.node.gpu);
  read_pools(root, context, serving);
  read_cluster(root, serving.deployment.node, serving.cluster);
  serving.workload = read_workload(root, context);
  scenario.slo = read_slo(root);
  scenario.published = read_published(root);
  scenario.cost = read_cost(root, context, serving.deployment.node);
  serving.seed = root.value_or<std::uint64_t>("seed", 1);
  serving.record_one_in = read_records(root);
  yaml.check_keys();  // a slip in a key is the cause, what it leads to is not worth a message
  check_deployment(root, context, serving.deployment);
  check_pools(root, serving);
  check_network(root, serving);
  check_workload(root, serving.workload, serving.deployment.model);
  yaml.finish();
  scenario.warnings = yaml.warnings();
  scenario.resolved = yaml.resolved();
  return scenario;
}

}  // namespace

Scenario load_scenario(const std::filesystem::path& file, const Catalogue& catalogue,
                       const std::vector<std::string>& overrides) {
  return read_scenario(YamlFile::open(file), file, catalogue, overrides);
}

Scenario load_scenario_text(const std::string& text, const std::filesystem::path& file,
                            const Catalogue& catalogue) {
  return read_scenario(YamlFile::parse(text, file.string()), file, catalogue, {});
}

}  // namespace foretoken::scenarios::loader
