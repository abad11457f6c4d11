// Cards of what stands around the GPUs: CPUs with their memory, network cards, storage.
#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

namespace fs = std::filesystem;
using models::hardware::DType;
using sim::core::Bytes;
using sim::core::BytesPerSecond;
using sim::core::Hertz;
using sim::core::Watts;

namespace {

constexpr Limits kPositiveShare{kPositive.min, 1.0};

CpuCard read_cpu(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "cpu");
  CpuCard card;
  card.summary = head.summary;
  auto& cpu = card.spec;
  cpu.name = head.name;
  cpu.architecture = root.required<std::string>("architecture");
  cpu.cores = root.required<int>("cores", at_least(1));
  cpu.clock = root.required<Hertz>("clock", kPositive);
  cpu.memory = root.required<Bytes>("memory", kPositive);
  cpu.memory_bandwidth = root.required<BytesPerSecond>("memory_bandwidth", kPositive);
  cpu.cache = root.required<Bytes>("cache");
  cpu.peak = read_peaks(root, {DType::fp32});
  cpu.socket_bandwidth = root.required<BytesPerSecond>("socket_bandwidth");
  cpu.pcie_bandwidth = root.required<BytesPerSecond>("pcie_bandwidth", kPositive);
  read_watts(root, cpu.tdp, cpu.idle);
  card.power = read_power_model(root);
  cpu.sources = read_sources(root, {"cores", "clock", "memory", "memory_bandwidth", "cache", "peak",
                                    "socket_bandwidth", "pcie_bandwidth", "tdp", "idle", "power"});
  return card;
}

NicCard read_nic(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "nic");
  NicCard card;
  card.summary = head.summary;
  auto& nic = card.spec;
  nic.name = head.name;
  nic.bandwidth = root.required<BytesPerSecond>("bandwidth", kPositive);
  nic.efficiency = root.required<Ratio>("efficiency", kPositiveShare).value;
  nic.latency_s = root.required<Seconds>("latency", kPositive).value;
  nic.rdma = root.required<bool>("rdma");
  nic.power = root.required<Watts>("power");
  nic.sources = read_sources(root, {"bandwidth", "efficiency", "latency", "rdma", "power"});
  return card;
}

StorageCard read_storage(const YamlFile& file, const fs::path& path) {
  const YamlNode root = file.root();
  const CardHead head = read_head(file, path, "storage");
  StorageCard card;
  card.summary = head.summary;
  auto& storage = card.spec;
  storage.name = head.name;
  storage.capacity = root.required<Bytes>("capacity", kPositive);
  storage.read_bandwidth = root.required<BytesPerSecond>("read_bandwidth", kPositive);
  storage.write_bandwidth = root.required<BytesPerSecond>("write_bandwidth", kPositive);
  storage.latency_s = root.required<Seconds>("latency", kPositive).value;
  storage.networked = root.required<bool>("networked");
  storage.idle = root.required<Watts>("idle");
  storage.power = root.required<Watts>("power");
  if (root.has("idle") && root.has("power") && storage.power < storage.idle) {
    root.any_child("power").error("power is that under load; it is below idle");
  }
  storage.sources = read_sources(root, {"capacity", "read_bandwidth", "write_bandwidth", "latency",
                                        "networked", "idle", "power"});
  return card;
}

template <class Card>
Loaded<Card> load(const std::string& name, const Catalogue& catalogue, const fs::path& base,
                  Card (*read)(const YamlFile&, const fs::path&)) {
  const fs::path path = find_card(name, catalogue, "hardware", base);
  YamlFile file = YamlFile::open(path);
  Loaded<Card> loaded{read(file, path), {path}, {}};
  file.finish();
  loaded.warnings = file.warnings();
  return loaded;
}

}  // namespace

Loaded<CpuCard> load_cpu(const std::string& name, const Catalogue& catalogue,
                         const fs::path& base) {
  return load<CpuCard>(name, catalogue, base, read_cpu);
}

Loaded<NicCard> load_nic(const std::string& name, const Catalogue& catalogue,
                         const fs::path& base) {
  return load<NicCard>(name, catalogue, base, read_nic);
}

Loaded<StorageCard> load_storage(const std::string& name, const Catalogue& catalogue,
                                 const fs::path& base) {
  return load<StorageCard>(name, catalogue, base, read_storage);
}

}  // namespace foretoken::scenarios::loader
