#pragma once
// Parts of load_scenario. Each reads its block of the file, notes problems there, and leaves the
// spec in a harmless state if it found any.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

// Whether a name means a file (has a / or an ending such as .json) rather than the catalogue.
bool is_path(const std::string& name);
std::string lower_case(std::string text);

// What every part needs to know.
struct LoadContext {
  YamlFile& file;
  const Catalogue& catalogue;
  std::filesystem::path folder;  // relative paths in the scenario start here
  std::map<std::string, std::string>& input_hashes;

  // The file that `node` names: a path (has a / or an ending such as .json) relative to the
  // scenario, or a catalogue name. A name that is not there is an error at the node.
  [[nodiscard]] std::optional<std::filesystem::path> locate(const YamlNode& node,
                                                            const std::string& kind) const;
  // Where a relative path given at `node` starts: here for --set, else beside the scenario.
  [[nodiscard]] std::filesystem::path base_of(const YamlNode& node) const;
  void hash(const std::filesystem::path& input) const;
};

// Prices that a scenario does not state come from this card.
inline constexpr const char* kDefaultPriceCard = "list";

// The card called `name`. Problems inside the card keep their own place; that there is no such
// card is an error at `node`, which names it.
template <class T>
std::optional<T> load_card(const YamlNode& node, const std::string& name,
                           const LoadContext& context,
                           Loaded<T> (*load)(const std::string&, const Catalogue&,
                                             const std::filesystem::path&)) {
  try {
    Loaded<T> loaded = load(name, context.catalogue, context.base_of(node));
    for (const std::filesystem::path& file : loaded.files) context.hash(file);
    for (sim::core::Diagnostic& warning : loaded.warnings) {
      warning.warning = true;
      if (warning.file.empty()) {
        node.warning(warning.message);
      } else {
        context.file.absorb({warning});
      }
    }
    return std::move(loaded.card);
  } catch (const sim::core::InputError& error) {
    for (const sim::core::Diagnostic& problem : error.diagnostics()) {
      if (problem.file.empty() || problem.line == 0) {
        node.error(problem.message);
      } else {
        context.file.absorb({problem});
      }
    }
    return std::nullopt;
  }
}

models::serving::DeploymentSpec read_deployment(const YamlNode& root, const LoadContext& context);
// deployment.batching, on top of what the engine's card says.
models::serving::BatchingSpec read_batching(const YamlNode& deployment, const LoadContext& context,
                                            const models::serving::DeploymentSpec& spec);
// Opens a batching policy of the user's own; throws InputError if it is not one.
std::shared_ptr<const models::serving::PolicyPlugin> load_policy(
    const std::filesystem::path& library);
// One of deployment.prefill and deployment.decode; what it does not say is as in `common`.
models::serving::DeploymentSpec read_pool(const YamlNode& node, const LoadContext& context,
                                          const models::serving::DeploymentSpec& common);
// Who is in service when: schedule, autoscale, age of the router's news.
void read_service(const YamlNode& node, models::serving::DeploymentSpec& pool);
// The pools of a deployment that does prompts and decodes apart, if it does.
void read_pools(const YamlNode& root, const LoadContext& context,
                models::serving::ServingSpec& serving);
void read_cluster(const YamlNode& root, const models::hardware::NodeSpec& nodes,
                  models::serving::ClusterSpec& cluster);
void check_network(const YamlNode& root, const models::serving::ServingSpec& serving);
void check_pools(const YamlNode& root, const models::serving::ServingSpec& serving);
// Rules between the blocks: layout against model, GPUs against nodes.
void check_deployment(const YamlNode& root, const LoadContext& context,
                      const models::serving::DeploymentSpec& deployment);

models::serving::WorkloadSpec read_workload(const YamlNode& root, const LoadContext& context);
// Whether the lengths fit the model's context and the warm-up leaves anything to count.
void check_workload(const YamlNode& root, const models::serving::WorkloadSpec& workload,
                    const models::llm::ModelSpec& model);

std::vector<SloTerm> read_slo(const YamlNode& root);

models::cost::CostSpec read_cost(const YamlNode& root, const LoadContext& context,
                                 const models::hardware::NodeSpec& node);

// What of `cost:` only a ledger needs: parts of the purchase, staff, tariffs, other ways.
std::shared_ptr<const models::cost::LedgerSpec> read_ledger(const YamlNode& cost,
                                                            const models::hardware::NodeSpec& node,
                                                            const PriceCard& card);

// Names with a sentence each, in the order of the schema.
struct Named {
  std::string_view name, summary;
};
const std::vector<Named>& batching_policies();
const std::vector<Named>& routers();

}  // namespace foretoken::scenarios::loader
