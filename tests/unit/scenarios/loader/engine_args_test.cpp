#include "scenarios/loader/engine_args.hpp"

#include <catch2/catch.hpp>

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/model_config.hpp"
#include "scenarios/loader/scenario.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::serving::DeploymentSpec;
using sim::core::InputError;

const fs::path kRoot = FORETOKEN_SOURCE_DIR;

DeploymentSpec apply(const std::string& engine, const std::string& text,
                     const std::string& model = "deepseek-r1") {
  const Catalogue catalogue(kRoot);
  DeploymentSpec d;
  d.model = read_model_config(kRoot / "scenarios" / "models" / (model + ".json"));
  d.precision.weights = d.model.checkpoint;
  d.engine = load_engine(engine, catalogue).card;
  const EngineArgs args = parse_engine_args(text, engine, catalogue);
  apply_to_engine(args, d);
  apply_to_layout(args, d);
  return d;
}

std::vector<std::string> problems(const std::string& engine, const std::string& text) {
  try {
    (void)apply(engine, text);
  } catch (const InputError& error) {
    std::vector<std::string> out;
    for (const auto& d : error.diagnostics()) out.push_back(d.message);
    return out;
  }
  return {};
}

TEST_CASE("SGLang's flags as its users write them") {
  const auto d =
      apply("sglang",
            "--model-path deepseek-ai/DeepSeek-R1 --tp-size 8 --chunked-prefill-size=16384 "
            "--max-running-requests 128 --mem-fraction-static 0.85 --cuda-graph-max-bs 64 "
            "--enable-mixed-chunk --page-size 64 --kv-cache-dtype fp8_e4m3");
  CHECK(d.layout.tensor == 8);
  CHECK(d.engine.default_max_tokens == 16384);
  CHECK(d.engine.default_max_sequences == 128);
  CHECK(d.engine.memory_fraction == 0.85);
  CHECK(d.engine.graph_batches.back() == 64);
  CHECK(d.engine.default_policy == "chunked_prefill");
  CHECK(d.engine.kv_block_tokens == 64);
  CHECK(d.precision.kv == models::hardware::DType::fp8);
}

TEST_CASE("Attention ranks: of the tensor group in SGLang and TensorRT-LLM, beside it in vLLM") {
  const auto sglang =
      apply("sglang", "--tp 8 --dp 4 --enable-dp-attention --ep 8 --moe-a2a-backend deepep");
  CHECK(sglang.layout.tensor == 2);
  CHECK(sglang.layout.data_attention == 4);
  CHECK(sglang.layout.expert == 8);
  CHECK(sglang.layout.all_to_all);
  CHECK(apply("sglang", "--tp 4 --dp 2").replicas == 2);
  const auto trt = apply("trtllm", "--tp_size 8 --ep_size 8 --enable_attention_dp");
  CHECK(trt.layout.tensor == 1);
  CHECK(trt.layout.data_attention == 8);
  const auto vllm = apply("vllm", "-tp 1 -dp 8 --enable-expert-parallel");
  CHECK(vllm.layout.data_attention == 8);
  CHECK(vllm.layout.expert == 8);
  CHECK(apply("vllm", "-tp 2 -dp 2", "llama-3.1-8b").replicas == 2);  // a dense model: copies
}

TEST_CASE("Switches can be switched off, quotes keep words together, _ is -") {
  CHECK(apply("vllm", "--no-enable-chunked-prefill").engine.default_policy ==
        "prefill_first_whole");
  CHECK(apply("vllm", "--enforce-eager").engine.graph_batches.empty());
  CHECK(apply("vllm", "--max_num_seqs 7 --speculative-config '{\"method\": \"mtp\"}'")
            .engine.default_max_sequences == 7);
  CHECK(apply("trtllm", "--capacity_scheduler_policy MAX_UTILIZATION").engine.kv_reserve_output ==
        0);
  CHECK(apply("sglang", "--schedule-conservativeness 0.5").engine.kv_reserve_output ==
        Approx(0.05));
  CHECK(apply("sglang", "--chunked-prefill-size -1").engine.default_policy ==
        "prefill_first_whole");
}

TEST_CASE("Every flag that changes nothing is listed with the reason") {
  const auto args =
      parse_engine_args("--host 0.0.0.0 --trust-remote-code --tp 2 --schedule-policy lpm", "sglang",
                        Catalogue(kRoot));
  REQUIRE(args.ignored.size() == 3);
  CHECK(args.ignored[0].rfind("--host is ignored: ", 0) == 0);
  CHECK(args.ignored[2].find("set it in the scenario") != std::string::npos);
}

TEST_CASE("Unknown flags and impossible values, all at once") {
  CHECK(problems("sglang", "--tp-sze 8 --chunked-prefill-size many") ==
        std::vector<std::string>{"sglang has no flag --tp-sze; did you mean --tp-size?",
                                 "--chunked-prefill-size many: expected a whole number"});
  CHECK(problems("vllm", "--max-num-seqs") ==
        std::vector<std::string>{"--max-num-seqs needs a value"});
  CHECK(problems("vllm", "8 -tp 8") ==
        std::vector<std::string>{"'8' is no flag and follows none that takes it"});
  CHECK(problems("vllm", "--quantization fp9") ==
        std::vector<std::string>{"--quantization fp9: did you mean fp8?"});
  CHECK(problems("sglang", "--tp 8 --dp 3 --enable-dp-attention") ==
        std::vector<std::string>{"--dp 3: 3 attention ranks do not divide 8 GPUs"});
  CHECK(problems("vllm", "--max-model-len 900000") ==
        std::vector<std::string>{"--max-model-len 900000: the model's context is 163840 tokens"});
  CHECK(problems("vllm", "-tp 0") == std::vector<std::string>{"-tp 0: must be at least 1"});
  CHECK(problems("vllm", "--x 'open") == std::vector<std::string>{"a quote that is not closed"});
}

TEST_CASE("Every engine card has a table of flags") {
  for (const auto& entry : list_cards("engine", Catalogue(kRoot))) {
    if (!fs::exists(kRoot / "scenarios" / "engines" / "flags" / (entry.name + ".yaml"))) {
      CHECK_THROWS_WITH(parse_engine_args("--x", entry.name, Catalogue(kRoot)),
                        Catch::Contains("no table of the flags"));
      continue;
    }
    CHECK(parse_engine_args("", entry.name, Catalogue(kRoot)).sets.empty());
  }
}

}  // namespace
}  // namespace foretoken::scenarios::loader
