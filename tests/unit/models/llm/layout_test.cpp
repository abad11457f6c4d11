#include "models/llm/layout.hpp"

#include <catch2/catch.hpp>
#include <numeric>

#include "tests/unit/models/llm/models.hpp"

using namespace foretoken::models::llm;
using namespace foretoken::models::llm::testing;
using foretoken::models::hardware::DType;

namespace {

Layout layout(int tensor, int pipeline = 1, int data_attention = 1, int expert = 1) {
  Layout out;
  out.tensor = tensor;
  out.pipeline = pipeline;
  out.data_attention = data_attention;
  out.expert = expert;
  return out;
}

std::string only_error(const ModelSpec& model, const Layout& l) {
  const auto errors = layout_errors(model, l);
  REQUIRE(errors.size() == 1);
  return errors[0];
}

}  // namespace

TEST_CASE("layouts in use raise no objection") {
  CHECK(layout_errors(deepseek_v3(), layout(8)).empty());
  CHECK(layout_errors(deepseek_v3(), layout(1, 1, 8, 8)).empty());
  CHECK(layout_errors(llama_70b(), layout(8, 2)).empty());
  CHECK(layout_errors(llama_70b(), layout(16)).empty());  // 8 KV heads, each held twice
  auto redundant = layout(1, 1, 32, 32);                  // DeepSeek's prefill unit
  redundant.redundant_experts = 32;
  CHECK(layout_errors(deepseek_v3(), redundant).empty());
  auto two_nodes = layout(8, 2);
  two_nodes.uneven_stages = true;
  CHECK(layout_errors(deepseek_v3(), two_nodes).empty());
}

TEST_CASE("a layout that does not divide is refused with the divisor named") {
  using Catch::Matchers::Contains;
  CHECK_THAT(only_error(llama_70b(), layout(0)), Contains("tensor is 0"));
  CHECK_THAT(only_error(deepseek_v3(), layout(8, 2)),
             Contains("pipeline 2 does not divide the 61"));
  CHECK_THAT(only_error(deepseek_v3(), layout(8, 1, 1, 3)),
             Contains("expert 3 does not divide the 8"));
  CHECK_THAT(only_error(llama_70b(), layout(8, 1, 1, 2)), Contains("no experts"));
  CHECK_THAT(only_error(llama_70b(), layout(1, 100)), Contains("exceeds the 80 layers"));
  auto redundant = layout(1, 1, 32, 32);
  redundant.redundant_experts = 5;
  CHECK_THAT(only_error(deepseek_v3(), redundant), Contains("261 experts (redundant"));
  // 3 divides neither 64 heads, 8 KV heads nor 28672: each is told
  CHECK(layout_errors(llama_70b(), layout(3)).size() == 3);
}

TEST_CASE("stages take what is left over before the last") {
  CHECK(stage_layers(80, 4) == std::vector<int>{20, 20, 20, 20});
  CHECK(stage_layers(61, 2) == std::vector<int>{31, 30});
  CHECK(stage_layers(10, 4) == std::vector<int>{2, 3, 3, 2});
  CHECK(stage_layers(7, 1) == std::vector<int>{7});
}

TEST_CASE("weight bytes: one GPU holds every parameter once") {
  const Precision bf16;
  CHECK(weight_bytes_per_gpu(llama_70b(), layout(1), bf16).value() == 2.0 * 70'553'706'496);
  CHECK(weight_bytes_per_gpu(gpt3(), layout(1), {WeightFormat::fp16, DType::fp16, DType::fp16})
            .value() == 2.0 * static_cast<double>(count_parameters(gpt3()).total));
}

TEST_CASE("weight bytes by format") {
  // V3 in FP8 blocks: 671.03e9 - (embedding, head, router, norms in 16 bits), 1.000244 B each.
  // 2 x 926,679,040 + 58 x 7168 x 256 = 1.960e9 stay in 16 bits: 669.07 x 1.000244 + 3.92 = 673.1
  const Precision fp8{WeightFormat::fp8_block, DType::bf16, DType::bf16};
  CHECK(weight_bytes_per_gpu(deepseek_v3(), layout(1), fp8).value() / 1e9 ==
        Approx(673.15).margin(0.1));
  // NVIDIA's FP4 checkpoint of R1: about 400 GB
  const Precision fp4{WeightFormat::nvfp4, DType::fp8, DType::bf16};
  CHECK(weight_bytes_per_gpu(deepseek_v3(), layout(1), fp4).value() / 1e9 ==
        Approx(400).epsilon(0.03));
  // gpt-oss-120b: 60.8 GiB on disk (model card)
  const Precision mx{WeightFormat::mxfp4, DType::bf16, DType::bf16};
  CHECK(weight_bytes_per_gpu(gpt_oss(), layout(1), mx).value() / (1 << 30) ==
        Approx(60.8).epsilon(0.01));
  CHECK(weight_format(gpt_oss(), mx, WeightRole::attention) == WeightFormat::bf16);
  CHECK(weight_format(llama_70b(), mx, WeightRole::attention) == WeightFormat::mxfp4);
  CHECK(weight_format(deepseek_v3(), fp4, WeightRole::attention) == WeightFormat::bf16);
  CHECK(weight_format(deepseek_v3(), fp8, WeightRole::router) == WeightFormat::bf16);
}

TEST_CASE("weight bytes per GPU: split, copied, staged") {
  const Precision fp8{WeightFormat::fp8_block, DType::bf16, DType::bf16};
  const double whole = weight_bytes_per_gpu(deepseek_v3(), layout(1), fp8).value();
  const double tp8 = weight_bytes_per_gpu(deepseek_v3(), layout(8), fp8).value();
  // Latent down-projections (61 x 15.1 MB), routers (58 x 3.7 MB) and norms are copied: + 1 %
  CHECK(tp8 > whole / 8);
  CHECK(tp8 < whole / 8 * 1.015);
  // Attention copied on 8 ranks, experts split over them: 61 x (187.1 MB x 7/8) more than tp8, and
  // the dense layers, shared experts, embedding and head whole on each rank
  const double dp8 = weight_bytes_per_gpu(deepseek_v3(), layout(1, 1, 8, 8), fp8).value();
  CHECK(dp8 > tp8 + 61 * 187.1e6 * 7 / 8 * 0.9);
  CHECK(dp8 < whole / 8 + 61 * 187.1e6 + 3 * 396.4e6 + 58 * 44.1e6 + 2 * 1853.4e6);
  // Two stages of Llama-70B: the last holds 40 layers, head and norm, the first as much less the
  // norm
  const double two = weight_bytes_per_gpu(llama_70b(), layout(1, 2), Precision{}).value();
  CHECK(two == 2.0 * (40 * 855'654'400.0 + 128256.0 * 8192 + 8192));
  // 32 redundant copies of 256 experts on 32 ranks: 9 a rank instead of 8
  auto prefill = layout(1, 1, 32, 32);
  const double plain = weight_bytes_per_gpu(deepseek_v3(), prefill, fp8).value();
  prefill.redundant_experts = 32;
  CHECK(weight_bytes_per_gpu(deepseek_v3(), prefill, fp8).value() - plain ==
        Approx(58.0 * 44'040'192 * (1 + 4.0 / 16384)));
}

TEST_CASE("a tied head is held once unless stages part it from the embedding") {
  ModelSpec m = llama_8b();
  m.tied_embeddings = true;
  const double matrix = 2.0 * 128256 * 4096;
  const double untied = weight_bytes_per_gpu(llama_8b(), layout(1), Precision{}).value();
  CHECK(weight_bytes_per_gpu(m, layout(1), Precision{}).value() == untied - matrix);
  CHECK(weight_bytes_per_gpu(m, layout(1, 2), Precision{}).value() ==
        weight_bytes_per_gpu(llama_8b(), layout(1, 2), Precision{}).value());
}

TEST_CASE("KV bytes per GPU: heads are split, then copied; the latent is on every rank") {
  const Precision bf16;
  CHECK(kv_bytes_per_token_per_gpu(llama_70b(), layout(4), bf16) == 327'680 / 4.0);
  CHECK(kv_bytes_per_token_per_gpu(llama_70b(), layout(8), bf16) == 327'680 / 8.0);
  CHECK(kv_bytes_per_token_per_gpu(llama_70b(), layout(16), bf16) == 327'680 / 8.0);
  CHECK(kv_bytes_per_token_per_gpu(deepseek_v3(), layout(8), bf16) == 70'272);
  CHECK(kv_bytes_per_token_per_gpu(llama_70b(), layout(1, 2), bf16) == 327'680 / 2.0);
}

TEST_CASE("experts in host memory: off the GPUs, all of them on the host, one node, no spreading") {
  const Precision int4{WeightFormat::int4_wo, DType::bf16, DType::bf16};
  Layout host = layout(1);
  host.experts_on_host = true;
  CHECK(layout_errors(deepseek_v3(), host).empty());
  // 58 layers x 256 experts x 44,040,192 weights x (0.5 + 2.5 / 128) B
  const double experts = 58.0 * 256 * 44'040'192 * (0.5 + 2.5 / 128);
  CHECK(host_weight_bytes(deepseek_v3(), host, int4).value() == Approx(experts));
  CHECK(host_weight_bytes(deepseek_v3(), layout(1), int4).value() == 0);
  CHECK(weight_bytes_per_gpu(deepseek_v3(), layout(1), int4).value() -
            weight_bytes_per_gpu(deepseek_v3(), host, int4).value() ==
        Approx(experts));
  CHECK(layout_errors(llama_70b(), host).size() == 1);
  host.tensor = 8;
  host.gpus_per_node = 8;
  CHECK(layout_errors(deepseek_v3(), host).empty());
  host.expert = 8;
  CHECK(layout_errors(deepseek_v3(), host).size() == 1);
  host.expert = 1;
  host.gpus_per_node = 4;
  CHECK(layout_errors(deepseek_v3(), host).size() == 1);
}
