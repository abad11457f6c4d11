#pragma once
// Results made by hand: three requests whose every metric is worked out in comments, and a larger
// one with the shape of a real run.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "analysis/statistics.hpp"

namespace foretoken::analysis::test {

using models::serving::RequestOutcome;

// Two GPUs rented at 3.6 USD each, 7 CNY a dollar, PUE 1.5.
inline Scenario small_scenario() {
  Scenario s;
  s.name = "Three requests";
  s.file = "three.yaml";
  auto& d = s.serving.deployment;
  d.model.name = "tiny";
  d.layout.tensor = 2;
  d.node.name = "pair";
  d.node.gpus = 2;
  d.engine.name = "engine-1.0";
  s.serving.workload.name = "by hand";
  s.serving.workload.arrivals = models::serving::PoissonArrivals{1.0};
  s.cost.exchange = {7.0, "bank", "2026-11-01"};
  models::cost::Price price;
  price.amount = 3.6;
  price.source = "three.yaml:9";
  price.date = "2026-11-01";
  s.cost.gpu_hour = price;
  price.amount = 0.8;
  price.currency = models::cost::Currency::CNY;
  s.cost.electricity_per_kwh = price;
  s.cost.pue = 1.5;
  s.slo = {{"ttft", "p90", 2.0, "ttft.p90 <= 2s"}, {"tpot", "p99", 1.0, "tpot.p99 <= 1s"}};
  s.resolved = {{"name", "Three requests", "three.yaml:2"},
                {"model", "tiny", "three.yaml:3"},
                {"model.layers", "2", "card tiny"},
                {"deployment.parallel.tensor", "2", "three.yaml:5"},
                {"deployment.replicas", "1", "default"},
                {"slo.0", "ttft.p90 <= 2s", "three.yaml:7"},
                {"slo.1", "tpot.p99 <= 1s", "three.yaml:7"},
                {"cost.gpu_hour", "3.6USD/GPU/h", "three.yaml:9"}};
  s.input_hashes = {{"three.yaml", "fnv1a64:0000000000000001, 10 bytes"}};
  return s;
}

inline void add_request(ServingResult& r, double arrival, double scheduled, double first,
                        double last, int input, int output,
                        RequestOutcome outcome = RequestOutcome::completed) {
  auto& t = r.requests;
  t.arrival_s.push_back(arrival);
  t.scheduled_s.push_back(scheduled);
  t.first_token_s.push_back(first);
  t.last_token_s.push_back(last);
  t.input_tokens.push_back(input);
  t.output_tokens.push_back(output);
  t.preemptions.push_back(0);
  t.replica.push_back(0);
  t.outcome.push_back(outcome);
  ++r.arrived;
  if (outcome == RequestOutcome::completed) {
    ++r.completed;
    r.input_tokens += input;
    r.output_tokens += output;
  } else {
    ++(outcome == RequestOutcome::rejected ? r.rejected : r.unfinished);
  }
}

// Window of 10 s.
//   request  arrival  scheduled  first  last   L   N   TTFT  TPOT            E2EL
//      0        0        0.5       1      3   100   5   1     2/4  = 0.5       3
//      1        1        1         1.5    1.5 200   1   0.5   (one token)      0.5
//      2        2        4         5      9   300  11   3     4/10 = 0.4       7
inline ServingResult small_result() {
  ServingResult r;
  add_request(r, 0, 0.5, 1, 3, 100, 5);
  add_request(r, 1, 1, 1.5, 1.5, 200, 1);
  add_request(r, 2, 4, 5, 9, 300, 11);
  r.window_start_s = 0;
  r.window_end_s = 10;
  r.series.bin_s = 4;
  r.series.running = {1, 2, 1};
  r.series.waiting = {0, 1, 0};
  r.series.kv_used_fraction = {0.2, 0.6, 0.4};
  r.series.batch_tokens = {100, 50, 1};
  r.series.gpu_watts = {80, 95, 70};
  r.series.output_tokens_per_s = {1, 2, 1.25};
  r.steps.start_s = {0.5, 1.0, 4.0};
  r.steps.duration_s = {0.5, 2.0, 5.0};
  r.steps.replica = {0, 0, 0};
  r.steps.prefill_tokens = {100, 200, 300};
  r.steps.decode_sequences = {0, 1, 1};
  r.steps.kv_blocks = {7, 20, 19};
  r.steps.prefill_sequences = {1, 1, 2};
  r.steps.waiting = {0, 1, 0};
  r.steps.swapped_blocks = {0, 0, 3};
  r.time = {2, 1, 0, 0.5, 0.5, 1, 5};
  r.memory = {80e9, 72e9, 40e9, 4e9, 2e9, 26e9, 1000, 16000};
  r.energy = {1700, 3400, 85, 95, sim::core::Provenance::analytical};
  r.sources = {{"gpu/gemm", sim::core::Provenance::measured, 0.6, 0.05},
               {"gpu/attention", sim::core::Provenance::analytical, 0.4, 0.3}};
  r.latency_provenance = sim::core::Provenance::calibrated;
  r.latency_relative_error = r.ttft_relative_error = 0.1;
  r.total_steps = 3;
  r.run.events = 42;
  r.run.hash = 0xabcdef;
  r.run.wall_s = 0.25;
  return r;
}

// n requests over an hour with a busy middle; the numbers only have to look like a run.
inline ServingResult large_result(int n) {
  ServingResult r;
  for (int i = 0; i < n; ++i) {
    const double x = static_cast<double>(i) / n;
    const double load = 1.0 + std::sin(3.14159 * x);
    const double wait = 0.02 * std::exp(3.0 * load - 3.0) * (1 + i % 7);
    const int output = 20 + (i * 7919) % 480;
    const double arrival = 3500.0 * x, first = arrival + wait + 0.08 + 1e-4 * (i % 997);
    add_request(r, arrival, arrival + wait, first,
                first + (output - 1) * 0.012 * load * (1 + 0.1 * (i % 5)),
                200 + (i * 104729) % 3800, output);
  }
  for (const double last : r.requests.last_token_s) r.window_end_s = std::max(r.window_end_s, last);
  r.series.bin_s = 4;
  for (int i = 0; i * 4 < 3520; ++i) {
    const double load = 1.0 + std::sin(3.14159 * i / 880.0) + 0.15 * std::sin(i * 1.7);
    r.series.running.push_back(20 * load);
    r.series.waiting.push_back(load > 1.9 ? 12 * (load - 1.9) : 0);
    r.series.kv_used_fraction.push_back(0.2 * load);
    r.series.batch_tokens.push_back(150 * load);
    r.series.gpu_watts.push_back(200 + 180 * load);
    r.series.output_tokens_per_s.push_back(600 * load);
  }
  for (int i = 0; i < 60000; ++i) {
    r.steps.start_s.push_back(3500.0 * i / 60000);
    r.steps.duration_s.push_back(0.02 + 1e-5 * (i % 977));
    r.steps.replica.push_back(0);
    r.steps.prefill_tokens.push_back(i % 9 == 0 ? 700 + i % 1300 : 0);
    r.steps.decode_sequences.push_back(static_cast<int>(20 * (1 + std::sin(i / 19000.0))) + i % 5);
    r.steps.kv_blocks.push_back(4000 + i % 9000);
    r.steps.prefill_sequences.push_back(i % 9 == 0 ? 1 : 0);
    r.steps.waiting.push_back(i % 7);
    r.steps.swapped_blocks.push_back(0);
  }
  r.time = {800, 500, 1100, 400, 150, 210, 340};
  r.memory = {141e9, 127e9, 84e9, 6e9, 3.5e9, 33.5e9, 40000, 640000};
  r.energy = {8 * 430.0 * 3510, 1.62 * 8 * 430.0 * 3510, 430, 612,
              sim::core::Provenance::analytical};
  using sim::core::Provenance;
  r.sources = {{"h200_sxm/moe.sglang-0.5.10", Provenance::measured, 0.36, 0.11},
               {"h200_sxm/gemm.sglang-0.5.10", Provenance::measured, 0.25, 0.07},
               {"h200_sxm/mla_generation.sglang-0.5.9", Provenance::calibrated, 0.19, 0.15},
               {"h200_sxm/custom_allreduce.trtllm-1.2", Provenance::calibrated, 0.13, 0.2},
               {"host model sglang-0.5.9", Provenance::assumed, 0.07, 0.35}};
  r.latency_provenance = Provenance::calibrated;
  r.latency_relative_error = r.ttft_relative_error = 0.127;
  r.total_steps = 60000;
  r.run.events = 81000;
  r.run.end = sim::core::Time::from_ps(3'510'000'000'000'000);
  return r;
}

// A folder of its own, gone at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "foretoken-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace foretoken::analysis::test
