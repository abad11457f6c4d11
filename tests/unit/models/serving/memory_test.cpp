// Memory accounts worked by hand for a model of round numbers.
#include <catch2/catch.hpp>

#include "models/llm/memory.hpp"
#include "models/serving/serving.hpp"
#include "sim/core/error.hpp"

using namespace foretoken::models::serving;
namespace llm = foretoken::models::llm;
namespace hardware = foretoken::models::hardware;

namespace {

// Llama-2-7B in 16 bits on one 80 GB GPU: 6.74 G parameters, 13.48 GB; KV 2 x 32 layers x 4,096 x
// 2 bytes = 524,288 bytes a token.
DeploymentSpec llama() {
  DeploymentSpec d;
  llm::ModelSpec& m = d.model;
  m.name = "llama-2-7b";
  m.architecture = "LlamaForCausalLM";
  m.layers = 32;
  m.hidden = 4096;
  m.intermediate = 11008;
  m.vocab = 32000;
  m.max_positions = 4096;
  m.attention.heads = m.attention.kv_heads = 32;
  m.attention.head_dim = 128;
  d.node.gpus = 8;
  d.node.gpu.name = "round-gpu";
  d.node.gpu.memory = hardware::Bytes(80e9);
  d.engine.name = "some-engine";
  d.engine.tables = {"vllm", "0.19.0"};
  d.engine.kv_block_tokens = 16;
  d.engine.memory_fraction = 0.9;
  d.engine.framework_reserve = hardware::Bytes(1e9);
  d.batching = {BatchingPolicy::chunked_prefill, 2048, 0, 128};
  return d;
}

constexpr double kKvToken = 524288;

}  // namespace

TEST_CASE("The three rules of sizing the KV pool") {
  DeploymentSpec d = llama();
  const MemoryAccount whole = account_memory(d);
  CHECK(whole.weights == Approx(2 * 6738415616.0).epsilon(0.001));
  // whole: 0.9 x 80 GB - 1 GB - weights - activations
  CHECK(whole.kv == Approx(72e9 - 1e9 - whole.weights - whole.activations));
  CHECK(whole.kv_blocks == static_cast<std::int64_t>(whole.kv / (16 * kKvToken)));
  CHECK(whole.kv_tokens == 16 * whole.kv_blocks);
  // static pool: 0.9 x (80 - 1) GB - weights; activations live in the other tenth
  d.engine.memory_rule = MemoryRule::static_pool;
  CHECK(account_memory(d).kv == Approx(0.9 * 79e9 - whole.weights));
  // free memory: 0.9 x (80 - 1 GB - weights - activations)
  d.engine.memory_rule = MemoryRule::free_memory;
  CHECK(account_memory(d).kv == Approx(0.9 * (79e9 - whole.weights - whole.activations)));
  // by engine: the name of the tables decides
  d.engine.memory_rule = MemoryRule::by_engine;
  d.engine.tables.engine = "trtllm";
  CHECK(account_memory(d).kv == Approx(0.9 * (79e9 - whole.weights - whole.activations)));
}

TEST_CASE("A static pool gives way when activations need more than the share left out") {
  DeploymentSpec d = llama();
  d.engine.memory_rule = MemoryRule::static_pool;
  d.engine.memory_fraction = 0.999;
  const MemoryAccount account = account_memory(d);
  CHECK(account.kv == Approx(79e9 - account.weights - account.activations));
}

TEST_CASE("A model that does not fit is refused with the account and the missing bytes") {
  DeploymentSpec d = llama();
  d.node.gpu.memory = hardware::Bytes(16e9);
  try {
    account_memory(d);
    FAIL("fitted");
  } catch (const foretoken::sim::core::InfeasibleError& error) {
    const std::string words = error.what();
    CHECK(words.find("llama-2-7b does not fit") != std::string::npos);
    CHECK(words.find("weights take 13.48 GB") != std::string::npos);
    CHECK(words.find("bytes missing") != std::string::npos);
    CHECK(words.find("4096 tokens") != std::string::npos);
  }
  // Room for a short request, not for the whole context: 16 GB at 0.97 leaves about 1 GB, 2,000
  // tokens of 0.5 MB.
  d.engine.memory_fraction = 0.995;
  d.batching.max_tokens = 256;
  CHECK_THROWS_AS(account_memory(d), foretoken::sim::core::InfeasibleError);
  CHECK(account_memory(d, 500).kv_tokens >= 500);
}
