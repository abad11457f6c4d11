#include "scenarios/loader/model_config.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <set>

#include "models/llm/layout.hpp"
#include "sim/core/error.hpp"

using namespace foretoken;
using models::hardware::DType;
using models::llm::count_parameters;
using models::llm::ModelSpec;
using models::llm::WeightFormat;
using scenarios::loader::parse_model_config;
using scenarios::loader::read_model_config;
namespace fs = std::filesystem;

namespace {

const fs::path kModels = fs::path(FORETOKEN_SOURCE_DIR) / "scenarios/models";

ModelSpec catalogue(const std::string& name) {
  return read_model_config(kModels / (name + ".json"));
}

std::string text_of(const std::string& name) {
  std::ifstream in(kModels / (name + ".json"));
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<sim::core::Diagnostic> problems(const std::string& text) {
  try {
    parse_model_config(text, "card.json");
  } catch (const sim::core::InputError& error) {
    return error.diagnostics();
  }
  return {};
}

// The only problem of a text.
sim::core::Diagnostic problem(const std::string& text) {
  const auto list = problems(text);
  for (const auto& d : list) UNSCOPED_INFO(d.message);
  REQUIRE(list.size() == 1);
  return list[0];
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

const std::string kLlama = R"({
  "architectures": ["LlamaForCausalLM"],
  "hidden_size": 4096,
  "intermediate_size": 11008,
  "num_hidden_layers": 32,
  "num_attention_heads": 32,
  "max_position_embeddings": 4096,
  "torch_dtype": "float16",
  "vocab_size": 32000
})";

struct Published {
  const char* name;
  double total, active;  // billions
  double kv;             // bytes per token in 16 bits
};

// Totals and KV as published or computed from published dimensions elsewhere; 0 = all are active.
const Published kPublished[] = {
    {"deepseek-v2-lite", 15.706, 2.66, 31'104},
    {"deepseek-v2", 235.74, 21.38, 69'120},
    {"deepseek-v2.5", 235.74, 21.38, 69'120},
    {"deepseek-v3", 671.03, 37.55, 70'272},
    {"deepseek-r1", 671.03, 37.55, 70'272},
    {"deepseek-v3.1", 671.03, 37.55, 70'272},
    {"deepseek-v3.2", 671.88, 38.40, 70'272 + 61 * 132},  // and the index keys
    {"kimi-k2", 1026.41, 32.86, 70'272},                  // published as 1.04T and 32B
    {"deepseek-llm-7b", 6.910, 0, 491'520},
    {"deepseek-llm-67b", 67.425, 0, 389'120},
    {"deepseek-coder-1.3b", 1.346, 0, 196'608},
    {"deepseek-coder-6.7b", 6.741, 0, 524'288},
    {"deepseek-coder-33b", 33.343, 0, 253'952},
    {"deepseek-moe-16b", 16.376, 2.83, 229'376},
    {"deepseek-r1-distill-qwen-1.5b", 1.777, 0, 28'672},
    {"deepseek-r1-distill-qwen-7b", 7.616, 0, 57'344},
    {"deepseek-r1-distill-qwen-14b", 14.770, 0, 196'608},
    {"deepseek-r1-distill-qwen-32b", 32.764, 0, 262'144},
    {"deepseek-r1-distill-llama-8b", 8.030, 0, 131'072},
    {"deepseek-r1-distill-llama-70b", 70.554, 0, 327'680},
    {"llama-2-7b", 6.738, 0, 524'288},
    {"llama-3.1-8b", 8.030, 0, 131'072},
    {"llama-3.1-70b", 70.554, 0, 327'680},
    {"llama-3.3-70b", 70.554, 0, 327'680},
    {"llama-3.1-405b", 405.853, 0, 516'096},
    {"qwen3-8b", 8.191, 0, 147'456},
    {"qwen3-32b", 32.762, 0, 262'144},
    {"qwen3-30b-a3b", 30.532, 3.35, 98'304},
    {"qwen3-235b-a22b", 235.094, 22.19, 192'512},
    {"mixtral-8x7b", 46.703, 12.88, 131'072},
    {"gpt-oss-120b", 116.829, 5.71, 73'728},
    {"generic-40b", 40.434, 0, 229'376},
    {"generic-65b", 65.286, 0, 2'621'440},
    {"generic-175b", 174.604, 0, 4'718'592},
    {"gpt-3-175b", 174.604, 0, 4'718'592},
};

}  // namespace

TEST_CASE("every card of the catalogue has its published totals") {
  std::set<std::string> tested;
  for (const auto& row : kPublished) {
    INFO(row.name);
    const ModelSpec model = catalogue(row.name);
    const auto count = count_parameters(model);
    CHECK(model.name == row.name);
    CHECK(static_cast<double>(count.total) / 1e9 == Approx(row.total).margin(0.0051));
    const double active = row.active > 0 ? row.active : row.total;
    CHECK(static_cast<double>(count.active) / 1e9 == Approx(active).margin(0.0051));
    CHECK(kv_bytes_per_token(model, DType::bf16) == row.kv);
    CHECK(models::llm::layout_errors(model, {}).empty());
    tested.insert(row.name);
  }
  for (const auto& entry : fs::directory_iterator(kModels))
    if (entry.path().extension() == ".json") CHECK(tested.contains(entry.path().stem().string()));
}

TEST_CASE("structure beyond the sizes") {
  const auto v3 = catalogue("deepseek-v3");
  REQUIRE(v3.attention.mla);
  CHECK(v3.attention.mla->q_lora_rank == 1536);
  CHECK(v3.moe->first_dense_layers == 3);
  CHECK(v3.mtp_layers == 1);
  CHECK(v3.checkpoint == WeightFormat::fp8_block);
  CHECK(catalogue("deepseek-v2-lite").attention.mla->q_lora_rank == 0);
  CHECK(catalogue("deepseek-v3.2").attention.sparse->top_k == 2048);
  CHECK(catalogue("qwen3-8b").attention.qk_norm);
  CHECK(catalogue("deepseek-r1-distill-qwen-7b").attention.qkv_bias);
  CHECK_FALSE(catalogue("deepseek-r1-distill-qwen-7b").attention.output_bias);
  CHECK(catalogue("deepseek-r1-distill-qwen-7b").attention.sliding_window == 0);
  const auto oss = catalogue("gpt-oss-120b");
  CHECK(oss.attention.sliding_window == 128);
  CHECK(models::llm::full_attention_layers(oss) == 18);
  CHECK(oss.checkpoint == WeightFormat::mxfp4);
  const auto gpt3 = catalogue("gpt-3-175b");
  CHECK(gpt3.tied_embeddings);
  CHECK_FALSE(gpt3.gated_mlp);
  CHECK(gpt3.checkpoint == WeightFormat::fp16);
}

TEST_CASE("defaults of the Llama family") {
  const auto model = parse_model_config(kLlama, "some/org--Thing_config.json");
  CHECK(model.name == "Thing");
  CHECK(model.attention.kv_heads == 32);
  CHECK(model.attention.head_dim == 128);
  CHECK(model.checkpoint == WeightFormat::fp16);
  CHECK(parse_model_config(kLlama, "cards/mine/config.json").name == "mine");
}

TEST_CASE("MPT: 13B by hand") {
  // 40 layers of 12 x 5120^2 (no biases) + 2 x 5120; embedding 50368 x 5120 tied; positions
  // 2048 x 5120; final norm 5120: 12,852,024,320
  const auto mpt = parse_model_config(R"({"architectures": ["MPTForCausalLM"], "d_model": 5120,
      "n_heads": 40, "n_layers": 40, "expansion_ratio": 4, "max_seq_len": 2048, "no_bias": true,
      "vocab_size": 50368, "learned_pos_emb": true, "attn_config": {"attn_impl": "flash"}})",
                                      "mpt-13b.json");
  CHECK(count_parameters(mpt).total ==
        40LL * (12LL * 5120 * 5120 + 2 * 5120) + 50368LL * 5120 + 2048LL * 5120 + 5120);
}

TEST_CASE("windows: Mistral in every layer, Qwen only when switched on") {
  const auto mistral = parse_model_config(
      replaced(replaced(kLlama, "Llama", "Mistral"), "{\n", "{\n  \"sliding_window\": 4096,\n"),
      "m");
  CHECK(mistral.attention.sliding_window == 4096);
  CHECK(models::llm::full_attention_layers(mistral) == 0);
  const auto qwen = replaced(replaced(kLlama, "Llama", "Qwen2"), "{\n",
                             "{\n  \"sliding_window\": 4096, \"max_window_layers\": 20,\n");
  CHECK(parse_model_config(qwen, "q").attention.sliding_window == 0);
  CHECK_THAT(problem(replaced(qwen, "{\n", "{\n \"use_sliding_window\": true,\n")).message,
             Catch::Contains("20 of 32 layers attend fully"));
}

TEST_CASE("quantised checkpoints") {
  const auto with = [](const std::string& quant) {
    return parse_model_config(
               replaced(kLlama, "{\n", "{\n\"quantization_config\": " + quant + ",\n"), "card.json")
        .checkpoint;
  };
  CHECK(with(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})") ==
        WeightFormat::fp8_block);
  CHECK(with(R"({"quant_method": "fp8"})") == WeightFormat::fp8);
  CHECK(with(R"({"quant_method": "fbgemm_fp8"})") == WeightFormat::fp8);
  CHECK(with(R"({"quant_method": "gptq", "bits": 4, "group_size": 128})") == WeightFormat::int4_wo);
  CHECK(with(R"({"quant_method": "awq", "bits": 4})") == WeightFormat::int4_wo);
  CHECK(with(R"({"quant_method": "gptq", "bits": 8})") == WeightFormat::int8_wo);
  CHECK(with(R"({"quant_method": "bitsandbytes", "load_in_8bit": true})") == WeightFormat::int8_wo);
  CHECK(with(R"({"quant_method": "modelopt", "quant_algo": "NVFP4"})") == WeightFormat::nvfp4);
  CHECK(with(R"({"quant_method": "compressed-tensors", "config_groups": {"group_0":
      {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}})") ==
        WeightFormat::fp8);
  CHECK(with(R"({"quant_method": "compressed-tensors", "config_groups": {"group_0":
      {"weights": {"num_bits": 4, "type": "int", "group_size": 128},
       "input_activations": null}}})") == WeightFormat::int4_wo);
}

TEST_CASE("4-bit floats: NVIDIA's in groups of 16, the MX ones of 32, and AMD's") {
  const auto with = [](const std::string& quant) {
    return parse_model_config(
               replaced(kLlama, "{\n", "{\n\"quantization_config\": " + quant + ",\n"), "card.json")
        .checkpoint;
  };
  const std::string tensors =
      R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights":
      {"num_bits": 4, "type": "float", "strategy": "group", "group_size": )";
  CHECK(with(tensors + "16}}}}") == WeightFormat::nvfp4);
  CHECK(with(tensors + "32}}}}") == WeightFormat::mxfp4);
  CHECK(with(R"({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4"}}})") ==
        WeightFormat::mxfp4);
  CHECK(with(R"({"quant_method": "auto-round", "bits": 4})") == WeightFormat::int4_wo);
}

TEST_CASE("rope scaling of every form leaves the shapes alone") {
  for (const char* rope :
       {R"("rope_scaling": null)", R"("rope_scaling": {"type": "linear", "factor": 2.0})",
        R"("rope_scaling": {"rope_type": "dynamic", "factor": 2.0})",
        R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0})",
        R"("rope_scaling": {"rope_type": "longrope", "short_factor": [1.0, 2.0]})",
        R"("rope_scaling": {"type": "yarn", "factor": 40, "mscale": 1.0, "beta_fast": 32})",
        R"("rope_parameters": {"rope_type": "default", "rope_theta": 500000.0})"}) {
    INFO(rope);
    const auto model =
        parse_model_config(replaced(kLlama, "{\n", std::string("{\n  ") + rope + ",\n"), "m.json");
    CHECK(count_parameters(model).total == 6'738'415'616);
    CHECK(model.max_positions == 4096);
  }
}

TEST_CASE("configs as published, of models that have no card here") {
  // Qwen3-Coder-480B-A35B: 62 layers, 160 experts of 3 x 6144 x 2560; published as 480B and 35B.
  const auto coder = parse_model_config(R"({"architectures": ["Qwen3MoeForCausalLM"],
      "attention_bias": false, "decoder_sparse_step": 1, "head_dim": 128, "hidden_size": 6144,
      "intermediate_size": 8192, "max_position_embeddings": 262144, "max_window_layers": 62,
      "mlp_only_layers": [], "moe_intermediate_size": 2560, "norm_topk_prob": true,
      "num_attention_heads": 96, "num_experts": 160, "num_experts_per_tok": 8,
      "num_hidden_layers": 62, "num_key_value_heads": 8, "qkv_bias": false, "use_qk_norm": true,
      "shared_expert_intermediate_size": 0, "sliding_window": null, "use_sliding_window": false,
      "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 151936})",
                                        "coder.json");
  CHECK(static_cast<double>(count_parameters(coder).total) == Approx(480e9).epsilon(0.005));
  CHECK(static_cast<double>(count_parameters(coder).active) == Approx(35e9).epsilon(0.02));
  // gpt-oss-20b: 24 layers, 32 experts; published as 20.9B total, 3.6B active.
  auto text =
      replaced(text_of("gpt-oss-120b"), "\"num_hidden_layers\": 36", "\"num_hidden_layers\": 24");
  text = replaced(text, "\"num_local_experts\": 128", "\"num_local_experts\": 32");
  const auto begin = text.find("\"layer_types\"");
  const auto end = text.find(']', begin) + 1;
  std::string types;
  for (int i = 0; i < 12; ++i)
    types += std::string(i > 0 ? ", " : "") + R"("sliding_attention", "full_attention")";
  text.replace(begin, end - begin, "\"layer_types\": [" + types + "]");
  const auto oss = parse_model_config(text, "gpt-oss-20b.json");
  CHECK(static_cast<double>(count_parameters(oss).total) == Approx(20.9e9).epsilon(0.005));
  const auto count = count_parameters(oss);  // published without the embedding
  CHECK(static_cast<double>(count.active - count.embedding) == Approx(3.6e9).epsilon(0.02));
  // Kimi-K2 on DeepSeek-V3's architecture: 384 experts, 64 heads, one dense layer; 1.04T and 32B.
  auto kimi = text_of("deepseek-v3");
  for (const auto& [from, to] : std::vector<std::pair<const char*, const char*>>{
           {"\"n_routed_experts\": 256", "\"n_routed_experts\": 384"},
           {"\"num_attention_heads\": 128", "\"num_attention_heads\": 64"},
           {"\"num_key_value_heads\": 128", "\"num_key_value_heads\": 64"},
           {"\"first_k_dense_replace\": 3", "\"first_k_dense_replace\": 1"},
           {"\"vocab_size\": 129280", "\"vocab_size\": 163840"}})
    kimi = replaced(kimi, from, to);
  const auto k2 = parse_model_config(kimi, "kimi.json");
  CHECK(static_cast<double>(count_parameters(k2).total) == Approx(1.03e12).epsilon(0.01));
  CHECK(static_cast<double>(count_parameters(k2).active) == Approx(32.9e9).epsilon(0.02));
}

TEST_CASE("quantisation that is not understood is refused") {
  for (const char* quant :
       {R"({"quant_method": "fp8", "weight_block_size": [64, 64]})", R"({"quant_method": "aqlm"})",
        R"({"quant_method": "gptq", "bits": 3})", R"({"bits": 4})", R"("fp8")",
        R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights":
            {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8}}}})"}) {
    INFO(quant);
    CHECK(problem(
              replaced(kLlama, "{\n", std::string("{\n\"quantization_config\": ") + quant + ",\n"))
              .line == 2);
  }
}

TEST_CASE("unknown structural keys are listed with the place of the first") {
  const auto d = problem(replaced(kLlama, "  \"vocab_size\"",
                                  "  \"zeta_layers\": 3, \"altup\": 2,\n  \"vocab_size\""));
  CHECK_THAT(d.message, Catch::Contains("altup, zeta_layers"));
  CHECK(d.line == 9);
  CHECK(d.column == 21);
  CHECK(problems(replaced(kLlama, "{\n", "{\n \"_note\": [1, {}],\n")).empty());
}

TEST_CASE("an architecture of a later generation is refused, its own keys listed") {
  // The keys of DeepSeek-V4-Flash that set it apart, beside many that V3.2 has too.
  const auto list = problems(R"({"architectures": ["DeepseekV4ForCausalLM"], "hidden_size": 4096,
    "head_dim": 512, "index_topk": 512, "sliding_window": 128, "num_hidden_layers": 43,
    "o_lora_rank": 1024, "o_groups": 8, "hc_mult": 4, "expert_dtype": "fp4",
    "compress_ratios": [0, 0, 4, 128], "compress_rope_theta": 160000, "num_hash_layers": 3})");
  REQUIRE(list.size() == 2);
  CHECK_THAT(list[0].message, Catch::Contains("'DeepseekV4ForCausalLM' is not supported") &&
                                  Catch::Contains("DeepseekV3ForCausalLM"));
  CHECK_THAT(list[1].message, Catch::EndsWith("compress_ratios, compress_rope_theta, expert_dtype, "
                                              "hc_mult, num_hash_layers, o_groups, o_lora_rank"));
}

TEST_CASE("bad values: one error each, at its place") {
  using Catch::Contains;
  const auto bad = [](const std::string& from, const std::string& to) {
    return problem(replaced(kLlama, from, to)).message;
  };
  CHECK_THAT(bad("\"hidden_size\": 4096", "\"hidden_size\": 0"), Contains("from 1 to"));
  CHECK_THAT(bad("\"hidden_size\": 4096", "\"hidden_size\": -4096"), Contains("-4096"));
  CHECK_THAT(bad("11008", "1e400"), Contains("not valid JSON"));
  CHECK_THAT(bad("11008", "99999999999999999999"), Contains("from 1 to"));
  CHECK_THAT(bad("11008", "11008.5"), Contains("11008.5"));
  CHECK_THAT(bad("11008", "\"11008\""), Contains("whole number"));
  CHECK_THAT(bad("11008", "[11008]"), Contains("[11008]"));
  CHECK_THAT(bad("11008", "null"), Contains("'intermediate_size' is missing"));
  CHECK_THAT(bad("  \"intermediate_size\": 11008,\n", ""),
             Contains("'intermediate_size' is missing"));
  CHECK_THAT(bad("\"num_attention_heads\": 32", "\"num_attention_heads\": 33"),
             Contains("do not divide hidden_size"));
  CHECK_THAT(bad("float16", "int3"), Contains("int3"));
  CHECK_THAT(bad("  \"vocab_size\"", "  \"hidden_size\": 1,\n  \"vocab_size\""),
             Contains("'hidden_size' appears twice"));
  CHECK_THAT(bad("[\"LlamaForCausalLM\"]", "\"LlamaForCausalLM\""), Contains("list of one name"));
  CHECK_THAT(bad("[\"LlamaForCausalLM\"]", "[]"), Contains("list of one name"));
  CHECK(problem(replaced(kLlama, "11008", "0")).line == 4);
  CHECK(problem(replaced(kLlama, "11008", "0")).column == 3);
  CHECK_THAT(problem(replaced(kLlama, "11008", "0")).source_line, Contains("intermediate_size"));
  // Several at once are told together.
  CHECK(problems(replaced(replaced(kLlama, "11008", "0"), "32000", "{}")).size() == 2);
}

TEST_CASE("dimensions that fit one by one but describe nothing that exists") {
  auto text =
      replaced(text_of("deepseek-v3"), "\"hidden_size\": 7168", "\"hidden_size\": 16777216");
  text = replaced(text, "\"moe_intermediate_size\": 2048", "\"moe_intermediate_size\": 16777216");
  text = replaced(text, "\"n_routed_experts\": 256", "\"n_routed_experts\": 65536");
  CHECK_THAT(problem(text).message, Catch::Contains("10^15"));
}

TEST_CASE("files that are no JSON object") {
  using Catch::Contains;
  CHECK_THAT(problem("").message, Contains("empty"));
  CHECK_THAT(problem(" \n\t").message, Contains("empty"));
  CHECK_THAT(problem("[1, 2]").message, Contains("expected a JSON object, found array"));
  CHECK_THAT(problem("null").message, Contains("null"));
  CHECK_THAT(problem("{\"a\": }").message, Contains("not valid JSON"));
  const auto cut = problem(kLlama.substr(0, kLlama.size() - 10));
  CHECK_THAT(cut.message, Contains("not valid JSON"));
  CHECK(cut.line == 9);
  CHECK_THAT(problem(std::string(5u << 20, ' ')).message, Contains("5242880 bytes"));
  CHECK_THAT(problem(std::string(100'000, '[')).message, Contains("not valid JSON"));
  CHECK(problems("\xEF\xBB\xBF" + kLlama).empty());  // a byte-order mark is harmless
  CHECK_THROWS_AS(read_model_config(kModels / "no-such-model.json"), sim::core::InputError);
  CHECK_THROWS_AS(read_model_config(kModels), sim::core::InputError);
}

TEST_CASE("every truncation of a card is one clear error") {
  const std::string text = text_of("deepseek-v3.2");
  const auto end = text.find_last_of('}');
  for (std::size_t n = 0; n < end; ++n) {
    const auto list = problems(text.substr(0, n));
    REQUIRE(list.size() == 1);
    REQUIRE(list[0].line >= 1);
  }
}

TEST_CASE("a damaged card either parses or is refused, never anything else") {
  std::vector<std::string> cards;
  for (const char* name :
       {"deepseek-v3.2", "gpt-oss-120b", "gpt-3-175b", "llama-3.1-8b", "qwen3-30b-a3b"})
    cards.push_back(text_of(name));
  const std::vector<std::string> inserts{"0",    "-1",   "1e9", "null", "{}", "[]",
                                         "\"\"", "true", ",",   "}",    "\\"};
  CHECK(rc::check("mutations", [&] {
    std::string text = *rc::gen::elementOf(cards);
    const int edits = *rc::gen::inRange(1, 4);
    for (int i = 0; i < edits; ++i) {
      const auto at = static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(text.size())));
      const auto cut = static_cast<std::size_t>(*rc::gen::inRange(0, 6));
      text.replace(at, cut, *rc::gen::elementOf(inserts));
    }
    try {
      const ModelSpec model = parse_model_config(text, "card.json");
      RC_ASSERT(count_parameters(model).total > 0);
      RC_ASSERT(count_parameters(model).active <= count_parameters(model).total);
    } catch (const sim::core::InputError& error) {
      RC_ASSERT(!error.diagnostics().empty());
    }
  }));
}

TEST_CASE("each dimension of each card, set to what it cannot be, is told at its line") {
  for (const char* name : {"deepseek-v3.2", "gpt-oss-120b", "gpt-3-175b", "deepseek-moe-16b"}) {
    const std::string text = text_of(name);
    for (const char* key :
         {"hidden_size", "n_embd", "num_hidden_layers", "n_layer", "vocab_size",
          "num_attention_heads", "n_head", "kv_lora_rank", "v_head_dim", "qk_nope_head_dim",
          "qk_rope_head_dim", "moe_intermediate_size", "n_routed_experts", "num_local_experts",
          "num_experts_per_tok", "index_n_heads", "index_head_dim", "index_topk",
          "num_key_value_heads"}) {
      const std::string quoted = std::string("\n  \"") + key + "\": ";
      const auto at = text.find(quoted);
      if (at == std::string::npos) continue;
      if (name == std::string("deepseek-v3.2") && key == std::string("num_key_value_heads"))
        continue;
      for (const char* value : {"0", "-7", "1e300", "\"x\"", "2.5"}) {
        INFO(name << ": " << key << " = " << value);
        std::string changed = text;
        const auto start = at + quoted.size();
        changed.replace(start, changed.find_first_of(",\n", start) - start, value);
        const auto list = problems(changed);
        REQUIRE_FALSE(list.empty());
        const auto line = 2 + std::count(text.begin(), text.begin() + static_cast<long>(at), '\n');
        CHECK(std::any_of(list.begin(), list.end(), [&](const auto& d) { return d.line == line; }));
      }
    }
  }
}
