#include "scenarios/loader/cards.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "scenarios/loader/scenario.hpp"
#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::cost::Currency;
using models::cost::Price;
using models::hardware::DType;
using models::serving::MemoryRule;
using sim::core::InputError;
using Strings = std::vector<std::string>;

const Catalogue& shipped() {
  static const Catalogue catalogue{fs::path(FORETOKEN_SOURCE_DIR)};
  return catalogue;
}

// "line:column: message" of every problem of a card written to NAME.yaml.
template <class T>
Strings problems(Loaded<T> (*load)(const std::string&, const Catalogue&, const fs::path&),
                 const std::string& name, const std::string& text) {
  const TemporaryFolder folder;
  folder.write(name + ".yaml", text);
  Strings result;
  try {
    (void)load("./" + name + ".yaml", shipped(), folder.path());
  } catch (const InputError& error) {
    for (const auto& d : error.diagnostics()) {
      result.push_back(std::to_string(d.line) + ":" + std::to_string(d.column) + ": " + d.message);
    }
  }
  return result;
}

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

constexpr const char* kGpu = R"(card: gpu
name: mine
summary: a GPU for this test
architecture: hopper
sm_count: 132
boost_clock: 1.83GHz
memory: 80GB
memory_bandwidth: 3.35TB/s
l2_cache: 50MiB
peak: {bf16: 989TFLOPS}
scale_up_bandwidth: 450GB/s
pcie_bandwidth: 64GB/s
tdp: 700W
idle: 75W
power: {tensor: 1.2, memory: 0.1, link: 0, busy: 0.5, basis: assumed, error: 20%}
sources:
  - of: [sm_count, boost_clock, memory, memory_bandwidth, l2_cache, peak]
    is: datasheet
    date: 2023-03
  - of: [scale_up_bandwidth, pcie_bandwidth, tdp, idle, power]
    is: datasheet
    date: 2023
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// Dense 16-bit FLOPs a clock of one SM, CU or cube core, from the vendors' architecture papers.
// GeForce parts halve the rate when accumulating in FP32.
double flops_per_clock(const std::string& gpu, const std::string& architecture) {
  static const std::map<std::string, double> special = {
      {"h20", 1024}, {"rtx-4090", 512}, {"rtx-3090", 512}, {"rtx-a6000", 1024}};
  static const std::map<std::string, double> usual = {
      {"ampere", 2048}, {"ada", 1024},   {"hopper", 4096}, {"blackwell", 8192},
      {"cdna3", 2048},  {"cdna4", 4096}, {"davinci", 8192}};
  const auto found = special.find(gpu);
  return found != special.end() ? found->second : usual.at(architecture);
}

TEST_CASE("every GPU card loads and obeys physics") {
  const auto entries = list_cards("gpu", shipped());
  REQUIRE(entries.size() >= 20);
  for (const CardEntry& entry : entries) {
    CAPTURE(entry.name);
    const auto loaded = load_gpu(entry.name, shipped());
    const auto& gpu = loaded.card.spec;
    CHECK(loaded.warnings.empty());
    CHECK(gpu.name == entry.name);
    CHECK(!loaded.card.summary.empty());
    // Peak = units x clock x FLOPs a clock.
    const double peak = gpu.sm_count * loaded.card.boost_clock.value() *
                        flops_per_clock(gpu.name, gpu.architecture);
    CHECK(gpu.peak.at(DType::bf16).value() == Approx(peak).epsilon(0.03));
    CHECK(gpu.peak.at(DType::fp16) == gpu.peak.at(DType::bf16));
    if (gpu.peak.contains(DType::fp8)) {
      CHECK(gpu.peak.at(DType::fp8).value() ==
            Approx(2.0 * gpu.peak.at(DType::bf16).value()).epsilon(0.02));
    }
    if (gpu.peak.contains(DType::fp4)) {
      const double ratio = gpu.peak.at(DType::fp4) / gpu.peak.at(DType::fp8);
      CHECK(ratio >= 1.99);
      CHECK(ratio <= 3.01);
    }
    CHECK(gpu.memory.value() >= 23e9);
    CHECK(gpu.memory.value() <= 320e9);
    CHECK(gpu.memory_bandwidth.value() >= 700e9);
    CHECK(gpu.memory_bandwidth.value() <= 8.2e12);
    CHECK(gpu.scale_up_bandwidth.value() <= 900e9);
    CHECK(gpu.pcie_bandwidth.value() >= 31e9);
    CHECK(gpu.l2_cache.value() >= 4e6);
    // Between 5 W and a quarter of the limit at rest.
    CHECK(gpu.idle.value() >= 5.0);
    CHECK(gpu.idle / gpu.tdp <= 0.25);
    CHECK(gpu.tdp.value() <= 1400.0);
    CHECK(gpu.sources.size() >= 10);
    // A GPU running one matrix product after another draws its limit; not the H20, whose arithmetic
    // was cut to a seventh of the H100's and its power to four sevenths.
    const auto watts = models::power::gpu_power(gpu, loaded.card.power, {0.7, 0.3, 0.0}, 1.0);
    CHECK(watts / gpu.tdp >= (entry.name == "h20" ? 0.65 : 0.9));
    CHECK(loaded.card.power.relative_error > 0.0);
  }
}

TEST_CASE("every node card loads with its GPU and sane host figures") {
  const auto entries = list_cards("node", shipped());
  REQUIRE(entries.size() >= 20);
  for (const CardEntry& entry : entries) {
    CAPTURE(entry.name);
    const auto loaded = load_node(entry.name, shipped());
    const auto& node = loaded.card.spec;
    CHECK(loaded.warnings.empty());
    const bool computes_on_cpu = node.gpu.processor == models::hardware::Processor::cpu;
    CHECK(loaded.files.size() == (node.sockets > 0 && !computes_on_cpu ? 3 : 2));
    CHECK(node.gpus >= 1);
    CHECK((node.gpus == 1) == (node.scale_up == "none"));
    CHECK((node.scale_up == "nvswitch" || node.scale_up == "sockets" ||
           node.scale_up == "nvlink-pairs" || node.scale_up == "mesh") ==
          (node.gpus > 1 && node.gpu.scale_up_bandwidth.value() > 0));
    CHECK((node.scale_up_latency_s > 0.0) == (node.gpus > 1));
    CHECK(node.nics >= 1);
    CHECK(node.nic_bandwidth.value() >= 0.125e9);
    CHECK(node.nic_bandwidth.value() <= 100e9);
    CHECK(node.host_idle.value() >= 40.0);
    // Where GPUs share a host, it takes less than they do at full load.
    CHECK((node.gpus == 1 || node.host_load.value() < node.gpus * node.gpu.tdp.value()));
    CHECK(node.psu_efficiency >= 0.9);
    CHECK(node.sources.size() ==
          (node.sockets > 0 && !computes_on_cpu ? 10U : 9U) + (node.host_parts.empty() ? 0U : 2U));
  }
}

// Wall watts = (GPUs + host) / PSU efficiency.
double wall_watts(const NodeCard& node, double gpu_watts, double host_watts) {
  return (node.spec.gpus * gpu_watts + host_watts) / node.spec.psu_efficiency;
}

TEST_CASE("nodes at the wall, beside MLPerf power logs") {
  const auto h100 = load_node("hgx-h100", shipped()).card;
  // 8 x 700 W x 0.97 = 5,432 W and 2,300 W of host through 0.95: 8,139 W; logged medians of
  // 8 x H100 under Llama2-70B LoRA are 7,994 to 8,769 W.
  const double h100_watts =
      wall_watts(h100, h100.spec.gpu.tdp.value() * h100.power.ceiling, h100.spec.host_load.value());
  CHECK(h100_watts == Approx(8139.0).margin(1.0));
  CHECK(h100_watts >= 7994.0);
  CHECK(h100_watts <= 8769.0);
  const auto b200 = load_node("hgx-b200", shipped()).card;
  // 8 x 1,000 W x 0.97 and 2,100 W: 10,379 W; logged 9,635 to 10,499 W under full load.
  const double b200_watts =
      wall_watts(b200, b200.spec.gpu.tdp.value() * b200.power.ceiling, b200.spec.host_load.value());
  CHECK(b200_watts == Approx(10379.0).margin(1.0));
  CHECK(b200_watts >= 9635.0);
  CHECK(b200_watts <= 10499.0);
  // At rest 8 x 140 W and 1,150 W: 2,389 W; lowest seen in the logs 2,343 to 2,882 W.
  const double b200_rest =
      wall_watts(b200, b200.spec.gpu.idle.value(), b200.spec.host_idle.value());
  CHECK(b200_rest >= 2343.0);
  CHECK(b200_rest <= 2882.0);
}

TEST_CASE("measured tables belong to the GPU they were measured on") {
  std::map<std::string, std::string> tables;
  for (const CardEntry& entry : list_cards("gpu", shipped())) {
    const auto gpu = load_gpu(entry.name, shipped()).card.spec;
    if (!gpu.tables.empty()) {
      CHECK(tables.emplace(gpu.tables, gpu.name).second);
    }
  }
  CHECK(tables == std::map<std::string, std::string>{{"a100_sxm", "a100-80gb-sxm"},
                                                     {"h100_sxm", "h100-sxm"},
                                                     {"h200_sxm", "h200-sxm"},
                                                     {"b200_sxm", "b200-sxm"},
                                                     {"l40s", "l40s"},
                                                     {"a6000", "rtx-a6000"},
                                                     {"rtx3090", "rtx-3090"},
                                                     {"rtx4090", "rtx-4090"}});
}

TEST_CASE("figures of one node and its GPU, spot checked") {
  const auto node = load_node("hgx-h200", shipped()).card;
  CHECK(node.spec.gpus == 8);
  CHECK(node.spec.scale_up == "nvswitch");
  CHECK(node.spec.nic_bandwidth.value() == 50e9);  // 400 Gb/s / 8
  CHECK(node.spec.gpu.name == "h200-sxm");
  CHECK(node.spec.gpu.memory.value() == 143771.0 * 1048576.0);
  CHECK(node.spec.gpu.memory_bandwidth.value() == 4.8e12);
  CHECK(node.spec.gpu.peak.at(DType::fp8).value() == 1978.9e12);
  CHECK(node.spec.gpu.sources.at("memory_bandwidth").find("H200 datasheet") != std::string::npos);
  CHECK(node.power.provenance == sim::core::Provenance::assumed);
}

TEST_CASE("engines by name, by version, and by the nearest version") {
  const auto sglang = load_engine("sglang-0.5.9", shipped());
  CHECK(sglang.warnings.empty());
  CHECK(sglang.card.name == "sglang-0.5.9");
  CHECK(sglang.card.tables.engine == "sglang");
  CHECK(sglang.card.tables.version == "0.5.9");
  CHECK(sglang.card.default_policy == "prefill_first");
  CHECK(sglang.card.memory_rule == MemoryRule::static_pool);
  // 1 2 4 8 12, then 16 to 256 in steps of 8 (31 sizes), then 272 to 512 in steps of 16 (16).
  CHECK(sglang.card.graph_batches.size() == 5 + 31 + 16);
  CHECK(sglang.card.graph_batches.back() == 512);

  CHECK(load_engine("sglang", shipped()).card.name == "sglang-0.5.9");
  CHECK(load_engine("trtllm-1.0.0", shipped()).card.kv_reserve_output == 1.0);

  // Figures of a version replace those of the engine.
  CHECK(load_engine("vllm-0.12.0", shipped()).card.host_sequence_s -
            load_engine("vllm-0.19.0", shipped()).card.host_sequence_s ==
        Approx(33e-6).epsilon(0.01));
  CHECK(load_engine("vllm-0.12.0", shipped()).card.kv_block_tokens == 16);
  CHECK_FALSE(load_engine("vllm-0.12.0", shipped()).card.overlap_schedule);
  CHECK(load_engine("vllm-0.14.0", shipped()).card.overlap_schedule);
  CHECK_FALSE(load_engine("vllm-0.18.0", shipped()).card.admit_whole_prompt);
  CHECK(load_engine("vllm-0.19.0", shipped()).card.admit_whole_prompt);
  CHECK_FALSE(load_engine("trtllm-1.1.0", shipped()).card.overlap_schedule);
  CHECK(load_engine("trtllm-1.3.0", shipped()).card.overlap_schedule);

  const auto near = load_engine("trtllm-1.2.0rc6.post2", shipped());
  REQUIRE(near.warnings.size() == 1);
  CHECK(near.warnings[0].warning);
  CHECK(near.warnings[0].message ==
        "no figures for trtllm 1.2.0rc6.post2; those of trtllm 1.2.0 serve");
  CHECK(near.card.tables.version == "1.2.0rc6.post2");
  CHECK(load_engine("vllm-0.14.1", shipped()).warnings[0].message ==
        "no figures for vllm 0.14.1; those of vllm 0.14.0 serve");
  CHECK(message_of([] {
          (void)load_engine("vlm-0.19.0", shipped());
        }).find("no engine 'vlm-0.19.0'; did you mean 'vllm'?") != std::string::npos);
}

TEST_CASE("architectures that engine cards name are those of GPU cards") {
  std::set<std::string> known;
  for (const CardEntry& entry : list_cards("gpu", shipped()))
    known.insert(load_gpu(entry.name, shipped()).card.spec.architecture);
  for (const CardEntry& entry : list_cards("engine", shipped()))
    for (const std::string& name : load_engine(entry.name, shipped()).card.fused_norm_on)
      CHECK(known.contains(name));

  const TemporaryFolder folder;
  std::ifstream in(fs::path(FORETOKEN_SOURCE_DIR) / "scenarios" / "engines" / "sglang.yaml");
  std::stringstream text;
  text << in.rdbuf();
  const fs::path own = folder.path() / "mine.yaml";
  std::ofstream(own) << replaced(replaced(text.str(), "name: sglang", "name: mine"),
                                 "fused_norm_on: [blackwell]", "fused_norm_on: [hoper]");
  const auto warnings = load_engine(own.string(), shipped()).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].message.starts_with(
      "fused_norm_on: no GPU of the catalogue has the architecture 'hoper'; known: ada, ampere"));
}

TEST_CASE("every engine card loads with figures in range") {
  std::set<std::string> names;
  for (const CardEntry& entry : list_cards("engine", shipped())) {
    CAPTURE(entry.name);
    const auto engine = load_engine(entry.name, shipped()).card;
    names.insert(entry.name);
    const bool bare = entry.name == "pytorch";  // steps without a server around them
    CHECK(engine.default_max_tokens >= 2048);
    CHECK(engine.default_max_sequences >= 256);
    CHECK(engine.memory_fraction >= 0.8);
    CHECK(engine.memory_fraction <= (bare ? 1.0 : 0.95));
    CHECK(engine.framework_reserve.value() >= 0.5e9);
    CHECK(engine.framework_reserve.value() <= 4e9);
    CHECK(engine.host_step_s <= 5e-3);
    CHECK(engine.host_sequence_s <= 50e-6);
    CHECK((engine.host_relative_error > 0.0) == !bare);
    CHECK(engine.graph_batches.empty() == bare);
    CHECK(engine.memory_rule != MemoryRule::by_engine);
  }
  CHECK(names == std::set<std::string>{"deepseek", "pytorch", "sglang", "trtllm", "vllm"});
}

TEST_CASE("a GPU card of one's own, by path") {
  const TemporaryFolder folder;
  folder.write("mine.yaml", kGpu);
  const auto gpu = load_gpu("./mine.yaml", shipped(), folder.path()).card;
  CHECK(gpu.spec.name == "mine");
  CHECK(gpu.spec.sustained_compute == 1.0);
  CHECK(gpu.spec.tables.empty());
  CHECK(gpu.spec.sources.at("tdp") == "datasheet (2023)");
}

TEST_CASE("problems of a GPU card, each at its place") {
  CHECK(problems(load_gpu, "mine", kGpu).empty());
  // tdp stands in line 13, its value in column 6.
  CHECK(
      problems(load_gpu, "mine", replaced(kGpu, "tdp, idle, power", "idle, power")) ==
      Strings{"13:6: 'tdp' has no source; name it in sources: - {of: [tdp], is: ..., date: ...}"});
  CHECK(problems(load_gpu, "mine", replaced(kGpu, "date: 2023-03", "date: March 2023")) ==
        Strings{"19:11: 'March 2023' is not a date; write YYYY-MM-DD, YYYY-MM or YYYY"});
  CHECK(problems(load_gpu, "mine", replaced(kGpu, "date: 2023-03", "date: 2023-13")) ==
        Strings{"19:11: '2023-13' is not a date; write YYYY-MM-DD, YYYY-MM or YYYY"});
  CHECK(problems(load_gpu, "mine", replaced(kGpu, "idle: 75W", "idle: 750W")) ==
        Strings{"14:7: idle power must be below tdp"});
  CHECK(problems(load_gpu, "mine", replaced(kGpu, "of: [sm_count,", "of: [sm_cont,")) ==
        Strings{"5:11: 'sm_count' has no source; name it in sources: - {of: [sm_count], is: ..., "
                "date: ...}",
                "17:10: 'sm_cont' is no figure of such a card; did you mean 'sm_count'?"});
  CHECK(problems(load_gpu, "mine", replaced(kGpu, "{bf16: 989TFLOPS}", "{bf17: 989TFLOPS}")) ==
        Strings{"10:1: peak: neither bf16 nor fp16 is given; one of them is needed",
                "10:14: 'bf17' is no number format; known: fp32 tf32 bf16 fp16 fp8 int8 fp4 int4"});
  CHECK(problems(load_gpu, "other", kGpu) ==
        Strings{"2:7: the card is named 'mine' but its file 'other.yaml'; make them equal"});
  const auto unit = problems(load_gpu, "mine", replaced(kGpu, "memory: 80GB", "memory: 80"));
  REQUIRE(unit.size() == 1);
  CHECK(unit[0].starts_with("7:9: memory: "));
  const auto unknown = problems(load_gpu, "mine", replaced(kGpu, "idle: 75W", "idel: 75W"));
  REQUIRE(unknown.size() == 3);  // no idle, a source for nothing, an unknown key
  CHECK(unknown[2] == "20:51: a source for 'idle', which this card does not give");
  CHECK(unknown[1] == "14:1: unknown key 'idel'; did you mean 'idle'?");
}

TEST_CASE("a name that is no card") {
  CHECK(message_of([] {
          (void)load_node("hgx-h20O", shipped());
        }).find("no card 'hgx-h20O' in scenarios/hardware; did you mean 'hgx-h20'?") !=
        std::string::npos);
  CHECK(message_of([] {
          (void)load_gpu("./none.yaml", shipped(), "/nowhere");
        }).find("no file '/nowhere/./none.yaml'") != std::string::npos);
  CHECK(message_of([] {
          (void)load_gpu("hgx-h200", shipped());
        }).find("this is a card of kind 'node'; expected 'gpu'") != std::string::npos);
}

TEST_CASE("a node that names no GPU card says so at its line") {
  const std::string node = R"(card: node
name: mine
summary: a node for this test
gpu: h200-smx
gpus: 8
scale_up: none
scale_up_latency: 1us
nics: 8
nic_bandwidth: 400Gb/s
nic_latency: 5us
host_idle: 1000W
host_load: 900W
psu_efficiency: 0.95
sources:
  - of: [gpus, scale_up, scale_up_latency, nics, nic_bandwidth, nic_latency, host_idle, host_load, psu_efficiency]
    is: quotation
    date: 2026-01-31
)";
  CHECK(problems(load_node, "mine", node) ==
        Strings{"4:6: no card 'h200-smx' in scenarios/hardware; did you mean 'h200-sxm'?",
                "6:11: 8 GPUs need a link between them; 'none' is for one GPU",
                "12:12: host_load is the power under load; it is below host_idle"});
}

TEST_CASE("problems of an engine card, each at its place") {
  const TemporaryFolder folder;
  std::ifstream in(fs::path(FORETOKEN_SOURCE_DIR) / "scenarios" / "engines" / "sglang.yaml");
  std::stringstream text;
  text << in.rdbuf();
  const std::string card = text.str();
  CHECK(problems(load_engine, "sglang", card).empty());
  const std::string versions = "versions: [0.5.1, 0.5.2, 0.5.6, 0.5.8, 0.5.9, 0.5.10, 0.5.12]";
  CHECK(problems(load_engine, "sglang",
                 replaced(card, versions, "versions: [{version: 0.5.9, max_tokens: 4096}]")) ==
        Strings{"6:12: figures of version 0.5.9 have no source; add source and date"});
  const auto unread = problems(
      load_engine, "sglang",
      replaced(card, versions,
               "versions: [{version: 0.5.9, in_situ: {gemm: 5}, source: x, date: 2026-01}]"));
  REQUIRE(unread.size() == 1);
  CHECK(unread[0].starts_with("6:29: unknown key 'in_situ' in versions"));
  CHECK(problems(load_engine, "sglang",
                 replaced(card, "fused_norm_on: [blackwell]", "fused_norm_on: []")) ==
        Strings{"28:1: name an architecture, or leave the key out for all of them"});
  CHECK(problems(load_engine, "sglang", replaced(card, versions, "versions: [0.5.8, latest]")) ==
        Strings{"5:18: default_version is not among versions",
                "6:19: 'latest' is not a version such as 0.5.9"});
  CHECK(problems(load_engine, "sglang", replaced(card, "[1, 2, 4, 8, 12,", "[1, 2, 4, 4, 12,")) ==
        Strings{"24:26: graph_batches: sizes must increase"});
  CHECK(problems(load_engine, "sglang", replaced(card, "host_step: 1415us\n", "")) ==
        Strings{"0:0: missing key 'host_step'",
                "31:33: a source for 'host_step', which this card does not give"});
}

TEST_CASE("every price card loads; the default has the nodes of the catalogue") {
  const auto cards = list_cards("prices", shipped());
  REQUIRE(cards.size() >= 3);
  for (const CardEntry& entry : cards) {
    CAPTURE(entry.name);
    const auto card = load_prices(entry.name, shipped()).card;
    CHECK(card.exchange.cny_per_usd >= 6.0);
    CHECK(card.exchange.cny_per_usd <= 8.0);
    CHECK(!card.electricity.empty());
  }
  const auto list = load_prices("list", shipped()).card;
  for (const CardEntry& node : list_cards("node", shipped())) {
    CAPTURE(node.name);
    const Price& price = node_price(list, node.name);
    CHECK(price.amount > 10'000.0);
    CHECK(!price.source.empty());
    CHECK(price.date.size() == 7);
  }
  CHECK(rent_price(list, "h200-sxm", "neocloud").amount == 1.74);
  CHECK(rent_price(list, "h200-sxm", "neocloud").currency == Currency::USD);
  CHECK(electricity_price(list, "cn-industry").amount == 0.8);
}

TEST_CASE("the two articles disagree about prices, and both are kept") {
  const auto a = load_prices("article-a", shipped()).card;
  const auto b = load_prices("article-b", shipped()).card;
  CHECK(a.gpus.at("rtx-4090").amount == 13000.0);
  CHECK(b.gpus.at("rtx-4090").amount == 15000.0);
  CHECK(a.gpus.at("a100-80gb-sxm").amount == 80000.0);
  CHECK(b.gpus.at("a100-80gb-sxm").amount == 100000.0);
  CHECK(a.electricity.at("commercial").amount == 0.6);
  CHECK(b.electricity.at("commercial").amount == 1.2);
}

TEST_CASE("a missing price names what there is") {
  const auto list = load_prices("article-b", shipped()).card;
  CHECK(message_of([&] { (void)node_price(list, "hgx-h200"); })
            .find("price card 'article-b' has no purchase price for the node 'hgx-h200' (it has: "
                  "a100-80gb-x4, rtx-4090-x8)") != std::string::npos);
  CHECK(message_of([&] {
          (void)rent_price(list, "h200-sxm", "neocloud");
        }).find("no rent for the GPU 'h200-sxm' (it has: none)") != std::string::npos);
  CHECK(message_of([&] {
          (void)electricity_price(list, "night");
        }).find("no electricity tariff 'night' (it has: commercial)") != std::string::npos);
}

TEST_CASE("problems of a price card, each at its place") {
  const std::string head = "card: prices\nname: mine\nsummary: test\n";
  // Two currencies and no rate.
  CHECK(problems(load_prices, "mine",
                 head + "nodes:\n  a: {price: 5CNY, source: x, date: 2026, valid_until: 2027}\n"
                        "  b: {price: 5USD, source: x, date: 2026, valid_until: 2027}\n") ==
        Strings{"0:0: prices in CNY and USD but no exchange rate; add exchange: {cny_per_usd: "
                "..., source: ..., date: ...}"});
  CHECK(
      problems(load_prices, "mine",
               head + "nodes:\n  a: {price: -5CNY, source: x, date: 2026, valid_until: 2027}\n") ==
      Strings{"5:14: nodes.a.price: '-5CNY' must not be negative"});
  CHECK(
      problems(load_prices, "mine", head + "nodes:\n  a: {price: 5CNY, date: 2026}\n") ==
      Strings{"5:3: missing key 'source' in nodes.a", "5:3: missing key 'valid_until' in nodes.a"});
  CHECK(problems(load_prices, "mine",
                 head + "nodes:\n  a: {price: 5CNY, source: x, date: 2026, valid_until: 2025}\n") ==
        Strings{"5:56: valid_until lies before the price's date"});
}

TEST_CASE("a price past its validity is reported with its date") {
  Price price;
  price.date = "2025-11";
  price.valid_until = "2026-12";
  price.source = "quotation";
  CHECK(stale_price("cost.node_price", price, "2026-12-31").empty());
  const auto warnings = stale_price("cost.node_price", price, "2027-01-01");
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].warning);
  CHECK(
      warnings[0].message ==
      "cost.node_price is a price of 2025-11, good until 2026-12; it may have changed (quotation)");
}

}  // namespace
}  // namespace foretoken::scenarios::loader
