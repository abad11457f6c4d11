#include "scenarios/loader/scenario.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::llm::WeightFormat;
using models::serving::BatchingPolicy;
using models::serving::ClosedLoopArrivals;
using models::serving::PoissonArrivals;
using models::serving::TraceArrivals;
using sim::core::Diagnostic;
using sim::core::InputError;
using Strings = std::vector<std::string>;

const fs::path kRoot = FORETOKEN_SOURCE_DIR;

Scenario load(const fs::path& file, const Strings& overrides = {}) {
  return load_scenario(file, Catalogue(kRoot), overrides);
}

// A good file of 20 lines that the tests below break in one place each.
constexpr const char* kGood = R"(foretoken: 1
name: test
model: deepseek-r1
engine: sglang-0.5.9
hardware: {node: hgx-h200, nodes: 1}
deployment:
  weights: fp8
  kv_cache: bf16
  parallel: {tensor: 8}
  replicas: 1
  batching: {policy: chunked_prefill, max_tokens: 8192}
workload:
  arrivals: {poisson: 2/s}
  input: {tokens: 1024, low_fraction: 0.8}
  output: {tokens: 256}
  duration: 10min
  warmup: 30s
slo: [ttft.p99 <= 2s, tpot.mean <= 50ms]
cost: {electricity: 0.8CNY/kWh, pue: 1.25}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string in_words(const Diagnostic& d) {
  return fs::path(d.file).filename().string() + ":" + std::to_string(d.line) + ":" +
         std::to_string(d.column) + ": " + d.message;
}

// Problems of kGood with one text replaced, and warnings if it loads.
Strings problems_with(const std::string& from, const std::string& to,
                      const Strings& overrides = {}) {
  const TemporaryFolder folder;
  Strings result;
  try {
    const auto file = folder.write("s.yaml", replaced(kGood, from, to));
    for (const Diagnostic& d : load(file, overrides).warnings) {
      result.push_back("warning: " + in_words(d));
    }
  } catch (const InputError& error) {
    for (const Diagnostic& d : error.diagnostics()) result.push_back(in_words(d));
  }
  return result;
}

Strings shipped() {
  Strings files;
  for (const auto& folder : {kRoot / "scenarios", kRoot / "scenarios" / "validation"}) {
    for (const auto& item : fs::directory_iterator(folder)) {
      if (item.path().extension() == ".yaml") files.push_back(item.path().string());
    }
  }
  return files;
}

TEST_CASE("quickstart is what its file says") {
  const Scenario s = load(kRoot / "scenarios" / "quickstart.yaml");
  const auto& d = s.serving.deployment;
  CHECK(s.name == "DeepSeek-R1 on one HGX H200 node");
  CHECK(d.model.name == "deepseek-r1");
  CHECK(d.model.layers == 61);
  CHECK(d.precision.weights == WeightFormat::fp8_block);
  CHECK(d.precision.kv == models::hardware::DType::bf16);
  CHECK(d.layout.tensor == 8);
  CHECK(d.layout.gpus() == 8);
  CHECK(d.layout.gpus_per_node == 8);
  CHECK(d.node.name == "hgx-h200");
  CHECK(d.nodes == 1);
  CHECK(d.engine.tables.engine == "sglang");
  CHECK(d.batching.policy == BatchingPolicy::chunked_prefill);
  CHECK(d.batching.max_tokens == 8192);
  CHECK(d.batching.max_sequences == 256);
  const auto& trace = std::get<TraceArrivals>(s.serving.workload.arrivals);
  REQUIRE(trace.requests);
  CHECK(trace.requests->size() == 19366);
  CHECK(trace.rate_scale == 1.0);
  REQUIRE(s.serving.workload.duration);
  CHECK(s.serving.workload.duration->seconds() == Approx(3600.0));
  REQUIRE(s.slo.size() == 2);
  CHECK(s.slo[0].metric == "ttft");
  CHECK(s.slo[0].statistic == "p99");
  CHECK(s.slo[0].limit_s == 2.0);
  CHECK(s.slo[1].limit_s == 0.05);
  CHECK(s.cost.pue == 1.25);
  CHECK(s.cost.horizon_years == 3.0);
  CHECK(s.cost.electricity_per_kwh.amount == 0.8);
  CHECK(s.cost.exchange.cny_per_usd > 0.0);
  CHECK(s.cost.node_price);
  CHECK(s.serving.seed == 1);
  CHECK(s.input_hashes.contains("scenarios/workloads/azure-llm-2023-conv.csv.gz"));
  CHECK(s.input_hashes.contains("scenarios/models/deepseek-r1.json"));
  CHECK(s.input_hashes.contains("scenarios/hardware/hgx-h200.yaml"));
}

TEST_CASE("every shipped scenario loads without a problem") {
  const Strings files = shipped();
  CHECK(files.size() >= 4);
  for (const std::string& file : files) {
    INFO(file);
    CHECK_NOTHROW(load(file));
  }
}

TEST_CASE("a Poisson workload, and card values where the file is silent") {
  const TemporaryFolder folder;
  const Scenario s = load(folder.write("s.yaml", kGood));
  CHECK(std::get<PoissonArrivals>(s.serving.workload.arrivals).requests_per_s == 2.0);
  CHECK(s.serving.workload.input.tokens == 1024);
  CHECK(s.serving.workload.input.low_fraction == 0.8);
  CHECK(s.serving.workload.output.low_fraction == 1.0);
  CHECK(s.serving.workload.warmup.seconds() == 30.0);
  CHECK_FALSE(s.serving.workload.requests);
  CHECK(s.serving.deployment.batching.max_sequences ==
        s.serving.deployment.engine.default_max_sequences);
  std::map<std::string, std::string> origin, value;
  for (const ResolvedValue& v : s.resolved) origin[v.path] = v.origin, value[v.path] = v.value;
  CHECK(origin["deployment.batching.max_tokens"] == "s.yaml:11");
  CHECK(origin["deployment.batching.max_sequences"] == "card sglang-0.5.9");
  CHECK(origin["hardware.memory_bandwidth"] == "card h200-sxm");
  CHECK(value["hardware.memory_bandwidth"] == "4.8TB/s");
  CHECK(origin["cost.horizon"] == "default");
  CHECK(value["cost.horizon"] == "3y");
}

TEST_CASE("--set wins over the file and is named as origin") {
  const TemporaryFolder folder;
  const auto file = folder.write("s.yaml", kGood);
  const Scenario s = load(file, {"hardware.nodes=2", "deployment.replicas=2", "seed=7",
                                 "workload.arrivals={closed_loop: 16}", "slo=[e2el.p50 < 1min]"});
  CHECK(s.serving.deployment.replicas == 2);
  CHECK(s.serving.seed == 7);
  CHECK(std::get<ClosedLoopArrivals>(s.serving.workload.arrivals).concurrency == 16);
  REQUIRE(s.slo.size() == 1);
  CHECK(s.slo[0].limit_s == 60.0);
  for (const ResolvedValue& v : s.resolved) {
    if (v.path == "seed") CHECK(v.origin == "--set");
  }
}

TEST_CASE("resolved values read back to the same scenario") {
  const TemporaryFolder folder;
  const Strings keys = {"foretoken: 1", "model: x",       "engine: x",
                        "hardware: {}", "deployment: {}", "workload: {}"};
  for (const std::string& file : shipped()) {
    INFO(file);
    const Scenario first = load(file);
    std::string bare;
    for (const std::string& key : keys) bare += key + "\n";
    Strings all;
    for (const ResolvedValue& v : first.resolved) {
      if (v.path.rfind("slo.", 0) != 0) all.push_back(v.path + "=" + v.value);
    }
    std::string slo = "slo=[";
    for (const SloTerm& term : first.slo) slo += term.text + ", ";
    if (!first.slo.empty()) all.push_back(slo + "]");
    const Scenario second = load(folder.write("bare.yaml", bare), all);
    REQUIRE(first.resolved.size() == second.resolved.size());
    for (std::size_t i = 0; i < first.resolved.size(); ++i) {
      CHECK(first.resolved[i].path == second.resolved[i].path);
      CHECK(first.resolved[i].value == second.resolved[i].value);
    }
  }
}

TEST_CASE("bad input: keys, units, words") {
  CHECK(problems_with("kv_cache:", "kv_cahce:") ==
        Strings{"s.yaml:8:3: unknown key 'kv_cahce' in deployment; did you mean 'kv_cache'?"});
  CHECK(problems_with("{tensor: 8}", "{tenser: 8, tensor: 8}") ==
        Strings{"s.yaml:9:14: unknown key 'tenser' in deployment.parallel; known keys: tensor, "
                "pipeline, data_attention, context, expert, redundant_experts, all_to_all, "
                "uneven_stages"});
  CHECK(problems_with("duration: 10min", "duration: 600") ==
        Strings{"s.yaml:16:13: workload.duration: '600' has no unit; expected a time span, such as "
                "20us or 1h"});
  CHECK(problems_with("poisson: 2/s", "poisson: 2GB/s") ==
        Strings{"s.yaml:13:23: workload.arrivals.poisson: '2GB/s' is a bandwidth; expected a rate, "
                "such as 5/s"});
  CHECK(problems_with("fp8", "fp9") ==
        Strings{"s.yaml:7:12: deployment.weights: 'fp9' is not one of bf16, fp16, fp8, fp8_block, "
                "int8_wo, int4_wo, nvfp4, mxfp4; did you mean 'fp8'?"});
  CHECK(problems_with("foretoken: 1", "foretoken: 1\nrecords: some") ==
        Strings{"s.yaml:2:10: records: 'some' is not one of all, none"});
  CHECK(problems_with("foretoken: 1", "foretoken: 1\nrecords: {one_in: 0}") ==
        Strings{"s.yaml:2:19: records.one_in: 0 is too small; at least 1"});
  CHECK(problems_with("foretoken: 1\n", "") ==
        Strings{"s.yaml:0:0: missing key 'foretoken'; begin the file with foretoken: 1"});
  CHECK(problems_with("foretoken: 1", "foretoken: 2") ==
        Strings{"s.yaml:1:12: format version 2; this program reads version 1"});
  CHECK(problems_with("0.8CNY/kWh", "0.8") ==
        Strings{"s.yaml:19:21: cost.electricity: '0.8' has no unit; expected an electricity price, "
                "such as 0.8CNY/kWh"});
  CHECK(problems_with("pue: 1.25", "pue: 0.9") ==
        Strings{"s.yaml:19:38: cost.pue: '0.9' is too small; at least 1"});
}

TEST_CASE("bad input: faults of what there is one of, and figures that were published") {
  const auto with_block = [](const std::string& block) {
    return problems_with("name: test", "name: test\n" + block);
  };
  CHECK(with_block("cluster: {faults: {events: [{kind: router, unit: 3, at: 1s, lasts: 2s}]}}") ==
        Strings{"s.yaml:3:44: there is one for all pools; remove this"});
  const Strings missing =
      with_block("cluster: {faults: {events: [{kind: switch, at: 1s, lasts: 2s}]}}");
  REQUIRE(missing.size() == 1);
  CHECK_THAT(missing[0], Catch::Contains("nodes_per_switch"));
  CHECK(with_block("cluster: {faults: {nodes_per_switch: 2}}") ==
        Strings{"s.yaml:3:20: no switch fails here; remove this"});
  const Strings empty = with_block("published: {source: them, date: 2025-02}");
  REQUIRE(empty.size() == 1);
  CHECK_THAT(empty[0], Catch::Contains("no figures"));
  const Strings undated = with_block(
      "published: {source: them, date: soon, figures: [{figure: a, quantity: b, value: 1}]}");
  REQUIRE(undated.size() == 1);
  CHECK_THAT(undated[0], Catch::Contains("date"));
}

TEST_CASE("bad input: what newcomers write") {
  CHECK(problems_with("{tensor: 8}", "{tp: 8}") ==
        Strings{"s.yaml:9:14: unknown key 'tp' in deployment.parallel; here it is called "
                "'tensor'"});
  CHECK(problems_with("hgx-h200", "h200") ==
        Strings{"s.yaml:5:18: no node 'h200' in the catalogue; did you mean h200-x1 or hgx-h200?"});
  const Strings hub = problems_with("model: deepseek-r1", "model: deepseek-ai/DeepSeek-R1");
  REQUIRE(hub.size() == 1);
  CHECK_THAT(hub[0], Catch::EndsWith("; the catalogue has 'deepseek-r1'"));
  CHECK(problems_with("duration: 10min", "duration: 10 minutes") ==
        Strings{"s.yaml:16:13: workload.duration: unknown unit 'minutes' in '10 minutes'; write "
                "min"});
  CHECK(problems_with("{tokens: 256}", "256") ==
        Strings{"s.yaml:15:11: write output: {tokens: 256}"});
  CHECK(problems_with("{poisson: 2/s}", "poisson") ==
        Strings{"s.yaml:13:13: give one of trace: NAME, poisson: 5/s or closed_loop: CONCURRENCY "
                "under arrivals; or gamma, weibull, deterministic, mmpp, clients, sessions"});
  CHECK(problems_with("[ttft.p99 <= 2s, tpot.mean <= 50ms]", "ttft.p99 <= 2s") ==
        Strings{"s.yaml:18:6: 'slo' is a list: write slo: [ttft.p99 <= 2s, tpot.p99 <= 50ms]"});
  CHECK(problems_with("name: test", "name = test").front().substr(0, 11) == "s.yaml:3:6:");
  CHECK(
      problems_with("  kv_cache", "\tkv_cache") ==
      Strings{"s.yaml:8:1: not valid YAML: illegal tab when looking for indentation (a tab; indent "
              "with spaces)"});
  CHECK(problems_with("pue: 1.25}", "pue: 1.25}\nseed = 1") ==
        Strings{"s.yaml:20:1: unknown key 'seed = 1'; write key: value"});
}

TEST_CASE("bad input: several problems come in one pass, in the order of the file") {
  const TemporaryFolder folder;
  std::string text = kGood;
  text = replaced(text, "model: deepseek-r1", "model: deepseek-r11");
  text = replaced(text, "sglang-0.5.9", "sgland-0.5.9");
  text = replaced(text, "hgx-h200", "hgx-h2000");
  text = replaced(text, "replicas: 1", "replicas: 0");
  text = replaced(text, "ttft.p99 <= 2s", "ttft.p98 <= 2");
  try {
    (void)load(folder.write("s.yaml", text));
    FAIL("no error");
  } catch (const InputError& error) {
    Strings places;
    for (const Diagnostic& d : error.diagnostics()) {
      places.push_back(std::to_string(d.line) + ":" + std::to_string(d.column));
    }
    CHECK(places == Strings{"3:8", "4:9", "5:18", "10:13", "18:12", "18:19"});
  }
}

TEST_CASE("bad input: names and files that are not there") {
  CHECK(problems_with("model: deepseek-r1", "model: deepsek-r1") ==
        Strings{"s.yaml:3:8: 'deepsek-r1' is not in the catalogue of models; did you mean "
                "'deepseek-r1'?"});
  const Strings path = problems_with("model: deepseek-r1", "model: no/config.json");
  REQUIRE(path.size() == 1);
  CHECK_THAT(path[0],
             Catch::StartsWith("s.yaml:3:8: no such file: ") && Catch::EndsWith("no/config.json"));
  CHECK(problems_with("{poisson: 2/s}\n  input: {tokens: 1024, low_fraction: 0.8}\n"
                      "  output: {tokens: 256}",
                      "{trace: azure-llm-2023-cnv}") ==
        Strings{"s.yaml:13:21: 'azure-llm-2023-cnv' is not in the catalogue of workloads; did you "
                "mean 'azure-llm-2023-conv'?"});
  CHECK_THROWS_WITH(load("/nowhere/s.yaml"), Catch::Contains("no such file"));
}

TEST_CASE("bad input: arrivals and lengths") {
  CHECK(problems_with("{poisson: 2/s}", "{poisson: 2/s, closed_loop: 4}") ==
        Strings{"s.yaml:13:3: give one of trace: NAME, poisson: 5/s or closed_loop: CONCURRENCY "
                "under arrivals; or gamma, weibull, deterministic, mmpp, clients, sessions"});
  CHECK(problems_with("{tokens: 256}", "{tokens: 0}") ==
        Strings{"s.yaml:15:20: workload.output.tokens: 0 is too small; at least 1"});
  CHECK(problems_with("tokens: 1024", "tokens: -5") ==
        Strings{"s.yaml:14:19: workload.input.tokens: -5 is too small; at least 1"});
  CHECK(problems_with("low_fraction: 0.8", "low_fraction: 80") ==
        Strings{"s.yaml:14:39: workload.input.low_fraction: '80' is too large; at most 1"});
  CHECK(problems_with("  output: {tokens: 256}\n", "") ==
        Strings{"s.yaml:12:1: missing key 'output' in workload"});
  CHECK(problems_with("  duration: 10min\n", "") ==
        Strings{"s.yaml:12:1: these arrivals have no end: give duration: 1h or requests: 10000"});
  CHECK(problems_with("warmup: 30s", "warmup: 10min") ==
        Strings{"s.yaml:17:11: the warm-up of 600 s leaves nothing of the duration of 600 s to "
                "count"});
  CHECK(problems_with("{poisson: 2/s}", "{trace: azure-llm-2023-conv}") ==
        Strings{"s.yaml:14:3: a trace brings the lengths of its requests; remove this",
                "s.yaml:15:3: a trace brings the lengths of its requests; remove this"});
  CHECK(problems_with("{tokens: 256}", "{tokens: 200000}") ==
        Strings{"s.yaml:14:3: every request is longer than the model's context of 163840 tokens "
                "(input + output)"});
}

TEST_CASE("bad input: a trace that is damaged keeps its own lines") {
  const TemporaryFolder folder;
  folder.write("t.csv",
               "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.5,374,44\n"
               "2023-11-16 18:15:40.5,3,4\n2023-11-16 18:15:50.5,0,4\n");
  std::string text = replaced(kGood, "{poisson: 2/s}", "{trace: ./t.csv}");
  text =
      replaced(text, "  input: {tokens: 1024, low_fraction: 0.8}\n  output: {tokens: 256}\n", "");
  try {
    (void)load(folder.write("s.yaml", text));
    FAIL("no error");
  } catch (const InputError& error) {
    REQUIRE(error.diagnostics().size() == 2);
    CHECK(in_words(error.diagnostics()[0]) ==
          "t.csv:3:1: earlier than the row before; sort the trace");
    CHECK(in_words(error.diagnostics()[1]) ==
          "t.csv:4:23: input length 0 is outside 1 .. 100000000");
  }
}

TEST_CASE("bad input: layout and hardware") {
  const Strings heads = problems_with("{tensor: 8}", "{tensor: 3}");
  REQUIRE(!heads.empty());
  CHECK_THAT(heads[0], Catch::StartsWith("s.yaml:9:3: "));
  CHECK_THAT(heads[0], Catch::Contains("128"));  // attention heads
  CHECK(problems_with("replicas: 1", "replicas: 3") ==
        Strings{"s.yaml:5:1: 3 replicas of 8 GPUs need 3 nodes of 8 GPUs, but there are 1: set "
                "nodes: 3, or change deployment.parallel or replicas"});
  CHECK(problems_with("nodes: 1", "nodes: 2") ==
        Strings{"warning: s.yaml:5:1: 8 of 16 GPUs stay idle but are paid for (1 replica of 8)"});
}

TEST_CASE("a bandwidth off by 8 is doubted") {
  CHECK(problems_with("nodes: 1}", "nodes: 1, nic_bandwidth: 400GB/s}") ==
        Strings{"warning: s.yaml:5:53: 400GB/s is 8 times the 50GB/s (400Gb/s) of card hgx-h200; "
                "are these bits? then write 400Gb/s"});
  CHECK(problems_with("nodes: 1}", "nodes: 1, scale_up_bandwidth: 450Gb/s}") ==
        Strings{"warning: s.yaml:5:58: 450Gb/s is an eighth of the 450GB/s (3600Gb/s) of card "
                "h200-sxm; are these bytes? then write 450GB/s"});
  CHECK(problems_with("nodes: 1}", "nodes: 1, nic_bandwidth: 200Gb/s}").empty());
}

TEST_CASE("bad input: SLO terms point at the word") {
  const auto slo = [](const std::string& term) { return problems_with("ttft.p99 <= 2s", term); };
  // Column 7 is the first of the term in `slo: [ttft...`.
  CHECK(slo("tftt.p99 <= 2s") ==
        Strings{"s.yaml:18:7: unknown metric 'tftt'; did you mean 'ttft'?"});
  CHECK(slo("ttft.p98 <= 2s") ==
        Strings{"s.yaml:18:12: unknown statistic 'p98'; did you mean 'p90'?"});
  CHECK(slo("ttft.p99 <= 2") ==
        Strings{"s.yaml:18:19: '2' has no unit; expected a time span, such as 20us or 1h"});
  CHECK(slo("ttft.p99 >= 2s") ==
        Strings{"s.yaml:18:16: 'ttft.p99 >= 2s' is no latency limit; write "
                "METRIC.STATISTIC <= TIME, such as ttft.p99 <= 2s"});
  CHECK(slo("ttft <= 2s") == Strings{"s.yaml:18:7: 'ttft' names no statistic; write "
                                     "METRIC.STATISTIC <= TIME, such as ttft.p99 <= 2s"});
  CHECK(slo("tpot.mean <= 40ms") == Strings{"s.yaml:18:26: tpot.mean is limited twice"});
}

TEST_CASE("cost: bought, rented, priced by the scenario or the card") {
  const TemporaryFolder folder;
  const auto cost = [&folder](const std::string& more) {
    return load(folder.write("s.yaml", replaced(kGood, "pue: 1.25", "pue: 1.25, " + more))).cost;
  };
  const auto bought = cost("node_price: 2000000CNY");
  REQUIRE(bought.node_price);
  CHECK(bought.node_price->amount == 2e6);
  CHECK(bought.node_price->source == "s.yaml:19");
  CHECK_FALSE(bought.gpu_hour);
  const auto rented = cost("gpu_hour: 2.00USD/GPU/h");
  REQUIRE(rented.gpu_hour);
  CHECK(rented.gpu_hour->currency == models::cost::Currency::USD);
  CHECK_FALSE(rented.node_price);
  CHECK(cost("cny_per_usd: 7.3").exchange.cny_per_usd == 7.3);
  CHECK(problems_with("pue: 1.25", "gpu_hour: 2USD/GPU/h, node_price: 1CNY") ==
        Strings{"s.yaml:19:1: give one of node_price (bought), gpu_hour or rent (rented)"});
  const Strings tier = problems_with("pue: 1.25", "rent: no-such-tier");
  REQUIRE(tier.size() == 1);
  CHECK_THAT(tier[0], Catch::StartsWith("s.yaml:19:39: price card list has no tier"));
}

TEST_CASE("a scenario with random damage loads or is refused in words") {
  const TemporaryFolder folder;
  const std::string pieces = "0123456789.-:{}[],#&*'\"%GBs/ \n\tinfnan";
  CHECK(rc::check("no other exception, and every problem has words", [&] {
    std::string text = kGood;
    const int slips = *rc::gen::inRange(1, 4);
    for (int i = 0; i < slips; ++i) {
      const auto at = static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(text.size())));
      const auto length = static_cast<std::size_t>(*rc::gen::inRange(0, 5));
      text.replace(at, length, std::string(1, *rc::gen::elementOf(pieces)));
    }
    try {
      (void)load(folder.write("s.yaml", text));
    } catch (const InputError& error) {
      RC_ASSERT(!error.diagnostics().empty());
      for (const Diagnostic& d : error.diagnostics()) RC_ASSERT(!d.message.empty());
    }
  }));
}

TEST_CASE("parallelism beyond reason is refused before it is multiplied") {
  CHECK(problems_with("{tensor: 8}", "{tensor: 1000000, data_attention: 1000000}") ==
        Strings{"s.yaml:9:22: deployment.parallel.tensor: 1000000 is too large; at most 1024",
                "s.yaml:9:47: deployment.parallel.data_attention: 1000000 is too large; at most "
                "1024"});
}

// A scenario with the given hardware and deployment blocks, in a folder of its own.
std::string errors_of(const std::string& hardware, const std::string& deployment,
                      models::serving::DeploymentSpec* out = nullptr) {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "s.yaml", "foretoken: 1\nname: t\nmodel: deepseek-r1\nengine: sglang-0.5.9\nhardware: " +
                    hardware + "\ndeployment: " + deployment +
                    "\nworkload:\n  arrivals: {closed_loop: 1}\n  input: {tokens: 100}\n"
                    "  output: {tokens: 10}\n  requests: 1\n");
  try {
    const Scenario scenario = load_scenario(file, Catalogue(kRoot));
    if (out != nullptr) *out = scenario.serving.deployment;
  } catch (const sim::core::InputError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("parts of a node: CPUs, network card and storage instead of the card's") {
  models::serving::DeploymentSpec d;
  CHECK(errors_of("{node: hgx-h200, cpu: xeon-6980p, cpus: 2, nic: infiniband-xdr, storage: 3fs}",
                  "{parallel: {tensor: 8}}", &d) == "");
  CHECK(d.node.sockets == 2);
  CHECK(d.node.cpu.cores == 128);
  CHECK(d.node.nic_bandwidth.value() == 100e9);  // 800 Gb/s
  CHECK(d.node.nic_latency_s == 5e-6);
  REQUIRE(d.node.storage);
  CHECK(d.node.storage->networked);
  CHECK(errors_of("{node: hgx-h200, cpus: 2}", "{parallel: {tensor: 8}}").find("add cpu: NAME") !=
        std::string::npos);
  CHECK(errors_of("{node: hgx-h200, nic: infiniband-xrd}", "{parallel: {tensor: 8}}")
            .find("did you mean 'infiniband-xdr'?") != std::string::npos);
  CHECK(errors_of("{node: hgx-h200, storage: xeon-8380}", "{parallel: {tensor: 8}}")
            .find("this is a card of kind 'cpu'; expected 'storage'") != std::string::npos);
}

TEST_CASE("a node without GPUs computes on its sockets, and pads no batch to a graph") {
  models::serving::DeploymentSpec d;
  CHECK(errors_of("{node: xeon-6980p-2s}", "{weights: int8_wo, parallel: {tensor: 2}}", &d) == "");
  CHECK(d.node.gpus == 2);
  CHECK(d.node.gpu.processor == models::hardware::Processor::cpu);
  CHECK(d.engine.graph_batches.empty());
  // The card's factors for kernels inside the engine were found on GPUs.
  CHECK(d.engine.in_situ.gemm == 1.0);
  CHECK(d.engine.in_situ.prefill == 1.0);
  CHECK(errors_of("{node: xeon-6980p-2s, cpus: 1}", "{weights: int8_wo, parallel: {tensor: 2}}")
            .find("need") != std::string::npos);
}

TEST_CASE("experts on the CPUs need a host with one, and a GPU beside it") {
  models::serving::DeploymentSpec d;
  CHECK(errors_of("{node: rtx-4090-xeon-6454s-2s}", "{weights: int4_wo, experts_on: cpu}", &d) ==
        "");
  CHECK(d.layout.experts_on_host);
  CHECK(errors_of("{node: rtx-4090-x1}", "{experts_on: cpu}").find("names no CPU") !=
        std::string::npos);
  CHECK(errors_of("{node: rtx-4090-x1, cpu: xeon-6454s, cpus: 2}", "{experts_on: cpu}") == "");
  CHECK(errors_of("{node: xeon-6980p-2s}", "{experts_on: cpu, parallel: {tensor: 2}}")
            .find("has no GPU") != std::string::npos);
  CHECK(errors_of("{node: rtx-4090-x1}", "{experts_on: disk}").find("experts_on") !=
        std::string::npos);
}

TEST_CASE("context parallelism in a scenario takes GPUs of its own") {
  models::serving::DeploymentSpec d;
  CHECK(errors_of("{node: hgx-h200, nodes: 2}", "{parallel: {tensor: 8, context: 2}}", &d) == "");
  CHECK(d.layout.gpus() == 16);
  CHECK(errors_of("{node: hgx-h200}", "{parallel: {tensor: 8, context: 2}}").find("16 GPUs") !=
        std::string::npos);
}

TEST_CASE("own measurements: the file must be there, and a GPU without tables goes by its name") {
  const TemporaryFolder folder;
  folder.write("mine.h5", "not looked into here");
  const std::string text =
      "foretoken: 1\nmodel: llama-3.1-8b\nengine: vllm\nhardware: {node: hgx-h20}\n"
      "calibration: mine.h5\nworkload:\n  arrivals: {closed_loop: 1}\n  input: {tokens: 100}\n"
      "  output: {tokens: 10}\n  requests: 1\n";
  const auto scenario = load_scenario(folder.write("s.yaml", text), Catalogue(kRoot));
  CHECK(scenario.calibration == folder.path() / "mine.h5");
  CHECK(scenario.serving.deployment.node.gpu.tables == "h20");
  CHECK(scenario.input_hashes.contains(scenario.calibration.string()));
  CHECK_THROWS_WITH(
      load_scenario(folder.path() / "s.yaml", Catalogue(kRoot), {"calibration=none.h5"}),
      Catch::Contains("no such file: none.h5"));
}

TEST_CASE("catalogue lists every kind with a line on each") {
  const Catalogue catalogue(kRoot);
  for (const char* kind : {"models", "hardware", "engines", "policies", "workloads"}) {
    INFO(kind);
    const auto entries = catalogue.list(kind);
    CHECK(entries.size() >= 2);
    for (const auto& entry : entries) {
      CHECK_FALSE(entry.name.empty());
      CHECK_FALSE(entry.summary.empty());
      CHECK(entry.summary.find("cannot be read") == std::string::npos);
      if (std::string(kind) != "policies") CHECK(fs::exists(entry.file));
    }
  }
  CHECK_THROWS_WITH(catalogue.list("modles"), Catch::Contains("no list of 'modles'"));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
