#include "scenarios/loader/cards.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

namespace fs = std::filesystem;
using models::hardware::DType;
using models::hardware::GpuSpec;
using models::hardware::NodeSpec;
using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::Hertz;
using sim::core::InputError;
using sim::core::Watts;

namespace {

constexpr Limits kPositiveShare{kPositive.min, 1.0};

GpuCard read_gpu(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "gpu");
  GpuCard card;
  card.summary = head.summary;
  GpuSpec& gpu = card.spec;
  gpu.name = head.name;
  gpu.architecture = root.required<std::string>("architecture");
  gpu.tables = root.optional<std::string>("tables").value_or("");
  gpu.tables_in_engine = root.optional<bool>("tables_in_engine").value_or(false);
  gpu.sm_count = root.required<int>("sm_count", at_least(1));
  card.boost_clock = root.required<Hertz>("boost_clock", kPositive);
  card.spec.boost_clock = card.boost_clock;
  gpu.memory = root.required<Bytes>("memory", kPositive);
  gpu.memory_bandwidth = root.required<BytesPerSecond>("memory_bandwidth", kPositive);
  gpu.l2_cache = root.required<Bytes>("l2_cache");
  gpu.peak = read_peaks(root, {DType::bf16, DType::fp16});
  gpu.sustained_compute =
      root.value_or<Ratio>("sustained_compute", Ratio{1.0}, kPositiveShare).value;
  gpu.scale_up_bandwidth = root.required<BytesPerSecond>("scale_up_bandwidth");
  gpu.pcie_bandwidth = root.required<BytesPerSecond>("pcie_bandwidth", kPositive);
  read_watts(root, gpu.tdp, gpu.idle);
  card.power = read_power_model(root);
  gpu.sources = read_sources(
      root, {"sm_count", "boost_clock", "memory", "memory_bandwidth", "l2_cache", "peak",
             "sustained_compute", "scale_up_bandwidth", "pcie_bandwidth", "tdp", "idle", "power"});
  return card;
}

void read_node_power(const YamlNode& root, NodeSpec& node) {
  node.host_idle = root.required<Watts>("host_idle");
  node.host_load = root.required<Watts>("host_load");
  if (root.has("host_idle") && root.has("host_load") && node.host_load < node.host_idle) {
    root.any_child("host_load").error("host_load is the power under load; it is below host_idle");
  }
  node.psu_efficiency = root.required<Ratio>("psu_efficiency", kPositiveShare).value;
  node.rack_share = root.optional<Watts>("rack_share").value_or(Watts(0));
  double idle = 0.0, load = 0.0;
  for (const auto& [name, part] : root.child("host_parts").entries()) {
    auto& watts = node.host_parts[name];
    watts.idle = part.required<Watts>("idle");
    watts.load = part.required<Watts>("load");
    idle += watts.idle.value();
    load += watts.load.value();
  }
  const auto differ = [](double a, double b) { return std::abs(a - b) > 0.5; };
  if (!node.host_parts.empty() &&
      (differ(idle, node.host_idle.value()) || differ(load, node.host_load.value()))) {
    root.any_child("host_parts")
        .error(fmt::format("the parts add up to {:g} W idle and {:g} W loaded, host_idle and "
                           "host_load say {:g} and {:g} W",
                           idle, load, node.host_idle.value(), node.host_load.value()));
  }
}

// GPUs, or sockets where the card names no GPU; and the host.
void read_processors(const YamlNode& root, NodeSpec& node) {
  const bool has_gpu = root.has("gpu") || root.has("gpus");
  if (!has_gpu && !root.has("cpu")) {
    root.error("missing key 'gpu' (or 'cpu', for a node that computes on its CPUs)");
  }
  if (has_gpu) node.gpus = root.required<int>("gpus", {1.0, 1024.0});
  if (root.has("cpu") || root.has("cpus")) {
    node.sockets = root.required<int>("cpus", {1.0, 64.0});
    if (!has_gpu) node.gpus = node.sockets;
  }
}

NodeCard read_node(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "node");
  NodeCard card;
  card.summary = head.summary;
  NodeSpec& node = card.spec;
  node.name = head.name;
  read_processors(root, node);
  node.scale_up = root.required_choice<std::string>("scale_up", {{"nvswitch", "nvswitch"},
                                                                 {"nvlink-pairs", "nvlink-pairs"},
                                                                 {"mesh", "mesh"},
                                                                 {"pcie", "pcie"},
                                                                 {"sockets", "sockets"},
                                                                 {"none", "none"}});
  node.scale_up_latency_s = root.required<Seconds>("scale_up_latency").value;
  if (node.gpus > 1 && node.scale_up == "none") {
    root.any_child("scale_up")
        .error(fmt::format("{} {}s need a link between them; 'none' is for one {}", node.gpus,
                           root.has("gpu") ? "GPU" : "CPU", root.has("gpu") ? "GPU" : "CPU"));
  }
  node.nics = root.required<int>("nics", {0.0, 1024.0});
  node.nic_bandwidth = root.required<BytesPerSecond>("nic_bandwidth", kPositive);
  node.nic_latency_s = root.required<Seconds>("nic_latency").value;
  read_node_power(root, node);
  node.sources = read_sources(
      root, {"gpus", "cpus", "scale_up", "scale_up_latency", "nics", "nic_bandwidth", "nic_latency",
             "host_idle", "host_load", "psu_efficiency", "host_parts", "rack_share"});
  return card;
}

// The card that `key` of a node card names. Its problems keep their own place; that there is no
// such card is an error at the key.
template <class Card>
std::optional<Card> load_part(YamlFile& file, const char* key, Loaded<NodeCard>& node,
                              Loaded<Card> (*load)(const std::string&, const Catalogue&,
                                                   const fs::path&),
                              const Catalogue& catalogue, const fs::path& base) {
  const auto name = file.root().required<std::string>(key);
  if (name.empty()) return std::nullopt;
  try {
    Loaded<Card> part = load(name, catalogue, base);
    node.files.insert(node.files.end(), part.files.begin(), part.files.end());
    file.absorb(part.warnings);
    return std::move(part.card);
  } catch (const InputError& error) {
    if (error.diagnostics().size() == 1 && error.diagnostics()[0].file.empty()) {
      file.root().any_child(key).error(error.diagnostics()[0].message);
    } else {
      file.absorb(error.diagnostics());
    }
    return std::nullopt;
  }
}

}  // namespace

Loaded<GpuCard> load_gpu(const std::string& name, const Catalogue& catalogue,
                         const fs::path& base) {
  const fs::path path = find_card(name, catalogue, "hardware", base);
  YamlFile file = YamlFile::open(path);
  Loaded<GpuCard> loaded{read_gpu(file, path), {path}, {}};
  file.finish();
  loaded.warnings = file.warnings();
  return loaded;
}

Loaded<NodeCard> load_node(const std::string& name, const Catalogue& catalogue,
                           const fs::path& base) {
  const fs::path path = find_card(name, catalogue, "hardware", base);
  YamlFile file = YamlFile::open(path);
  Loaded<NodeCard> loaded{read_node(file, path), {path}, {}};
  const bool has_gpu = file.root().has("gpu") || file.root().has("gpus");
  const fs::path folder = path.parent_path();
  if (has_gpu) {
    if (const auto gpu = load_part(file, "gpu", loaded, load_gpu, catalogue, folder)) {
      loaded.card.spec.gpu = gpu->spec;
      loaded.card.power = gpu->power;
    }
  }
  if (loaded.card.spec.sockets > 0) {
    if (const auto cpu = load_part(file, "cpu", loaded, load_cpu, catalogue, folder)) {
      loaded.card.spec.cpu = cpu->spec;
      if (!has_gpu) {
        loaded.card.spec.gpu = models::hardware::device_of(cpu->spec);
        loaded.card.power = cpu->power;
      }
    }
  }
  file.finish();
  loaded.warnings = file.warnings();
  return loaded;
}

std::vector<CardEntry> list_cards(const std::string& kind, const Catalogue& catalogue) {
  const std::string folder = kind == "engine"              ? "engines"
                             : kind == "prices"            ? "prices"
                             : kind == "training-software" ? "software"
                                                           : "hardware";
  std::vector<CardEntry> entries;
  for (const fs::path& path : card_files(catalogue, folder)) {
    const YamlFile file = YamlFile::open(path);
    const YamlNode root = file.root();
    if (root.optional<std::string>("card").value_or("") != kind) continue;
    entries.push_back({root.optional<std::string>("name").value_or(path.stem().string()),
                       root.optional<std::string>("summary").value_or(""), path});
  }
  return entries;
}

}  // namespace foretoken::scenarios::loader
