// What a part of a step is made of, and what an engine's factors make of it.
#include "models/serving/step_tables.hpp"

#include <catch2/catch.hpp>

#include "models/serving/step_model.hpp"

using namespace foretoken::models::serving;
namespace hardware = foretoken::models::hardware;
namespace kernels = foretoken::models::kernels;

namespace {

DeploymentSpec deployment() {
  DeploymentSpec d;
  d.model.name = "small";
  d.model.architecture = "LlamaForCausalLM";
  d.model.layers = 8;
  d.model.hidden = 2048;
  d.model.intermediate = 8192;
  d.model.vocab = 32000;
  d.model.max_positions = 8192;
  d.model.attention.heads = 16;
  d.model.attention.kv_heads = 4;
  d.model.attention.head_dim = 128;
  d.node.gpu.name = "test-gpu";
  d.node.gpu.architecture = "hopper";
  d.node.gpu.sm_count = 132;
  d.node.gpu.memory = hardware::Bytes(80e9);
  d.node.gpu.memory_bandwidth = hardware::BytesPerSecond(3.35e12);
  d.node.gpu.l2_cache = hardware::Bytes(50e6);
  d.node.gpu.peak[hardware::DType::bf16] = hardware::FlopsPerSecond(989e12);
  d.node.gpu.scale_up_bandwidth = hardware::BytesPerSecond(450e9);
  d.node.gpus = 8;
  d.layout.tensor = 2;
  d.engine.tables = {"vllm", "0.19.0"};
  d.batching = {BatchingPolicy::chunked_prefill, 2048, 0, 64};
  return d;
}

std::shared_ptr<const kernels::Calibration> no_tables() {
  return std::make_shared<const kernels::Calibration>();
}

}  // namespace

TEST_CASE("The least time is no more than the time, and launches are counted") {
  const DeploymentSpec d = deployment();
  const StepTables tables(d, make_kernels(d.node, d.engine, no_tables()));
  const RawCell& cell = tables.dense(TokenAxis::locate(16).index);
  CHECK(cell.v[RawCell::gemm_least] > 0);
  CHECK(cell.v[RawCell::gemm_least] <= cell.v[RawCell::gemm]);
  CHECK(cell.v[RawCell::wire] <= cell.v[RawCell::communication]);
  // qkv, output, gate and up, down: four products a layer.
  CHECK(cell.v[RawCell::kernels] == 4 * 8);
  // Two sums a layer and one for the embedding; of two ranks one waits for the other.
  CHECK(cell.v[RawCell::collectives] == (2 * 8 + 1) / 2.0);
}

// Of two norms a layer and the last, 17, all but the first follow an all-reduce.
TEST_CASE("Small all-reduces take the norm behind them along, where the GPU has such kernels") {
  DeploymentSpec d = deployment();
  const auto passes = [&](double tokens) {
    const StepTables tables(d, make_kernels(d.node, d.engine, no_tables()));
    return tables.dense(TokenAxis::locate(tokens).index).v[RawCell::elementwise_kernels];
  };
  const double apart = passes(16);
  d.engine.fused_norm_reduce = hardware::Bytes(16 * 2 * 2048);  // 16 tokens
  CHECK(passes(16) == apart - 16);
  CHECK(passes(32) == apart);
  d.engine.fused_norm_on = {"blackwell"};
  CHECK(passes(16) == apart);
  d.engine.fused_norm_on = {"blackwell", "hopper"};
  CHECK(passes(16) == apart - 16);
  d.layout.tensor = 1;
  const double alone = passes(16);
  d.engine.fused_norm_reduce = {};
  CHECK(passes(16) == alone);
}

TEST_CASE("Factors act on their own family: least x a + (all - least) x b") {
  DeploymentSpec d = deployment();
  const auto tables =
      std::make_shared<const StepTables>(d, make_kernels(d.node, d.engine, no_tables()));
  const StepInput step{16, 16 * 1024, {}, 16};
  const StepCost alone = StepModel(d, tables).cost(step);
  d.engine.in_situ.gemm_least = 2.0;
  d.engine.in_situ.gemm = 0.0;
  d.engine.in_situ.elementwise = 0.5;
  const StepCost inside = StepModel(d, tables).cost(step);
  const double least = tables->dense(TokenAxis::locate(16).index).v[RawCell::gemm_least] +
                       tables->head(TokenAxis::locate(16).index).v[RawCell::gemm_least];
  CHECK(inside.gemm_s == Approx(2 * least));
  CHECK(inside.elementwise_s == Approx(0.5 * alone.elementwise_s));
  CHECK(inside.attention_s == Approx(alone.attention_s));
  CHECK(inside.communication_s == Approx(alone.communication_s));
}

TEST_CASE("Steps with prompts take the prefill factor instead") {
  DeploymentSpec d = deployment();
  d.power.ceiling = 10.0;  // no throttling here
  const auto tables =
      std::make_shared<const StepTables>(d, make_kernels(d.node, d.engine, no_tables()));
  const foretoken::models::llm::Chunk chunk{512, 0};
  const StepInput step{0, 0, {&chunk, 1}, 0};
  const double alone = StepModel(d, tables).cost(step).seconds;
  d.engine.in_situ.prefill = 0.5;
  d.engine.in_situ.gemm = 0.0;
  CHECK(StepModel(d, tables).cost(step).seconds == Approx(0.5 * alone));
}

// 16 GPUs on two nodes: sums go over the network, and only they are held up.
TEST_CASE("A network that is shared stretches what goes between nodes") {
  DeploymentSpec d = deployment();
  d.layout.tensor = 16;
  d.layout.gpus_per_node = 8;
  d.node.nics = 8;
  d.node.nic_bandwidth = hardware::BytesPerSecond(50e9);
  const auto tables =
      std::make_shared<const StepTables>(d, make_kernels(d.node, d.engine, no_tables()));
  const StepModel model(d, tables);
  const foretoken::models::llm::Chunk chunk{512, 0};
  for (const bool prompts : {false, true}) {
    StepInput step{16, 16 * 1024, {}, 16};
    if (prompts) step.chunks = {&chunk, 1};
    const StepCost alone = model.cost(step);
    CHECK(alone.network_s > 0.0);
    CHECK(alone.network_s < alone.communication_s);
    CHECK(alone.network_bytes / alone.network_s <= 50e9);
    step.network_stretch = 3.0;
    const StepCost shared = model.cost(step);
    CHECK(shared.seconds - alone.seconds == Approx(2.0 * alone.network_s));
    CHECK(shared.communication_s - alone.communication_s == Approx(2.0 * alone.network_s));
    CHECK(shared.gemm_s == alone.gemm_s);
    CHECK(shared.network_s == alone.network_s);
  }
  d.layout.tensor = 8;
  const StepModel inside(d, std::make_shared<const kernels::Calibration>());
  CHECK(inside.cost({16, 16 * 1024, {}, 16}).network_s == 0.0);
}
