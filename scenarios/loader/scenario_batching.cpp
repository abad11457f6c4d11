// deployment.batching: the policy, its parameters, and policies from shared libraries.
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/serving/policy_plugin.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::serving::BatchingPolicy;
using models::serving::BatchingSpec;
using models::serving::PolicyPlugin;
using sim::core::Bytes;
using sim::core::Duration;
using sim::core::InputError;

std::optional<BatchingPolicy> policy_of(std::string_view name) {
  for (const auto& info : models::serving::kPolicies)
    if (info.name == name) return info.policy;
  return std::nullopt;
}

// A name of the list, or the path of a library.
void read_policy(const YamlNode& batching, const LoadContext& context, BatchingSpec& spec) {
  const auto name = batching.required<std::string>("policy");
  if (name.empty()) return;
  const YamlNode node = batching.any_child("policy");
  if (const auto known = policy_of(name)) {
    spec.policy = *known;
    return;
  }
  if (name.find('/') == std::string::npos && !name.ends_with(".so")) {
    std::vector<std::string> names;
    for (const auto& info : models::serving::kPolicies) names.emplace_back(info.name);
    const auto near = did_you_mean(name, names);
    return node.error(fmt::format(
        "unknown policy '{}'; {}, or give the path of a library of your own, ./lib.so", name,
        near ? fmt::format("did you mean '{}'?", *near)
             : fmt::format("it is one of {}", fmt::join(names, ", "))));
  }
  try {
    const fs::path file = context.base_of(node) / name;
    spec.plugin = load_policy(file);
    spec.policy = BatchingPolicy::plugin;
    context.hash(file);
  } catch (const InputError& error) {
    for (const auto& problem : error.diagnostics()) node.error(problem.message);
  }
}

// Keys that only some policies have.
void read_parameters(const YamlNode& node, BatchingSpec& spec) {
  const auto of = [&](std::string_view key, std::initializer_list<BatchingPolicy> policies) {
    if (std::find(policies.begin(), policies.end(), spec.policy) != policies.end()) return true;
    if (node.has(key)) node.error_at_key(key, fmt::format("this policy has no {}", key));
    return false;
  };
  if (of("max_prompt_tokens",
         {BatchingPolicy::chunked_prefill, BatchingPolicy::prefill_first,
          BatchingPolicy::decode_first, BatchingPolicy::shortest_job_first,
          BatchingPolicy::multilevel_feedback, BatchingPolicy::earliest_deadline,
          BatchingPolicy::least_slack, BatchingPolicy::fair, BatchingPolicy::priority}))
    spec.max_prompt_tokens = node.value_or<int>("max_prompt_tokens", 0, {0, 1e8});
  if (of("timeout", {BatchingPolicy::dynamic_batching}))
    spec.timeout = node.value_or<Duration>("timeout", Duration());
  if (of("length_error", {BatchingPolicy::shortest_job_first, BatchingPolicy::least_slack}))
    spec.length_error = node.value_or<Ratio>("length_error", Ratio{0.0}, {0.0, 10.0}).value;
  if (of("quantum", {BatchingPolicy::multilevel_feedback}))
    spec.quantum_tokens = node.value_or<int>("quantum", spec.quantum_tokens, {1, 1e6});
  if (of("levels", {BatchingPolicy::multilevel_feedback}))
    spec.levels = node.value_or<int>("levels", spec.levels, {1, 30});
  if (of("prompt_weight", {BatchingPolicy::fair}))
    spec.prompt_weight =
        node.value_or<Ratio>("prompt_weight", Ratio{spec.prompt_weight}, {0.0, 1e6}).value;
  if (of("output_weight", {BatchingPolicy::fair}))
    spec.output_weight =
        node.value_or<Ratio>("output_weight", Ratio{spec.output_weight}, {0.0, 1e6}).value;
  if (of("token_time", {BatchingPolicy::least_slack}))
    spec.token_time = node.required<Duration>("token_time", kPositive);
}

}  // namespace

BatchingSpec read_batching(const YamlNode& deployment, const LoadContext& context,
                           const models::serving::DeploymentSpec& d) {
  const YamlNode node = deployment.child("batching");
  const std::string card = "card " + d.engine.name;
  BatchingSpec batching;
  if (node.has("policy")) {
    read_policy(node, context, batching);
  } else {
    batching.policy = policy_of(d.engine.default_policy).value_or(batching.policy);
    node.resolve("policy", d.engine.default_policy, card);
  }
  batching.max_tokens =
      node.value_or<int>("max_tokens", d.engine.default_max_tokens, {1, 100'000'000}, card);
  batching.max_sequences =
      node.value_or<int>("max_sequences", d.engine.default_max_sequences, {1, 1'000'000}, card);
  batching.swap_bytes = node.value_or<Bytes>("swap_space", Bytes(d.batching.swap_bytes)).value();
  batching.prefix_caching = d.batching.prefix_caching;
  if (batching.swap_bytes > 0 && d.node.gpus > 0 && d.node.gpu.pcie_bandwidth.value() <= 0)
    node.any_child("swap_space")
        .error(fmt::format("card {} gives no pcie_bandwidth to swap over", d.node.gpu.name));
  if (batching.swap_bytes > 0 && batching.plugin)
    node.error_at_key("swap_space", "a policy library has no host memory to swap to; remove this");
  read_parameters(node, batching);
  return batching;
}

std::shared_ptr<const PolicyPlugin> load_policy(const fs::path& library) {
  std::error_code code;
  const fs::path file = fs::absolute(library, code).lexically_normal();
  if (!fs::is_regular_file(file, code))
    throw InputError(fmt::format("no such policy library: {}", file.string()));
  // Stays open to the end: results may hold code of it, and closing gains nothing.
  void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const why = dlerror();
    throw InputError(fmt::format("{} cannot be loaded: {}", file.filename().string(),
                                 why != nullptr ? why : "no reason given"));
  }
  const std::shared_ptr<void> keep(handle, [](void*) {});
  const auto symbol = [&](const char* name) {
    void* const at = dlsym(handle, name);
    if (at == nullptr)
      throw InputError(
          fmt::format("{} has no symbol {}: end its source with FORETOKEN_POLICY(YourClass), see "
                      "foretoken/policy.hpp",
                      file.filename().string(), name));
    return at;
  };
  const auto version =
      reinterpret_cast<std::uint32_t (*)()>(symbol("foretoken_policy_interface"))();
  if (version != policy::kInterfaceVersion)
    throw InputError(fmt::format(
        "{} was built for version {} of the policy interface, this program has version {}: build "
        "it again with the installed foretoken/policy.hpp",
        file.filename().string(), version, policy::kInterfaceVersion));
  return std::make_shared<PolicyPlugin>(
      file.filename().string(),
      reinterpret_cast<PolicyPlugin::Create>(symbol("foretoken_policy_create")),
      reinterpret_cast<PolicyPlugin::Destroy>(symbol("foretoken_policy_destroy")), keep);
}

}  // namespace foretoken::scenarios::loader
