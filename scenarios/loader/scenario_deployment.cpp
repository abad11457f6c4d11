#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/engine_args.hpp"
#include "scenarios/loader/model_config.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::hardware::DType;
using models::hardware::NodeSpec;
using models::hardware::Processor;
using models::llm::Layout;
using models::llm::ModelSpec;
using models::llm::WeightFormat;
using models::serving::DeploymentSpec;
using models::serving::EngineSpec;
using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::InputError;

constexpr int kMaxGpus = 1'000'000;
constexpr int kMaxWays = 1024;  // of one kind of parallelism, so that their product fits an int

ModelSpec read_model(const YamlNode& root, const LoadContext& context) {
  (void)root.required<std::string>("model");
  const YamlNode node = root.any_child("model");
  const auto file = context.locate(node, "models");
  if (!file) return {};
  try {
    ModelSpec model = read_model_config(*file);
    const bool catalogue_name = node.text().find_first_of("/.") == std::string::npos;
    if (catalogue_name || model.name.empty()) model.name = node.text();
    context.hash(*file);
    return model;
  } catch (const InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
}

// Overrides a bandwidth of the card. Network people count bits and card makers bytes: a factor
// of 8 between the two is the slip to look for.
void override_bandwidth(const YamlNode& hardware, const std::string& key, const std::string& card,
                        BytesPerSecond& value) {
  const auto given = hardware.optional<BytesPerSecond>(key);
  const auto text = [](double v) {
    const std::string bits = fmt::format("{:g}Gb/s", v * 8e-9);
    return fmt::format("{:g}GB/s ({})", v * 1e-9, bits);
  };
  if (!given) {
    hardware.resolve(key, format_quantity(value.value(), Dimension::bytes_per_second),
                     "card " + card);
    return;
  }
  const YamlNode node = hardware.any_child(key);
  const double ratio = value.value() > 0.0 ? *given / value : 0.0;
  if (std::abs(ratio - 8.0) < 0.4) {
    node.warning(fmt::format("{} is 8 times the {} of card {}; are these bits? then write {:g}Gb/s",
                             node.text(), text(value.value()), card, given->value() * 1e-9));
  } else if (std::abs(ratio * 8.0 - 1.0) < 0.05) {
    node.warning(
        fmt::format("{} is an eighth of the {} of card {}; are these bytes? then write "
                    "{:g}GB/s",
                    node.text(), text(value.value()), card, given->value() * 8e-9));
  }
  value = *given;
}

// GPU cards lie beside node cards; people name the GPU. False and an error with the nodes that
// hold it, or are called nearly so.
bool is_node(const YamlNode& node, const LoadContext& context) {
  const std::string name = node.text();
  if (is_path(name)) return true;
  std::vector<std::string> names, holding;
  for (const CardEntry& entry : list_cards("node", context.catalogue)) {
    if (entry.name == name) return true;
    names.push_back(entry.name);
    if (name.size() >= 3 && entry.name.find(lower_case(name)) != std::string::npos) {
      holding.push_back(entry.name);
    }
  }
  const auto near = did_you_mean(name, names);
  std::string advice = fmt::format("there are: {}", fmt::join(names, ", "));
  if (near) advice = fmt::format("did you mean '{}'?", *near);
  if (!holding.empty()) advice = fmt::format("did you mean {}?", fmt::join(holding, " or "));
  node.error(fmt::format("no node '{}' in the catalogue; {}", name, advice));
  return false;
}

// Parts of the node that the scenario chooses instead of the card's.
void read_parts(const YamlNode& hardware, const LoadContext& context, NodeSpec& node) {
  if (const auto name = hardware.optional<std::string>("cpu")) {
    if (auto card = load_card(hardware.any_child("cpu"), *name, context, load_cpu)) {
      node.cpu = card->spec;
      if (node.gpu.processor == Processor::cpu) node.gpu = models::hardware::device_of(card->spec);
    }
    if (node.sockets == 0) node.sockets = 1;
  }
  if (hardware.has("cpus") && node.sockets == 0) {
    hardware.any_child("cpus").error("cpus counts sockets, but no CPU is named; add cpu: NAME");
  }
  const int sockets = hardware.optional<int>("cpus", {1.0, 64.0}).value_or(node.sockets);
  if (node.gpu.processor == Processor::cpu) node.gpus = sockets;
  node.sockets = sockets;
  if (const auto name = hardware.optional<std::string>("nic")) {
    if (auto card = load_card(hardware.any_child("nic"), *name, context, load_nic)) {
      node.nic_bandwidth = card->spec.bandwidth;
      node.nic_efficiency = card->spec.efficiency;
      node.nic_latency_s = card->spec.latency_s;
      if (node.nics == 0) node.nics = 1;
    }
  }
  if (const auto name = hardware.optional<std::string>("storage")) {
    if (auto card = load_card(hardware.any_child("storage"), *name, context, load_storage)) {
      node.storage = card->spec;
    }
  }
}

void read_hardware(const YamlNode& root, const LoadContext& context, DeploymentSpec& deployment) {
  const YamlNode hardware = root.required_child("hardware");
  const auto name = hardware.required<std::string>("node");
  deployment.nodes = hardware.value_or<int>("nodes", 1, {1, kMaxGpus});
  if (!name.empty() && is_node(hardware.any_child("node"), context)) {
    if (auto card = load_card(hardware.any_child("node"), name, context, load_node)) {
      deployment.node = card->spec;
      deployment.power = card->power;
    }
  }
  auto& node = deployment.node;
  auto& gpu = node.gpu;
  read_parts(hardware, context, node);
  gpu.memory = hardware.value_or<Bytes>("gpu_memory", gpu.memory, kPositive, "card " + gpu.name);
  override_bandwidth(hardware, "memory_bandwidth", gpu.name, gpu.memory_bandwidth);
  override_bandwidth(hardware, "scale_up_bandwidth", gpu.name, gpu.scale_up_bandwidth);
  override_bandwidth(hardware, "nic_bandwidth", node.name, node.nic_bandwidth);
  if (const auto cap = hardware.optional<sim::core::Watts>("power_limit", kPositive)) {
    if (*cap > gpu.tdp || *cap <= gpu.idle) {
      hardware.any_child("power_limit")
          .error(fmt::format("a cap of {:g} W on {}, which idles at {:g} W and never draws more "
                             "than {:g} W; give one between",
                             cap->value(), gpu.name, gpu.idle.value(), gpu.tdp.value()));
    }
    gpu.power_limit = *cap;
  }
  const YamlNode power = root.child("power");
  const std::string origin = "card " + gpu.name;
  const auto share = [&](std::string_view key, double& value) {
    value = power.value_or<Ratio>(key, Ratio{value}, {0.0, 2.0}, origin).value;
    if (power.has(key)) deployment.power.provenance = sim::core::Provenance::user;
  };
  share("busy", deployment.power.busy);
  share("tensor", deployment.power.tensor);
  share("memory", deployment.power.memory);
  share("link", deployment.power.link);
}

// `inherit`: what is not said stays as it is.
void read_precision(const YamlNode& node, DeploymentSpec& deployment, bool inherit) {
  const std::string model = "card " + deployment.model.name;
  auto& precision = deployment.precision;
  if (!inherit) precision.weights = deployment.model.checkpoint;
  const auto given =
      node.optional_choice<WeightFormat>("weights", {{"bf16", WeightFormat::bf16},
                                                     {"fp16", WeightFormat::fp16},
                                                     {"fp8", WeightFormat::fp8},
                                                     {"fp8_block", WeightFormat::fp8_block},
                                                     {"int8_wo", WeightFormat::int8_wo},
                                                     {"int4_wo", WeightFormat::int4_wo},
                                                     {"nvfp4", WeightFormat::nvfp4},
                                                     {"mxfp4", WeightFormat::mxfp4}});
  // DeepSeek's FP8 checkpoints scale in blocks; `fp8` means the checkpoint as published.
  const bool published =
      given == WeightFormat::fp8 && deployment.model.checkpoint == WeightFormat::fp8_block;
  if (published) precision.weights = deployment.model.checkpoint;
  if (given && !published) precision.weights = *given;
  if (!given && !inherit) node.resolve("weights", std::string(to_string(precision.weights)), model);
  const auto kv = node.optional_choice<DType>(
      "kv_cache", {{"bf16", DType::bf16}, {"fp16", DType::fp16}, {"fp8", DType::fp8}});
  if (kv) precision.kv = *kv;
  if (!kv && !inherit) {
    precision.kv = DType::bf16;
    node.resolve("kv_cache", "bf16", "default");
  }
}

Layout read_layout(const YamlNode& deployment, int gpus_per_node) {
  const YamlNode node = deployment.child("parallel");
  Layout layout;
  layout.tensor = node.value_or<int>("tensor", 1, {1, kMaxWays});
  layout.pipeline = node.value_or<int>("pipeline", 1, {1, kMaxWays});
  layout.data_attention = node.value_or<int>("data_attention", 1, {1, kMaxWays});
  layout.context = node.value_or<int>("context", 1, {1, kMaxWays});
  layout.expert = node.value_or<int>("expert", 1, {1, kMaxGpus});
  layout.redundant_experts = node.value_or<int>("redundant_experts", 0, {0, kMaxWays});
  layout.all_to_all = node.value_or<bool>("all_to_all", false);
  layout.uneven_stages = node.value_or<bool>("uneven_stages", false);
  layout.gpus_per_node = gpus_per_node;
  const auto place =
      deployment.optional_choice<bool>("experts_on", {{"gpu", false}, {"cpu", true}});
  if (!place) deployment.resolve("experts_on", "gpu", "default");
  layout.experts_on_host = place.value_or(false);
  return layout;
}

void read_router(const YamlNode& node, DeploymentSpec& deployment, bool inherit) {
  if (!node.has("router")) {
    if (!inherit) node.resolve("router", deployment.router, "default");
    return;
  }
  const auto name = node.required<std::string>("router");
  std::vector<std::string> names;
  for (const Named& known : routers()) names.emplace_back(known.name);
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    deployment.router = name;
    return;
  }
  const auto near = did_you_mean(name, names);
  node.any_child("router").error(
      fmt::format("unknown router '{}'; {}", name,
                  near ? fmt::format("did you mean '{}'?", *near)
                       : fmt::format("it is one of {}", fmt::join(names, ", "))));
}

void read_expert_parallel(const YamlNode& deployment, DeploymentSpec& spec) {
  if (!deployment.has("expert_parallel")) return;
  const YamlNode node = deployment.required_child("expert_parallel");
  auto& ep = spec.expert_parallel;
  if (node.has("two_batch_overlap"))
    ep.overlap_prefill = ep.overlap_decode = node.required<bool>("two_batch_overlap");
  ep.communication_sms = node.value_or<int>("communication_sms", ep.communication_sms, {1, 1000});
  ep.rebalanced = node.value_or<bool>("rebalance", ep.rebalanced);
  ep.drift = node.value_or<Ratio>("drift", Ratio{ep.drift}, {0.0, 1.0}).value;
  ep.token_nodes = node.value_or<int>("token_nodes", ep.token_nodes, {0, kMaxWays});
  const bool of_pools = deployment.has("prefill") || deployment.has("decode");
  if (node.has("two_batch_overlap") && !spec.layout.all_to_all && !of_pools)
    node.any_child("two_batch_overlap")
        .error("only ranks that exchange tokens overlap: set parallel.all_to_all: true");
}

void read_speculation(const YamlNode& deployment, DeploymentSpec& spec) {
  if (!deployment.has("speculation")) return;
  const YamlNode node = deployment.required_child("speculation");
  auto& speculation = spec.speculation;
  speculation.acceptance.clear();
  for (const YamlNode& item : node.any_child("acceptance").items())
    speculation.acceptance.push_back(item.as<Ratio>({0.0, 1.0}).value);
  constexpr std::size_t kMostGuesses = 16;
  if (speculation.acceptance.empty() || speculation.acceptance.size() > kMostGuesses)
    node.error("give acceptance: [85%, 70%], the chance of each guess if those before were right");
  if (const auto cost = node.optional<Ratio>("draft_cost", {0.0, 1.0}))
    speculation.draft_cost = cost->value;
}

// How one pool is spread.
void read_layout_keys(const YamlNode& node, DeploymentSpec& deployment, bool inherit) {
  read_precision(node, deployment, inherit);
  if (!inherit || node.has("parallel")) deployment.layout = read_layout(node, deployment.node.gpus);
  deployment.replicas = node.value_or<int>("replicas", 1, {1, kMaxGpus});
}

// How it runs.
void read_run_keys(const YamlNode& node, const LoadContext& context, DeploymentSpec& deployment,
                   bool inherit) {
  read_router(node, deployment, inherit);
  const double skew = inherit ? deployment.expert_skew : deployment.engine.expert_skew;
  deployment.expert_skew = node.value_or<Ratio>("expert_skew", Ratio{skew}, {0.0, 10.0},
                                                "card " + deployment.engine.name)
                               .value;
  read_expert_parallel(node, deployment);
  read_speculation(node, deployment);
  if (!inherit || node.has("batching"))
    deployment.batching = read_batching(node, context, deployment);
  read_service(node, deployment);
}

// Nodes that `replicas` copies take; a replica does not straddle nodes that it could avoid.
std::int64_t nodes_needed(const DeploymentSpec& deployment) {
  const int each = deployment.layout.gpus();
  if (each > deployment.node.gpus) {
    const std::int64_t nodes = (each + deployment.node.gpus - 1) / deployment.node.gpus;
    return nodes * deployment.replicas;
  }
  const int per_node = deployment.node.gpus / each;
  return (deployment.replicas + per_node - 1) / per_node;
}

void check_experts_on_host(const YamlNode& root, const DeploymentSpec& deployment) {
  if (!deployment.layout.experts_on_host) return;
  const YamlNode place = root.child("deployment").any_child("experts_on");
  const NodeSpec& node = deployment.node;
  if (node.gpu.processor == Processor::cpu) {
    place.error(fmt::format("node {} has no GPU: all of the model is on its CPUs; leave it out",
                            node.name));
  } else if (node.sockets == 0) {
    place.error(
        fmt::format("the card of node {} names no CPU; add hardware.cpu and cpus, such as "
                    "cpu: xeon-6980p, cpus: 2",
                    node.name));
  }
}

}  // namespace

void LoadContext::hash(const std::filesystem::path& input) const {
  // Catalogue files by their place in the catalogue, so that hashes compare between machines.
  const auto inside =
      input.lexically_normal().lexically_relative(catalogue.root().lexically_normal());
  const bool outside = inside.empty() || *inside.begin() == "..";
  input_hashes[outside ? input.string() : inside.string()] = hash_file(input);
}

namespace {

// What a flag and a key of the scenario both may set; said twice, one would be ignored.
constexpr std::pair<const char*, const char*> kEither[] = {
    {"tp", "parallel.tensor"},
    {"pp", "parallel.pipeline"},
    {"dp", "parallel.data_attention"},
    {"dp_attention", "parallel.data_attention"},
    {"ep", "parallel.expert"},
    {"ep_all", "parallel.expert"},
    {"all_to_all", "parallel.all_to_all"},
    {"redundant_experts", "parallel.redundant_experts"},
    {"dp", "replicas"},
    {"max_tokens", "batching.max_tokens"},
    {"max_sequences", "batching.max_sequences"},
    {"policy", "batching.policy"},
    {"swap_gib", "batching.swap_space"},
    {"weights", "weights"},
    {"weights_dtype", "weights"},
    {"kv_cache", "kv_cache"},
};

EngineArgs read_engine_args(const YamlNode& node, const LoadContext& context,
                            const EngineSpec& engine) {
  EngineArgs args;
  if (!node.has("engine_args")) return args;
  const auto text = node.required<std::string>("engine_args");
  const YamlNode place = node.any_child("engine_args");
  if (text.empty() || engine.tables.engine.empty()) return args;
  const std::string name = engine.name.substr(0, engine.name.find('-'));
  try {
    args = parse_engine_args(text, name, context.catalogue);
  } catch (const InputError& error) {
    for (const auto& problem : error.diagnostics()) place.error(problem.message);
    return {};
  }
  for (const std::string& ignored : args.ignored) place.warning(ignored);
  for (const auto& [flag, path] : kEither) {
    const std::string_view key = path;
    const std::size_t dot = key.find('.');
    const YamlNode owner = dot == key.npos ? node : node.child(key.substr(0, dot));
    const std::string_view last = dot == key.npos ? key : key.substr(dot + 1);
    if (args.find(flag) != nullptr && owner.has(last))
      owner.error_at_key(last, fmt::format("{} of engine_args sets this too; give one of them",
                                           args.find(flag)->flag));
  }
  return args;
}

// Runs `apply` and notes at engine_args what it refuses.
template <class Apply>
void at_engine_args(const YamlNode& node, const Apply& apply) {
  try {
    apply();
  } catch (const InputError& error) {
    for (const auto& problem : error.diagnostics())
      node.any_child("engine_args").error(problem.message);
  }
}

// What an engine's card says of graphs, of kernels inside the engine against alone, and of errors
// on real servers was found on GPUs that exchange no expert messages: those who do are timed by
// whole blocks as they run in the engine. The model of a CPU was fitted on whole engines already.
void suit_to_processors(DeploymentSpec& deployment) {
  const bool cpu = deployment.node.gpu.processor == Processor::cpu;
  EngineSpec& engine = deployment.engine;
  const bool exchange = deployment.layout.all_to_all;
  if (!cpu && !exchange && !deployment.layout.experts_on_host) return;
  engine.served_ttft_error = engine.served_tpot_error = 0.0;
  if (cpu) engine.graph_batches.clear();
  engine.in_situ = cpu || deployment.layout.experts_on_host ? models::serving::InSitu{}
                                                            : engine.in_situ.as_timed();
}

}  // namespace

DeploymentSpec read_deployment(const YamlNode& root, const LoadContext& context) {
  DeploymentSpec deployment;
  deployment.model = read_model(root, context);
  const auto engine = root.required<std::string>("engine");
  if (!engine.empty()) {
    if (auto card = load_card(root.any_child("engine"), engine, context, load_engine)) {
      deployment.engine = *card;
    }
  }
  read_hardware(root, context, deployment);
  const YamlNode node = root.child("deployment");
  const EngineArgs args = read_engine_args(node, context, deployment.engine);
  at_engine_args(node, [&] { apply_to_engine(args, deployment); });
  read_layout_keys(node, deployment, false);
  at_engine_args(node, [&] { apply_to_layout(args, deployment); });
  deployment.batching.prefix_caching = node.value_or<bool>("prefix_caching", false);
  read_run_keys(node, context, deployment, false);
  suit_to_processors(deployment);
  return deployment;
}

DeploymentSpec read_pool(const YamlNode& node, const LoadContext& context,
                         const DeploymentSpec& common) {
  DeploymentSpec pool = common;
  if (node.has("engine")) {
    const auto engine = node.required<std::string>("engine");
    if (auto card = load_card(node.any_child("engine"), engine, context, load_engine))
      pool.engine = *card;
  }
  if (node.has("node")) {
    const auto name = node.required<std::string>("node");
    if (is_node(node.any_child("node"), context))
      if (auto card = load_card(node.any_child("node"), name, context, load_node)) {
        pool.node = card->spec;
        pool.power = card->power;
      }
  }
  read_layout_keys(node, pool, true);
  read_run_keys(node, context, pool, true);
  pool.nodes = static_cast<int>(nodes_needed(pool));
  for (const std::string& problem : layout_errors(pool.model, pool.layout)) node.error(problem);
  suit_to_processors(pool);
  return pool;
}

void check_deployment(const YamlNode& root, const LoadContext& context,
                      const DeploymentSpec& deployment) {
  if (deployment.model.layers == 0 || deployment.node.gpus == 0) return;  // said already
  const YamlNode node = root.child("deployment");
  const YamlNode place = node.any_child("parallel").exists() ? node.any_child("parallel") : node;
  const auto problems = layout_errors(deployment.model, deployment.layout);
  for (const std::string& problem : problems) place.error(problem);
  if (!problems.empty()) return;  // GPU counts of such a layout mean nothing
  check_experts_on_host(root, deployment);
  const int each = deployment.layout.gpus(), per_node = deployment.node.gpus;
  const std::int64_t used = std::int64_t{each} * deployment.replicas;
  const std::int64_t there = std::int64_t{per_node} * deployment.nodes;
  if (each > per_node && each % per_node != 0) {
    place.error(
        fmt::format("a replica of {} GPUs does not fill whole nodes of {}", each, per_node));
  }
  const std::int64_t needed = nodes_needed(deployment);
  const YamlNode hardware = root.child("hardware");
  if (needed > deployment.nodes) {
    hardware.error(fmt::format(
        "{} replica{} of {} GPUs need{} {} nodes of {} GPUs, but there are {}: set nodes: {}, or "
        "change deployment.parallel or replicas",
        deployment.replicas, deployment.replicas == 1 ? "" : "s", each,
        deployment.replicas == 1 ? "s" : "", needed, per_node, deployment.nodes, needed));
  } else if (used < there && context.file.ok()) {
    hardware.warning(fmt::format("{} of {} GPUs stay idle but are paid for ({} replica{} of {})",
                                 there - used, there, deployment.replicas,
                                 deployment.replicas == 1 ? "" : "s", each));
  }
  if (deployment.node.gpu.processor == Processor::cpu)
    return;  // widens whatever it cannot multiply
  const bool fp8 = deployment.precision.weights == WeightFormat::fp8 ||
                   deployment.precision.weights == WeightFormat::fp8_block;
  if (fp8 && !deployment.node.gpu.peak.contains(DType::fp8)) {
    (node.any_child("weights").exists() ? node.any_child("weights") : node)
        .warning(fmt::format("{} has no FP8 arithmetic: weights are stored in FP8 and computed in "
                             "16 bits",
                             deployment.node.gpu.name));
  }
}

}  // namespace foretoken::scenarios::loader
