// CPU, network and storage cards: what is shipped obeys physics, and slips are told.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::hardware::DType;
using models::hardware::Processor;
using sim::core::InputError;
using Strings = std::vector<std::string>;

const Catalogue& shipped() {
  static const Catalogue catalogue{fs::path(FORETOKEN_SOURCE_DIR)};
  return catalogue;
}

template <class T>
Strings problems(Loaded<T> (*load)(const std::string&, const Catalogue&, const fs::path&),
                 const std::string& text) {
  const TemporaryFolder folder;
  folder.write("mine.yaml", text);
  Strings result;
  try {
    (void)load("./mine.yaml", shipped(), folder.path());
  } catch (const InputError& error) {
    for (const auto& d : error.diagnostics()) {
      result.push_back(std::to_string(d.line) + ":" + std::to_string(d.column) + ": " + d.message);
    }
  }
  return result;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("every CPU card loads and its peaks are cores x clock x operations a clock") {
  const auto entries = list_cards("cpu", shipped());
  REQUIRE(entries.size() >= 3);
  for (const CardEntry& entry : entries) {
    CAPTURE(entry.name);
    const auto loaded = load_cpu(entry.name, shipped());
    const auto& cpu = loaded.card.spec;
    CHECK(loaded.warnings.empty());
    const double clocks = cpu.cores * cpu.clock.value();
    // Two 512-bit FMA units: 2 x 16 lanes x 2 = 64 FP32 FLOP a clock.
    CHECK(cpu.peak.at(DType::fp32).value() == Approx(64 * clocks).epsilon(0.01));
    // AMX: 16 x 16 x 32 products of 16 bits in 16 clocks = 1,024 FLOP a clock; 8 bits twice that.
    if (cpu.peak.contains(DType::bf16)) {
      CHECK(cpu.peak.at(DType::bf16).value() == Approx(1024 * clocks).epsilon(0.01));
      CHECK(cpu.peak.at(DType::int8).value() == Approx(2048 * clocks).epsilon(0.01));
    } else {
      // VNNI: 2 x 64 products of 8 bits a clock = 256 operations.
      CHECK(cpu.peak.at(DType::int8).value() == Approx(256 * clocks).epsilon(0.01));
    }
    CHECK(cpu.idle / cpu.tdp <= 0.35);
    CHECK(cpu.sources.size() == 11);
  }
}

TEST_CASE("memory bandwidth of CPU cards is channels x rate x 8 bytes") {
  const std::map<std::string, double> channels_rate = {
      {"xeon-8380", 8 * 3200e6}, {"xeon-6980p", 12 * 8800e6}, {"xeon-6454s", 8 * 4800e6}};
  for (const auto& [name, transfers] : channels_rate) {
    CAPTURE(name);
    CHECK(load_cpu(name, shipped()).card.spec.memory_bandwidth.value() == Approx(transfers * 8));
  }
}

TEST_CASE("every network card loads; a port's rate is its name's") {
  const std::map<std::string, double> bits = {{"ethernet-1g", 1e9},      {"ethernet-25g", 25e9},
                                              {"roce-400g", 400e9},      {"infiniband-hdr", 200e9},
                                              {"infiniband-ndr", 400e9}, {"infiniband-xdr", 800e9}};
  for (const CardEntry& entry : list_cards("nic", shipped())) {
    CAPTURE(entry.name);
    const auto nic = load_nic(entry.name, shipped()).card.spec;
    if (bits.contains(entry.name)) CHECK(nic.bandwidth.value() == Approx(bits.at(entry.name) / 8));
    CHECK(nic.efficiency >= 0.9);
    CHECK(nic.efficiency <= 1.0);
    CHECK(nic.latency_s <= 1e-4);
    CHECK(nic.sources.size() == 5);
  }
  CHECK(load_nic("co-packaged-optics", shipped()).card.spec.latency_s == 100e-9);
  CHECK(list_cards("nic", shipped()).size() >= 7);
}

TEST_CASE("every storage card loads; faster media answer sooner") {
  for (const CardEntry& entry : list_cards("storage", shipped())) {
    CAPTURE(entry.name);
    const auto storage = load_storage(entry.name, shipped()).card.spec;
    CHECK(storage.write_bandwidth.value() <= storage.read_bandwidth.value());
    CHECK(storage.idle.value() <= storage.power.value());
    CHECK(storage.sources.size() == 7);
  }
  const auto of = [](const char* name) { return load_storage(name, shipped()).card.spec; };
  CHECK(of("980-pro").read_bandwidth.value() == 7e9);
  // RAID 5 of four 8 TB disks: one disk's worth is parity.
  CHECK(of("sata-raid5-4x8tb").capacity.value() == 3 * 8e12);
  CHECK(of("optane-p5800x").latency_s < of("980-pro").latency_s);
  CHECK(of("980-pro").latency_s < of("sata-raid5-4x8tb").latency_s);
  // 180 nodes of 16 drives of 14 TiB.
  CHECK(of("3fs").capacity.value() == 180.0 * 16 * 14 * 0x1p40);
  CHECK(of("3fs").networked);
}

TEST_CASE("a node without GPUs computes on its sockets; one with both knows its host") {
  const auto cpu_node = load_node("xeon-6980p-2s", shipped()).card.spec;
  CHECK(cpu_node.gpu.processor == Processor::cpu);
  CHECK(cpu_node.gpus == 2);
  CHECK(cpu_node.gpu.memory_bandwidth.value() == 844.8e9);
  CHECK(cpu_node.gpu.sm_count == 128);
  const auto hybrid = load_node("rtx-4090-xeon-6454s-2s", shipped()).card.spec;
  CHECK(hybrid.gpu.processor == Processor::gpu);
  CHECK(hybrid.gpus == 1);
  CHECK(hybrid.sockets == 2);
  CHECK(hybrid.cpu.name == "xeon-6454s");
  CHECK(load_node("hgx-h200", shipped()).card.spec.sockets == 0);
}

constexpr const char* kStorage = R"(card: storage
name: mine
summary: storage for this test
capacity: 1TB
read_bandwidth: 1GB/s
write_bandwidth: 1GB/s
latency: 1ms
networked: false
idle: 1W
power: 2W
sources:
  - of: [capacity, read_bandwidth, write_bandwidth, latency, networked, idle, power]
    is: datasheet
    date: 2023
)";

TEST_CASE("slips in the cards of a host are told with their place") {
  CHECK(problems(load_storage, kStorage).empty());
  CHECK(problems(load_storage, replaced(kStorage, "power: 2W", "power: 0.5W")) ==
        Strings{"10:8: power is that under load; it is below idle"});
  const auto bits = problems(load_storage, replaced(kStorage, "1GB/s", "1GBps"));
  REQUIRE(bits.size() == 1);
  CHECK(bits[0].find("write GB/s") != std::string::npos);
  const auto zero = problems(load_storage, replaced(kStorage, "1GB/s", "0GB/s"));
  REQUIRE(zero.size() == 1);
  CHECK(zero[0].starts_with("5:17: read_bandwidth: "));
  const Strings other = problems(load_nic, kStorage);
  CHECK(std::find(other.begin(), other.end(),
                  "1:7: this is a card of kind 'storage'; expected 'nic'") != other.end());
}

TEST_CASE("a node needs a GPU or a CPU, and a count of each") {
  const std::string node = R"(card: node
name: mine
summary: a node for this test
cpu: xeon-8380
cpus: 2
scale_up: sockets
scale_up_latency: 1us
nics: 1
nic_bandwidth: 25Gb/s
nic_latency: 5us
host_idle: 100W
host_load: 200W
psu_efficiency: 94%
sources:
  - of: [cpus, scale_up, scale_up_latency, nics, nic_bandwidth, nic_latency, host_idle, host_load, psu_efficiency]
    is: assumed
    date: 2025
)";
  const TemporaryFolder folder;
  // The CPU card is looked up beside the node card's name rules: a catalogue name works anywhere.
  folder.write("mine.yaml", node);
  CHECK(load_node("./mine.yaml", shipped(), folder.path()).card.spec.gpus == 2);
  const auto none =
      problems(load_node, replaced(replaced(node, "cpu: xeon-8380\n", ""), "cpus: 2\n", ""));
  REQUIRE(none.size() >= 1);
  CHECK(none[0] == "0:0: missing key 'gpu' (or 'cpu', for a node that computes on its CPUs)");
  const auto unlinked = problems(load_node, replaced(node, "scale_up: sockets", "scale_up: none"));
  CHECK(unlinked == Strings{"6:11: 2 CPUs need a link between them; 'none' is for one CPU"});
  const auto unknown = problems(load_node, replaced(node, "xeon-8380", "xeon-8381"));
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].find("did you mean 'xeon-8380'?") != std::string::npos);
}

}  // namespace
}  // namespace foretoken::scenarios::loader
