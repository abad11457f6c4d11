#include "scenarios/loader/scenario_training.hpp"

#include <fmt/format.h>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/content_hash.hpp"
#include "scenarios/loader/model_config.hpp"
#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
namespace training = models::training;
using sim::core::BytesPerSecond;
using training::TrainingSpec;

constexpr int kMaxWays = 1'000'000;

void read_model(const YamlNode& root, const LoadContext& context, TrainingSpec& spec) {
  (void)root.required<std::string>("model");
  const YamlNode node = root.any_child("model");
  const auto file = context.locate(node, "models");
  if (!file) return;
  try {
    spec.model = read_model_config(*file);
    if (node.text().find_first_of("/.") == std::string::npos || spec.model.name.empty())
      spec.model.name = node.text();
    context.hash(*file);
  } catch (const sim::core::InputError& error) {
    context.file.absorb(error.diagnostics());
  }
}

void read_hardware(const YamlNode& root, const LoadContext& context, TrainingScenario& out) {
  const YamlNode hardware = root.required_child("hardware");
  const auto name = hardware.required<std::string>("node");
  out.nodes = hardware.value_or<int>("nodes", 1, {1, kMaxWays});
  if (!name.empty())
    if (auto card = load_card(hardware.any_child("node"), name, context, load_node)) {
      out.training.node = card->spec;
      out.power = card->power;
    }
  if (const auto rate = hardware.optional<BytesPerSecond>("nic_bandwidth", kPositive))
    out.training.node.nic_bandwidth = *rate;
  if (const auto memory = hardware.optional<sim::core::Bytes>("gpu_memory", kPositive))
    out.training.node.gpu.memory = *memory;
}

void read_software(const YamlNode& root, const LoadContext& context, TrainingSpec& spec) {
  const auto name = root.value_or<std::string>("software", "megatron-bridge");
  const YamlNode place = root.has("software") ? root.any_child("software") : root;
  if (auto card = load_card(place, name, context, load_training_software))
    spec.software = card->software;
  // Figures of the software that a scenario may state.
  const YamlNode block = root.child("training");
  if (block.has("overlap")) {
    auto& s = spec.software;
    s.overlap_tensor = s.overlap_gradients = s.overlap_parameters = s.overlap_pipeline =
        s.overlap_experts = false;
    for (const YamlNode& item : block.any_child("overlap").items()) {
      const auto word = item.as<std::string>();
      if (word == "tensor")
        s.overlap_tensor = true;
      else if (word == "gradients")
        s.overlap_gradients = true;
      else if (word == "parameters")
        s.overlap_parameters = true;
      else if (word == "pipeline")
        s.overlap_pipeline = true;
      else if (word == "experts")
        s.overlap_experts = true;
      else
        item.error(
            fmt::format("'{}' cannot be overlapped; it is tensor, gradients, parameters, "
                        "pipeline or experts",
                        word));
    }
  }
}

void read_layout(const YamlNode& block, TrainingScenario& out) {
  TrainingSpec& spec = out.training;
  auto& l = spec.layout;
  const YamlNode node = block.child("parallel");
  out.layout_given = block.has("parallel");
  l.tensor = node.value_or<int>("tensor", 1, {1, kMaxWays});
  l.pipeline = node.value_or<int>("pipeline", 1, {1, kMaxWays});
  l.context = node.value_or<int>("context", 1, {1, kMaxWays});
  l.virtual_stages = node.value_or<int>("virtual_stages", 1, {1, kMaxWays});
  l.expert = node.value_or<int>("expert", 1, {1, kMaxWays});
  l.expert_tensor = node.value_or<int>("expert_tensor", 1, {1, kMaxWays});
  l.shard_group = node.value_or<int>("shard_group", 0, {0, kMaxWays});
  const std::int64_t share = std::int64_t{l.tensor} * l.pipeline * l.context;
  const std::int64_t all = std::int64_t{out.nodes} * spec.node.gpus;
  const int rest = share > 0 && all > 0 && all % share == 0 ? static_cast<int>(all / share) : 1;
  l.data = node.value_or<int>("data", rest, {1, kMaxWays}, "GPUs / (tensor x pipeline x context)");
  for (const YamlNode& item : node.any_child("stage_layers").items())
    l.stage_layers.push_back(item.as<int>());
  l.sharding = block
                   .optional_choice<training::Sharding>("sharding",
                                                        {{"none", training::Sharding::none},
                                                         {"zero1", training::Sharding::optimizer},
                                                         {"zero2", training::Sharding::gradients},
                                                         {"zero3", training::Sharding::parameters},
                                                         {"fsdp", training::Sharding::parameters}})
                   .value_or(training::Sharding::optimizer);
}

void read_job(const YamlNode& block, TrainingScenario& out) {
  using training::Arithmetic;
  using training::Recompute;
  using training::Schedule;
  TrainingSpec& spec = out.training;
  spec.arithmetic =
      block
          .optional_choice<Arithmetic>("arithmetic", {{"fp32", Arithmetic::fp32},
                                                      {"bf16", Arithmetic::bf16},
                                                      {"fp16", Arithmetic::fp16},
                                                      {"fp8", Arithmetic::fp8},
                                                      {"fp8_block", Arithmetic::fp8_block},
                                                      {"mxfp8", Arithmetic::mxfp8},
                                                      {"nvfp4", Arithmetic::nvfp4}})
          .value_or(Arithmetic::bf16);
  read_layout(block, out);
  const auto schedule =
      block.optional_choice<Schedule>("schedule", {{"gpipe", Schedule::gpipe},
                                                   {"1f1b", Schedule::one_f_one_b},
                                                   {"interleaved", Schedule::interleaved},
                                                   {"zb_h1", Schedule::zb_h1},
                                                   {"zb_v", Schedule::zb_v},
                                                   {"dualpipe", Schedule::dualpipe},
                                                   {"dualpipe_v", Schedule::dualpipe_v}});
  spec.schedule = schedule.value_or(spec.layout.virtual_stages > 1 ? Schedule::interleaved
                                                                   : Schedule::one_f_one_b);
  const auto recompute = block.optional_choice<Recompute>(
      "recompute",
      {{"none", Recompute::none}, {"selective", Recompute::selective}, {"full", Recompute::full}});
  spec.recompute = recompute.value_or(Recompute::none);
  out.recompute_given = recompute.has_value();
  const YamlNode batch = block.required_child("batch");
  spec.batch.global = batch.required<std::int64_t>("sequences", at_least(1));
  spec.batch.micro = batch.value_or<std::int64_t>("micro", 1, at_least(1));
  spec.batch.sequence = batch.required<std::int64_t>("sequence", at_least(1));
  spec.mtp = block.value_or<bool>("mtp", spec.model.mtp_layers > 0);
  spec.cpu_offload = block.value_or<bool>("cpu_offload", false);
  spec.release = block.optional<std::string>("release").value_or("");
}

void read_run(const YamlNode& block, const LoadContext& context, TrainingScenario& out) {
  auto& run = out.run;
  run.tokens = block.value_or<Ratio>("tokens", Ratio{0.0}).value;
  const YamlNode node = block.child("run");
  const auto name = node.value_or<std::string>("faults", "llama-3-405b");
  const YamlNode place = node.has("faults") ? node.any_child("faults") : block;
  if (auto card = load_card(place, name, context, load_faults)) run.faults = *card;
  run.detect_s = node.value_or<Seconds>("detect", Seconds{60.0}).value;
  run.restart_s = node.value_or<Seconds>("restart", Seconds{600.0}).value;
  run.spare_nodes = node.value_or<int>("spares", 0, {0, kMaxWays});
  const YamlNode checkpoint = node.child("checkpoint");
  run.checkpoint.node_bandwidth =
      checkpoint.value_or<BytesPerSecond>("node_bandwidth", BytesPerSecond(2e9), kPositive).value();
  run.checkpoint.storage_bandwidth =
      checkpoint.value_or<BytesPerSecond>("storage_bandwidth", BytesPerSecond(0.0)).value();
  run.checkpoint.asynchronous = checkpoint.value_or<bool>("asynchronous", true);
  run.checkpoint.interval_s =
      checkpoint.optional<Seconds>("interval", kPositive).value_or(Seconds{0.0}).value;
}

// GPUs of a rack that divide the job; groups inside a node follow from it.
void place_ranks(TrainingSpec& spec) {
  const int all = spec.layout.gpus(), there = spec.node.gpus;
  if (there <= 0 || all <= there || all % there == 0) return;
  int share = there;
  while (all % share != 0) --share;
  spec.node.nics = spec.node.nics * share / there;
  spec.node.gpus = share;
}

void check(const YamlNode& root, const YamlNode& block, const LoadContext& context,
           TrainingScenario& out) {
  TrainingSpec& spec = out.training;
  if (spec.model.layers == 0 || spec.node.gpus == 0) return;  // said already
  if (!out.layout_given) return;
  const YamlNode place = block.any_child("parallel");
  const auto errors = layout_errors(spec);
  for (const std::string& error : errors) place.error(error);
  if (!errors.empty()) return;
  const std::int64_t there = std::int64_t{out.nodes} * spec.node.gpus;
  const YamlNode hardware = root.child("hardware");
  if (spec.layout.gpus() > there)
    hardware.error(fmt::format(
        "data {} x tensor {} x pipeline {} x context {} = {} GPUs, but {} nodes of {} have {}",
        spec.layout.data, spec.layout.tensor, spec.layout.pipeline, spec.layout.context,
        spec.layout.gpus(), out.nodes, spec.node.gpus, there));
  else if (spec.layout.gpus() < there && context.file.ok())
    hardware.warning(
        fmt::format("{} of {} GPUs stay idle but are paid for", there - spec.layout.gpus(), there));
  const bool eight = spec.arithmetic == training::Arithmetic::fp8 ||
                     spec.arithmetic == training::Arithmetic::fp8_block ||
                     spec.arithmetic == training::Arithmetic::mxfp8;
  if (eight && !spec.node.gpu.peak.contains(models::hardware::DType::fp8))
    block.warning(
        fmt::format("{} has no FP8 arithmetic: products run in 16 bits", spec.node.gpu.name));
  place_ranks(spec);
}

}  // namespace

Loaded<training::FaultRates> load_faults(const std::string& name, const Catalogue& catalogue,
                                         const fs::path& base) {
  const fs::path path = find_card(name, catalogue, "faults", base);
  YamlFile file = YamlFile::open(path);
  const YamlNode root = file.root();
  Loaded<training::FaultRates> loaded{{}, {path}, {}};
  auto& rates = loaded.card;
  rates.name = read_head(file, path, "faults").name;
  rates.gpu = root.required<Ratio>("gpu").value;
  rates.node = root.required<Ratio>("node").value;
  rates.link = root.required<Ratio>("link").value;
  rates.software = root.required<Ratio>("software").value;
  constexpr double kHour = 3600.0;
  rates.repair_h = root.required<Seconds>("repair").value / kHour;
  read_sources(root, {"gpu", "node", "link", "software", "repair"});
  file.finish();
  return loaded;
}

bool is_training_scenario(const fs::path& file) {
  try {
    return YamlFile::open(file).root().has("training");
  } catch (const sim::core::InputError&) {
    return false;
  }
}

TrainingScenario load_training_scenario(const fs::path& file, const Catalogue& catalogue,
                                        const std::vector<std::string>& overrides) {
  YamlFile yaml = YamlFile::open(file);
  for (const std::string& assignment : overrides) yaml.override_value(assignment);
  const YamlNode root = yaml.root();
  TrainingScenario out;
  out.file = file;
  out.input_hashes[file.string()] = hash_text(yaml.text());
  const LoadContext context{yaml, catalogue, file.parent_path(), out.input_hashes};
  for (const auto& [theirs, ours] : std::initializer_list<std::pair<const char*, const char*>>{
           {"tp", "tensor"},
           {"pp", "pipeline"},
           {"dp", "data"},
           {"ep", "expert"},
           {"cp", "context"},
           {"vp", "virtual_stages"},
           {"global_batch_size", "sequences"},
           {"gbs", "sequences"},
           {"mbs", "micro"},
           {"micro_batch_size", "micro"},
           {"seq_len", "sequence"},
           {"precision", "arithmetic"},
           {"framework", "software"}})
    yaml.suggest(theirs, ours);
  constexpr int kFormatVersion = 1;
  if (root.required<int>("foretoken") > kFormatVersion)
    root.any_child("foretoken").error("this program reads version 1");
  out.name = root.value_or<std::string>("name", file.stem().string());
  read_model(root, context, out.training);
  read_hardware(root, context, out);
  read_software(root, context, out.training);
  const YamlNode block = root.required_child("training");
  read_job(block, out);
  read_run(block, context, out);
  out.cost = read_cost(root, context, out.training.node);
  out.run.seed = root.value_or<std::uint64_t>("seed", 1);
  out.training.name = out.name;
  yaml.check_keys();
  check(root, block, context, out);
  yaml.finish();
  out.warnings = yaml.warnings();
  out.resolved = yaml.resolved();
  return out;
}

}  // namespace foretoken::scenarios::loader
