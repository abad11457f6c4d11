#include "validation/serving/row_scenario.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"
#include "validation/serving/assumptions.hpp"

using namespace foretoken::validation::serving;
namespace serving = foretoken::models::serving;
using foretoken::models::hardware::DType;
using foretoken::models::llm::WeightFormat;

namespace {

const RowReader& reader() {
  static const RowReader one(foretoken::scenarios::loader::Catalogue(FORETOKEN_SOURCE_DIR), {});
  return one;
}

ServedRow row() {
  ServedRow r;
  r.id = "x";
  r.source = "inferencex";
  r.model = "DeepSeek-R1";
  r.gpu = "b200_sxm";
  r.engine = "sglang";
  r.engine_version = "0.5.9";
  r.precision = "fp4";
  r.input_tokens = 1024;
  r.output_tokens = 512;
  r.concurrency = 32;
  r.tp = r.moe_tp = 8;
  return r;
}

}  // namespace

TEST_CASE("Names of models are compared without organisation and suffixes") {
  CHECK(plain_model_name("deepseek-ai/DeepSeek-R1") == "deepseek-r1");
  CHECK(plain_model_name("meta-llama--Meta-Llama-3.1-70B-Instruct_config.json") == "llama-3.1-70b");
  CHECK(plain_model_name("Qwen--Qwen3-235B-A22B-FP8_config.json") == "qwen3-235b-a22b");
}

TEST_CASE("A row becomes the closed loop that it was") {
  const auto spec = reader().scenario(row());
  const auto& d = spec.deployment;
  CHECK(d.model.name == "deepseek-r1");
  CHECK(d.node.gpu.name == "b200-sxm");
  CHECK(d.node.gpus == 8);
  CHECK(d.precision.weights == WeightFormat::nvfp4);
  CHECK(d.precision.kv == DType::fp8);
  CHECK(d.engine.poll_steps == 30);
  CHECK(std::get<serving::ClosedLoopArrivals>(spec.workload.arrivals).concurrency == 32);
  CHECK(spec.workload.requests == 320);
  CHECK(spec.workload.input.low_fraction == 0.8);
}

TEST_CASE("The checkpoint wins over labels") {
  ServedRow r = row();
  r.model = "gpt-oss-120b";
  CHECK(reader().scenario(r).deployment.precision.weights == WeightFormat::mxfp4);
  r.model = "DeepSeek-R1";
  r.precision = "fp8";
  CHECK(reader().scenario(r).deployment.precision.weights == WeightFormat::fp8_block);
}

TEST_CASE("A row that cannot be predicted says why") {
  const auto refuses = [](ServedRow r, const char* words) {
    CHECK_THROWS_WITH(reader().scenario(r), Catch::Contains(words));
  };
  ServedRow r = row();
  r.model = "Unheard-Of-9B";
  refuses(r, "neither in the catalogue nor in --config-dir");
  r = row();
  r.gpu = "z9000";
  refuses(r, "no node card holds the GPU 'z9000'");
  r = row();
  r.moe_tp = 4;
  refuses(r, "moe_tp 4 x moe_ep 1 is not tp 8 x attention_dp 1");
  r = row();
  r.precision = "int3";
  refuses(r, "precision 'int3'");
  r = row();
  r.engine = "lmdeploy";
  refuses(r, "no engine 'lmdeploy'");
  r = row();
  r.output_tokens = 1 << 20;
  refuses(r, "longer than the context");
}

TEST_CASE("Settings reach the scenario; an unknown one is an error") {
  auto spec = reader().scenario(row());
  apply_settings({{"gemm", 0.25}, {"host_step_us", 750}, {"slots_fewer", 1}, {"low_output", 1}},
                 spec);
  CHECK(spec.deployment.engine.in_situ.gemm == 0.25);
  CHECK(spec.deployment.engine.host_step_s == Approx(750e-6));
  CHECK(spec.deployment.batching.max_sequences == 31);
  CHECK(spec.workload.output.low_fraction == 1);
}
