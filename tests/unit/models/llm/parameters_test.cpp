#include <catch2/catch.hpp>

#include "models/llm/layout.hpp"
#include "tests/unit/models/llm/models.hpp"

using namespace foretoken::models::llm;
using namespace foretoken::models::llm::testing;
using foretoken::models::hardware::DType;

TEST_CASE("parameters of Llama-70B, added up by hand") {
  // attention: q 8192x8192 + k,v 2 x 8192x1024 + o 8192x8192      = 150,994,944
  // feed-forward: 3 x 8192 x 28672                                = 704,643,072
  // norms: 2 x 8192 = 16,384; a layer                             = 855,654,400
  // 80 layers 68,452,352,000 + embedding and head 2 x 128256 x 8192 = 2,101,346,304 + norm 8192
  const auto count = count_parameters(llama_70b());
  CHECK(count.attention_per_layer == 150'994'944);
  CHECK(count.dense_mlp_per_layer == 704'643'072);
  CHECK(count.total == 70'553'706'496);
  CHECK(count.active == count.total);
  CHECK(count.mtp == 0);
}

TEST_CASE("parameters of GPT-3, added up by hand") {
  // A layer: attention 4 x 12288^2 + 4 x 12288 = 604,028,928; feed-forward 8 x 12288^2 + 49152 +
  // 12288 = 1,208,020,992; two LayerNorms 4 x 12288 = 49,152.
  // Embedding 50257 x 12288 = 617,558,016, positions 2048 x 12288 = 25,165,824, final norm 24,576.
  const std::int64_t layer = 604'028'928 + 1'208'020'992 + 49'152;
  const auto count = count_parameters(gpt3());
  CHECK(count.embedding == 617'558'016 + 25'165'824);
  CHECK(count.head == 0);
  CHECK(count.total == 96 * layer + 617'558'016 + 25'165'824 + 24'576);
  CHECK(static_cast<double>(count.total) == Approx(175e9).epsilon(0.003));  // as published
}

TEST_CASE("parameters of DeepSeek-V3, added up by hand and as published") {
  // attention: 7168 x (1536 + 512 + 64) = 15,138,816; q_b 1536 x 128 x 192 = 37,748,736;
  // kv_b 512 x 128 x 256 = 16,777,216; o 16384 x 7168 = 117,440,512; sum 187,105,280
  // expert 3 x 7168 x 2048 = 44,040,192; dense 3 x 7168 x 18432 = 396,361,728
  const auto count = count_parameters(deepseek_v3());
  CHECK(count.attention_per_layer == 187'105'280);
  CHECK(count.expert == 44'040'192);
  CHECK(count.dense_mlp_per_layer == 396'361'728);
  CHECK(static_cast<double>(count.total) / 1e9 == Approx(671.03).margin(0.005));
  CHECK(static_cast<double>(count.active) / 1e9 == Approx(37.55).margin(0.005));
  // README_WEIGHTS: 11.5B unique to the MTP module
  CHECK(static_cast<double>(count.mtp) / 1e9 == Approx(11.5).epsilon(0.012));
}

TEST_CASE("parameters of gpt-oss-120b: 116.83B as published, sinks and biases included") {
  CHECK(count_parameters(gpt_oss()).total == 116'829'156'672);
}

TEST_CASE("KV bytes per token") {
  // V3: 61 layers x (512 + 64) x 2 = 70,272; at 8 bits half of it
  CHECK(kv_bytes_per_token(deepseek_v3(), DType::bf16) == 70'272);
  CHECK(kv_bytes_per_token(deepseek_v3(), DType::fp8) == 35'136);
  // Llama-70B: 80 x 2 x 8 x 128 x 2 = 327,680
  CHECK(kv_bytes_per_token(llama_70b(), DType::bf16) == 327'680);
  // V3.2 at 8 bits: 61 x 656 (latent 512, scales 16, rope 128) + index keys 61 x 132
  auto v32 = deepseek_v3();
  v32.attention.sparse = SparseIndexSpec{64, 128, 2048};
  CHECK(kv_bytes_per_token(v32, DType::fp8) == 40'016 + 8'052);
  CHECK(kv_bytes_per_token(v32, DType::bf16) == 70'272 + 8'052);
  CHECK(static_cast<double>(count_parameters(v32).total) / 1e9 == Approx(671.88).margin(0.005));
}

TEST_CASE("layers by kind") {
  CHECK(moe_layers(deepseek_v3()) == 58);
  CHECK(dense_layers(deepseek_v3()) == 3);
  CHECK(full_attention_layers(gpt_oss()) == 18);
  CHECK(full_attention_layers(llama_70b()) == 80);
  auto all_windowed = gpt_oss();
  all_windowed.attention.full_attention_every = 0;
  CHECK(full_attention_layers(all_windowed) == 0);
}

TEST_CASE("weight formats: bytes with scales, and names both ways") {
  CHECK(bytes_per_weight(WeightFormat::bf16) == 2.0);
  CHECK(bytes_per_weight(WeightFormat::fp8_block) == 1.0 + 4.0 / 16384);
  CHECK(bytes_per_weight(WeightFormat::nvfp4) == 0.5625);
  CHECK(bytes_per_weight(WeightFormat::mxfp4) == 0.53125);
  for (const auto format :
       {WeightFormat::bf16, WeightFormat::fp16, WeightFormat::fp8, WeightFormat::fp8_block,
        WeightFormat::int8_wo, WeightFormat::int4_wo, WeightFormat::nvfp4, WeightFormat::mxfp4})
    CHECK(parse_weight_format(to_string(format)) == format);
  CHECK(parse_weight_format("bfloat16") == WeightFormat::bf16);
  CHECK_FALSE(parse_weight_format("fp7"));
}
