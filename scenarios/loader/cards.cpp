#include "scenarios/loader/cards.hpp"

#include <fmt/format.h>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

namespace fs = std::filesystem;
using models::hardware::DType;
using models::hardware::GpuSpec;
using models::hardware::NodeSpec;
using models::power::PowerModel;
using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::FlopsPerSecond;
using sim::core::Hertz;
using sim::core::InputError;
using sim::core::Provenance;
using sim::core::Watts;

namespace {

constexpr Limits kShare{0.0, 1.0};
constexpr Limits kPositiveShare{kPositive.min, 1.0};

PowerModel read_power(const YamlNode& card) {
  const YamlNode node = card.required_child("power");
  PowerModel power;
  power.tensor = node.required<Ratio>("tensor").value;
  power.memory = node.required<Ratio>("memory").value;
  power.link = node.required<Ratio>("link").value;
  power.busy = node.required<Ratio>("busy", kShare).value;
  power.ceiling = node.value_or<Ratio>("ceiling", Ratio{1.0}, kPositiveShare).value;
  power.provenance = node.required_choice<Provenance>(
      "basis", {{"calibrated", Provenance::calibrated}, {"assumed", Provenance::assumed}});
  power.relative_error = node.required<Ratio>("error").value;
  return power;
}

std::map<DType, FlopsPerSecond> read_peaks(const YamlNode& card) {
  std::map<DType, FlopsPerSecond> peaks;
  for (const auto& [key, node] : card.required_child("peak").entries()) {
    const auto dtype = models::hardware::parse_dtype(key);
    const auto rate = node.as<FlopsPerSecond>(kPositive);
    if (!dtype) {
      node.error(fmt::format(
          "'{}' is no number format; known: fp32 tf32 bf16 fp16 fp8 int8 fp4 int4", key));
    } else {
      peaks[*dtype] = rate;
    }
  }
  if (card.has("peak") && !peaks.contains(DType::bf16) && !peaks.contains(DType::fp16)) {
    card.error_at_key("peak", "peak: neither bf16 nor fp16 is given; one of them is needed");
  }
  return peaks;
}

GpuCard read_gpu(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "gpu");
  GpuCard card;
  card.summary = head.summary;
  GpuSpec& gpu = card.spec;
  gpu.name = head.name;
  gpu.architecture = root.required<std::string>("architecture");
  gpu.tables = root.optional<std::string>("tables").value_or("");
  gpu.sm_count = root.required<int>("sm_count", at_least(1));
  card.boost_clock = root.required<Hertz>("boost_clock", kPositive);
  card.spec.boost_clock = card.boost_clock;
  gpu.memory = root.required<Bytes>("memory", kPositive);
  gpu.memory_bandwidth = root.required<BytesPerSecond>("memory_bandwidth", kPositive);
  gpu.l2_cache = root.required<Bytes>("l2_cache");
  gpu.peak = read_peaks(root);
  gpu.sustained_compute =
      root.value_or<Ratio>("sustained_compute", Ratio{1.0}, kPositiveShare).value;
  gpu.scale_up_bandwidth = root.required<BytesPerSecond>("scale_up_bandwidth");
  gpu.pcie_bandwidth = root.required<BytesPerSecond>("pcie_bandwidth", kPositive);
  gpu.tdp = root.required<Watts>("tdp", kPositive);
  gpu.idle = root.required<Watts>("idle");
  if (root.has("tdp") && root.has("idle") && gpu.idle >= gpu.tdp) {
    root.any_child("idle").error("idle power must be below tdp");
  }
  card.power = read_power(root);
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
}

NodeCard read_node(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "node");
  NodeCard card;
  card.summary = head.summary;
  NodeSpec& node = card.spec;
  node.name = head.name;
  node.gpus = root.required<int>("gpus", {1.0, 1024.0});
  node.scale_up = root.required_choice<std::string>("scale_up", {{"nvswitch", "nvswitch"},
                                                                 {"nvlink-pairs", "nvlink-pairs"},
                                                                 {"mesh", "mesh"},
                                                                 {"pcie", "pcie"},
                                                                 {"none", "none"}});
  node.scale_up_latency_s = root.required<Seconds>("scale_up_latency").value;
  if (root.has("gpus") && node.gpus > 1 && node.scale_up == "none") {
    root.any_child("scale_up")
        .error(fmt::format("{} GPUs need a link between them; 'none' is for one GPU", node.gpus));
  }
  node.nics = root.required<int>("nics", {0.0, 1024.0});
  node.nic_bandwidth = root.required<BytesPerSecond>("nic_bandwidth", kPositive);
  node.nic_latency_s = root.required<Seconds>("nic_latency").value;
  read_node_power(root, node);
  node.sources =
      read_sources(root, {"gpus", "scale_up", "scale_up_latency", "nics", "nic_bandwidth",
                          "nic_latency", "host_idle", "host_load", "psu_efficiency"});
  return card;
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
  const auto gpu_name = file.root().required<std::string>("gpu");
  if (!gpu_name.empty()) {
    try {
      Loaded<GpuCard> gpu = load_gpu(gpu_name, catalogue, path.parent_path());
      loaded.card.spec.gpu = gpu.card.spec;
      loaded.card.power = gpu.card.power;
      loaded.files.insert(loaded.files.end(), gpu.files.begin(), gpu.files.end());
      file.absorb(gpu.warnings);
    } catch (const InputError& error) {
      if (error.diagnostics().size() == 1 && error.diagnostics()[0].file.empty()) {
        file.root().any_child("gpu").error(error.diagnostics()[0].message);
      } else {
        file.absorb(error.diagnostics());
      }
    }
  }
  file.finish();
  loaded.warnings = file.warnings();
  return loaded;
}

std::vector<CardEntry> list_cards(const std::string& kind, const Catalogue& catalogue) {
  const std::string folder = kind == "gpu" || kind == "node" ? "hardware"
                             : kind == "engine"              ? "engines"
                             : kind == "training-software"   ? "software"
                                                             : "prices";
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
