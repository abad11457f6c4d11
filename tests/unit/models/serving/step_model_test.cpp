// The tabulated step against the operators it is made of, without measured tables: kernel times
// then come from the GPU's card alone.
#include "models/serving/step_model.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/models/serving/fixture.hpp"

using namespace foretoken::models::serving;
namespace llm = foretoken::models::llm;
namespace hardware = foretoken::models::hardware;
namespace kernels = foretoken::models::kernels;

namespace {

DeploymentSpec deployment() {
  DeploymentSpec d;
  llm::ModelSpec& m = d.model;
  m.name = "llama-3.1-8b";
  m.architecture = "LlamaForCausalLM";
  m.layers = 32;
  m.hidden = 4096;
  m.intermediate = 14336;
  m.vocab = 128256;
  m.max_positions = 131072;
  m.attention.heads = 32;
  m.attention.kv_heads = 8;
  m.attention.head_dim = 128;
  d.node.gpu = testing::hopper_gpu();
  d.node.gpus = 8;
  d.engine.tables = {"vllm", "0.19.0"};
  d.engine.host_step_s = 500e-6;
  d.engine.host_sequence_s = 10e-6;
  d.engine.host_prefill_s = 2e-3;
  d.batching = {BatchingPolicy::chunked_prefill, 8192, 0, 256};
  return d;
}

std::shared_ptr<const kernels::Calibration> no_tables() {
  return std::make_shared<const kernels::Calibration>();
}

double sum(const kernels::KernelModel& kernel, const std::vector<llm::Operator>& operators) {
  double seconds = 0;
  for (const auto& op : operators) seconds += op.repeat * kernel.time(op.shape).seconds;
  return seconds;
}

double parts(const StepCost& c) {
  return c.gemm_s + c.attention_s + c.experts_s + c.communication_s + c.elementwise_s + c.host_s;
}

}  // namespace

TEST_CASE("A decode step is the sum of its operators and the host") {
  const DeploymentSpec d = deployment();
  const StepModel model(d, no_tables());
  const kernels::KernelModel kernel(d.node, d.engine.tables, no_tables());
  // On the nodes of the tables (16 sequences; mean context 1,024) nothing is interpolated.
  for (const std::int32_t batch : {1, 4, 16, 64, 256}) {
    const StepInput step{batch, std::int64_t{batch} * 1024, {}, batch};
    const double expected =
        sum(kernel, llm::dense_operators(d.model, d.layout, d.precision, batch, batch, batch, 0)) +
        sum(kernel, llm::decode_attention_operators(d.model, d.layout, d.precision, batch, 1024)) +
        500e-6 + 10e-6 * batch;
    const StepCost cost = model.cost(step);
    CHECK(cost.seconds == Approx(expected).epsilon(1e-9));
    CHECK(parts(cost) == Approx(cost.seconds).epsilon(1e-9));
  }
}

TEST_CASE("Between nodes the table is within a per cent of the operators") {
  const DeploymentSpec d = deployment();
  const StepModel model(d, no_tables());
  const kernels::KernelModel kernel(d.node, d.engine.tables, no_tables());
  for (const std::int32_t batch : {3, 21, 77, 200})
    for (const std::int64_t context : {37, 1500, 23456}) {
      const StepInput step{batch, batch * context, {}, batch};
      const double expected =
          sum(kernel,
              llm::dense_operators(d.model, d.layout, d.precision, batch, batch, batch, 0)) +
          sum(kernel, llm::decode_attention_operators(d.model, d.layout, d.precision, batch,
                                                      static_cast<double>(context))) +
          500e-6 + 10e-6 * batch;
      CHECK(model.cost(step).seconds == Approx(expected).epsilon(0.01));
    }
}

TEST_CASE("A chunk of a prompt: dense part, its attention over what is cached, host") {
  DeploymentSpec d = deployment();
  d.power.ceiling = 10.0;  // no throttling here
  const StepModel model(d, no_tables());
  const kernels::KernelModel kernel(d.node, d.engine.tables, no_tables());
  for (const std::int64_t tokens : {100, 512, 3000})
    for (const std::int64_t prior : {0, 1000, 50000}) {
      const llm::Chunk chunk{tokens, prior};
      const StepInput step{0, 0, {&chunk, 1}, 1};
      const double expected =
          sum(kernel, llm::dense_operators(d.model, d.layout, d.precision, tokens, 1, tokens, 0)) +
          sum(kernel, llm::prefill_attention_operators(d.model, d.layout, d.precision, chunk)) +
          500e-6 + 10e-6 + 2e-3;
      CHECK(model.cost(step).seconds == Approx(expected).epsilon(0.02));
    }
}

TEST_CASE("Pure decode steps are padded to the captured batch, mixed ones are not") {
  DeploymentSpec d = deployment();
  d.engine.host_sequence_s = 0;
  const StepModel exact(d, no_tables());
  d.engine.graph_batches = {64, 16, 32};
  const StepModel padded(d, no_tables());
  const StepInput seventeen{17, 17 * 512, {}, 17};
  CHECK(padded.cost(seventeen).gemm_s >= exact.cost(seventeen).gemm_s);
  CHECK(padded.cost({17, 17 * 512, {}, 17}).elementwise_s ==
        Approx(padded.cost({32, 17 * 512, {}, 17}).elementwise_s));
  CHECK(padded.cost({100, 51200, {}, 100}).seconds == exact.cost({100, 51200, {}, 100}).seconds);
  const llm::Chunk chunk{40, 0};
  const StepInput mixed{17, 17 * 512, {&chunk, 1}, 18};
  CHECK(padded.cost(mixed).seconds == exact.cost(mixed).seconds);
}

TEST_CASE("Runs of decode steps cost to the bit what their steps cost one by one") {
  const StepModel model(deployment(), no_tables());
  std::vector<foretoken::sim::core::Duration> durations(100);
  std::vector<StepCost> costs(100);
  model.decode_run(13, 13 * 700, durations);
  model.decode_costs(13, 13 * 700, costs);
  for (int i = 0; i < 100; ++i) {
    const StepCost one = model.cost({13, 13 * (700 + i), {}, 13});
    CHECK(durations[static_cast<std::size_t>(i)] ==
          foretoken::sim::core::Duration::from_seconds(one.seconds));
    CHECK(costs[static_cast<std::size_t>(i)].seconds == one.seconds);
    CHECK(costs[static_cast<std::size_t>(i)].memory_s == one.memory_s);
  }
}

// A card on which tensor activity u draws 2 u of tdp - idle and the limit is all of it. At clock f
// of full, time grows by s = (1 - m) / f + m, m the share that memory sets the pace, and watts fall
// to 2 u f / s (clock exponent 2): 2 u f^2 = 1 - m + m f.
TEST_CASE("Prefill at the power limit slows as under a cap at that limit") {
  DeploymentSpec d = deployment();
  d.power = {};
  const StepModel cool(d, no_tables());
  d.power.tensor = 2.0;
  const StepModel hot(d, no_tables());
  const llm::Chunk chunk{8192, 0};
  const StepInput step{0, 0, {&chunk, 1}, 1};
  const StepCost a = cool.cost(step), b = hot.cost(step);
  const double alone = a.seconds - a.host_s;
  const double u = a.tensor_s / alone;
  REQUIRE(2 * u > 1.0);
  const double m = a.memory_s / alone;
  const double f = (m + std::sqrt(m * m + 8 * u * (1 - m))) / (4 * u);
  CHECK((b.seconds - b.host_s) / alone == Approx((1 - m) / f + m).epsilon(1e-6));
  CHECK(hot.cost({8, 8192, {}, 8}).seconds == cool.cost({8, 8192, {}, 8}).seconds);
}

TEST_CASE("Tables that were timed inside an engine take no factor of engines") {
  DeploymentSpec d = deployment();
  const StepInput step{16, 16384, {}, 16};
  const auto seconds = [&](bool in_engine) {
    d.node.gpu.tables_in_engine = in_engine;
    return StepModel(d, no_tables()).cost(step).seconds;
  };
  const double alone = seconds(false), in_engine = seconds(true);
  d.engine.in_situ.gemm = d.engine.in_situ.attention = 0.5;
  CHECK(seconds(false) < 0.99 * alone);
  CHECK(seconds(true) == in_engine);
}

TEST_CASE("An overlapped host is waited for only where its kernels are over first") {
  DeploymentSpec d = deployment();
  d.node.gpu.tables_in_engine = true;
  d.engine.host_step_s = d.engine.host_sequence_s = d.engine.host_prefill_s = 0;
  const StepInput decode{16, 16384, {}, 16};
  const llm::Chunk chunk{512, 0};
  const StepInput prompt{16, 16384, {&chunk, 1}, 17};
  const double kernels = StepModel(d, no_tables()).cost(decode).seconds;
  const double of_prompt = StepModel(d, no_tables()).cost(prompt).seconds;
  const auto cost = [&](const StepInput& step) { return StepModel(d, no_tables()).cost(step); };
  d.engine.host_step_s = 0.5 * kernels;
  d.engine.host_sequence_s = 0.01 * kernels;
  CHECK(cost(decode).host_s == Approx(0.66 * kernels));  // one after the other
  d.engine.overlap_schedule = true;
  CHECK(cost(decode).seconds == kernels);
  CHECK(cost(prompt).seconds == of_prompt);
  d.engine.host_step_s = 2 * kernels;
  CHECK(cost(decode).seconds == Approx(2.16 * kernels));
  CHECK(cost(decode).host_s == Approx(1.16 * kernels));
  std::array<Duration, 2> run;
  StepModel(d, no_tables()).decode_run(16, 16384, run);
  CHECK(run[0] == Duration::from_seconds(cost(decode).seconds));
  // Tables timed alone leave out the kernels that these terms stand for.
  d.node.gpu.tables_in_engine = false;
  CHECK(cost(decode).host_s == Approx(2.16 * kernels));
}

TEST_CASE("Tables that were timed inside an engine have its clocks") {
  DeploymentSpec d = deployment();
  d.power.tensor = 2.0;
  const llm::Chunk chunk{8192, 0};
  const StepInput step{0, 0, {&chunk, 1}, 1};
  const double throttled = StepModel(d, no_tables()).cost(step).gemm_s;
  d.node.gpu.tables_in_engine = true;
  CHECK(StepModel(d, no_tables()).cost(step).gemm_s < 0.9 * throttled);
}

// Two sums a layer, one for the embedding, the logits gathered; of two ranks half the skew is
// waited for.
TEST_CASE("Collectives wait for the last rank") {
  DeploymentSpec d = deployment();
  d.layout.tensor = 2;
  const StepInput step{16, 16384, {}, 16};
  const StepCost before = StepModel(d, no_tables()).cost(step);
  d.engine.in_situ.rank_skew_s = 4e-6;
  const StepCost after = StepModel(d, no_tables()).cost(step);
  CHECK(after.seconds - before.seconds == Approx((2 * 32 + 2) * 2e-6).epsilon(1e-6));
  CHECK(after.communication_s - before.communication_s ==
        Approx((2 * 32 + 2) * 2e-6).epsilon(1e-6));
}

TEST_CASE("Several prompts in a step pay for one launch, and more tokens never cost less") {
  const StepModel model(deployment(), no_tables());
  const std::vector<llm::Chunk> two{{300, 0}, {300, 0}};
  const llm::Chunk one{300, 0}, both{600, 0};
  const double single = model.cost({0, 0, {&one, 1}, 1}).attention_s;
  CHECK(model.cost({0, 0, two, 2}).attention_s < 2 * single);
  CHECK(model.cost({0, 0, two, 2}).attention_s > single);
  double before = 0;
  for (std::int64_t tokens = 16; tokens <= 8192; tokens *= 2) {
    const llm::Chunk chunk{tokens, 0};
    const double seconds = model.cost({0, 0, {&chunk, 1}, 1}).seconds;
    CHECK(seconds > before);
    before = seconds;
  }
  CHECK(model.cost({0, 0, {&both, 1}, 1}).gemm_s ==
        Approx(model.cost({0, 0, two, 1}).gemm_s).epsilon(1e-9));
}

TEST_CASE("Sources add up to the step and name what the card stands for") {
  const DeploymentSpec d = deployment();
  const StepModel model(d, no_tables());
  RunTotals run;
  run.steps = run.decode_steps = 10;
  run.decode_tokens = 160;
  run.decode_context = 160 * 1024.0;
  for (int i = 0; i < 10; ++i) run.cost += model.cost({16, 16 * 1024, {}, 16});
  double share = 0;
  for (const auto& source : model.sources(run)) share += source.share;
  CHECK(share == Approx(1.0).epsilon(1e-6));
  CHECK(model.sources({}).empty());
}
