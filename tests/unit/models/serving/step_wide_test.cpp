// Steps of ranks that exchange tokens, without measured tables.
#include <catch2/catch.hpp>

#include "models/serving/step_model.hpp"
#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
namespace llm = foretoken::models::llm;
namespace hardware = foretoken::models::hardware;
namespace kernels = foretoken::models::kernels;

namespace {

// 64 experts of 16 GPUs on two nodes.
DeploymentSpec wide() {
  DeploymentSpec d;
  llm::ModelSpec& m = d.model;
  m.name = "small-moe";
  m.architecture = "MixtralForCausalLM";
  m.layers = 16;
  m.hidden = 4096;
  m.intermediate = 8192;
  m.vocab = 32000;
  m.max_positions = 32768;
  m.attention.heads = 32;
  m.attention.kv_heads = 8;
  m.attention.head_dim = 128;
  m.moe.emplace();
  m.moe->experts = 64;
  m.moe->top_k = 4;
  m.moe->intermediate = 2048;
  d.node.gpu = testing::hopper_gpu();
  d.node.gpu.sm_count = 100;
  d.node.gpus = d.node.nics = 8;
  d.node.nic_bandwidth = hardware::BytesPerSecond(50e9);
  d.layout.data_attention = d.layout.expert = 16;
  d.layout.gpus_per_node = 8;
  d.layout.all_to_all = true;
  d.nodes = 2;
  d.engine.tables = {"sglang", "0.5.10"};
  d.batching = {BatchingPolicy::chunked_prefill, 8192, 0, 256};
  return d;
}

double seconds(const DeploymentSpec& d, const StepInput& step) {
  return StepModel(d, std::make_shared<const kernels::Calibration>()).cost(step).seconds;
}

}  // namespace

// T = max(C, D) + s min(C, D) + ends: a straight line in the share s that is not hidden.
TEST_CASE("Two micro-batches: what the engine does not hide adds to the longer part") {
  const StepInput decodes{16 * 128, 16 * 128 * 1024, {}, 16 * 128};
  DeploymentSpec d = wide();
  const double one_by_one = seconds(d, decodes);
  d.expert_parallel.overlap_decode = true;
  const double hidden = seconds(d, decodes);
  d.engine.overlap_loss = 1.0;
  const double nothing = seconds(d, decodes);
  CHECK(hidden < nothing);
  CHECK(nothing > one_by_one);  // two small batches cost more than a large one
  d.engine.overlap_loss = 0.25;
  CHECK(seconds(d, decodes) == Approx(hidden + 0.25 * (nothing - hidden)));
}

// Of 100 multiprocessors the exchange of prompts takes 20: less is lost only on paper.
TEST_CASE("Two micro-batches of prompts: the exchange takes its multiprocessors at least") {
  std::vector<llm::Chunk> chunks(32, llm::Chunk{4096, 0});
  const StepInput prompts{0, 0, chunks, 32};
  DeploymentSpec d = wide();
  d.expert_parallel.overlap_prefill = true;
  const double taken = seconds(d, prompts);
  d.engine.overlap_loss = 0.2;
  CHECK(seconds(d, prompts) == taken);
  d.engine.overlap_loss = 0.4;
  CHECK(seconds(d, prompts) > taken);
}
