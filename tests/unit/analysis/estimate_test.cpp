// The closed form beside hand calculations and published figures of machines without measurements.
#include "analysis/estimate.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "models/serving/serving.hpp"
#include "models/serving/step_model.hpp"
#include "scenarios/loader/scenario.hpp"

namespace foretoken::analysis {
namespace {

namespace fs = std::filesystem;
using scenarios::loader::Catalogue;
using scenarios::loader::load_scenario;

const fs::path kRoot = FORETOKEN_SOURCE_DIR;

models::serving::DeploymentSpec deployment(const std::string& scenario,
                                           const std::vector<std::string>& set = {}) {
  return load_scenario(kRoot / "scenarios" / scenario, Catalogue(kRoot), set).serving.deployment;
}

StepEstimate step(const models::serving::DeploymentSpec& d, const StepShape& shape) {
  return estimate_step(d, std::make_shared<models::kernels::Calibration>(), shape);
}

double decode_ms(const models::serving::DeploymentSpec& d, std::int64_t context) {
  return step(d, {StepKind::decode, 1, 1, context}).step_s * 1e3;
}

double prefill_ms(const models::serving::DeploymentSpec& d, std::int64_t tokens) {
  return step(d, {StepKind::prefill, 1, tokens, 0}).step_s * 1e3;
}

constexpr const char* kXeon = "validation/r1-xeon-6980p.yaml";
constexpr const char* kHybrid = "validation/r1-ktransformers-4090.yaml";

TEST_CASE("two Xeon 6980P, fitted: six figures of SGLang within 10 %") {
  const auto int8 = deployment(kXeon);
  CHECK(decode_ms(int8, 1536) == Approx(67.99).epsilon(0.10));
  CHECK(prefill_ms(int8, 1024) == Approx(1885).epsilon(0.10));
  const auto fp8 = deployment(kXeon, {"deployment.weights=fp8"});
  CHECK(decode_ms(fp8, 1536) == Approx(77.72).epsilon(0.10));
  CHECK(prefill_ms(fp8, 1024) == Approx(2235).epsilon(0.10));
  const auto llama = deployment(kXeon, {"model=deepseek-r1-distill-llama-70b"});
  CHECK(decode_ms(llama, 1536) == Approx(76.53).epsilon(0.10));
  CHECK(prefill_ms(llama, 1024) == Approx(2638).epsilon(0.10));
}

TEST_CASE("KTransformers on one RTX 4090 and two Xeon Gold 6454S, left out of the fit: 10 %") {
  const auto dual = deployment(kHybrid);
  CHECK(1e3 / decode_ms(dual, 1930) == Approx(13.4).epsilon(0.10));
  CHECK(1930 * 1e3 / prefill_ms(dual, 1930) == Approx(255.26).epsilon(0.10));
  const auto single = deployment(kHybrid, {"hardware.cpus=1"});
  CHECK(1e3 / decode_ms(single, 500) == Approx(8.73).epsilon(0.10));
}

TEST_CASE("the estimate of a step is the step of a simulation") {
  // One with the engine's corrections, and one whose micro-batches hide part of the exchange.
  for (const auto* scenario : {"quickstart.yaml", "deepseek/profile-prefill.yaml"}) {
    CAPTURE(scenario);
    const auto d = deployment(scenario);
    const auto ranks = d.layout.data_attention;
    const StepEstimate e = step(d, {StepKind::prefill, 2, 4096, 512});
    const models::serving::StepModel model(d, std::make_shared<models::kernels::Calibration>());
    const std::vector<models::llm::Chunk> chunks(static_cast<std::size_t>(2 * ranks), {4096, 512});
    CHECK(e.step_s == Approx(model.cost({0, 0, chunks, 2 * ranks}).seconds));
    double sum = 0;
    for (const auto& row : e.operators) sum += row.seconds;
    CHECK(sum == Approx(e.gpu_s));
    CHECK(e.gpu_s + e.host_s == Approx(e.step_s));
  }
}

TEST_CASE("memory of a hybrid: experts on the host, the rest on the GPU") {
  const auto d = deployment(kHybrid);
  const auto account = models::serving::account_memory(d, 4096);
  // 58 layers x 256 experts x 44,040,192 weights x (0.5 + 2.5 / 128) B = 339.7 GB.
  CHECK(account.host_weights == Approx(58.0 * 256 * 44'040'192 * (0.5 + 2.5 / 128)));
  // KTransformers: 14 GB of the GPU in use with a short context.
  CHECK(account.weights < 14e9);
  CHECK(account.weights > 8e9);
  auto small = d;
  small.node.cpu.memory = models::hardware::Bytes(128e9);
  CHECK_THROWS_WITH(models::serving::account_memory(small, 4096),
                    Catch::Contains("experts take 339.73 GB of host memory"));
}

TEST_CASE("a CPU decodes a dense model at the speed of its memory") {
  // 7B in 16 bits on one Xeon 8380: 13.5 GB less the embedding over 0.85 x 204.8 GB/s = 76 ms, and
  // 32 layers of 12 operators at 28 us: 11 ms.
  const auto d = deployment("quickstart.yaml",
                            {"model=llama-2-7b", "hardware.node=xeon-8380-2s", "hardware.cpus=1",
                             "deployment.weights=bf16", "deployment.parallel.tensor=1"});
  const double ms = decode_ms(d, 128);
  CHECK(ms > 13.2e9 / (0.85 * 204.8e9) * 1e3);
  CHECK(ms == Approx(88).epsilon(0.1));
}

TEST_CASE(
    "KV blocks of the vLLM server on an RTX 4090, whose log fixed the engine's reserve: 2,588") {
  const auto d =
      deployment("quickstart.yaml",
                 {"model=llama-3.1-8b", "engine=vllm-0.19.0", "hardware.node=rtx-4090-x1",
                  "deployment.weights=bf16", "deployment.parallel.tensor=1",
                  "deployment.batching.max_tokens=2048", "deployment.batching.max_sequences=256"});
  CHECK(std::abs(models::serving::account_memory(d, 4096).kv_blocks - 2588) <= 3);
}

}  // namespace
}  // namespace foretoken::analysis
