#include "models/training/compose.hpp"

#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace foretoken::models::training;

namespace {

TrainingSpec one_gpu(int micro_batches) {
  auto spec = test::job(Schedule::one_f_one_b, 1, micro_batches);
  spec.model = test::model();
  return spec;
}

double sum(const Parts& parts) {
  double total = 0;
  for (std::size_t i = 0; i < kParts; ++i)
    if (static_cast<Part>(i) != Part::launches) total += parts.seconds[i];
  return total;
}

}  // namespace

TEST_CASE("everything on one GPU: a step is the sum of its kernels") {
  const auto spec = one_gpu(3);
  const MachineTimes machine(spec.node, 0, test::no_tables());
  const auto account = account_step(spec, machine);
  const Passes& p = account.positions.at(0).passes;
  const double kernels = 3 * (sum(p.forward) + sum(p.input) + sum(p.weight));
  CHECK(estimate_step(spec, account).seconds == Approx(kernels + account.optimizer_s));
  CHECK(account.reduce_s == 0);
  CHECK(account.send_s == 0);
}

TEST_CASE("the simulated pipeline and the closed form agree where stages are equal") {
  auto spec = test::job(Schedule::one_f_one_b, 1, 8);
  const MachineTimes machine(spec.node, 0, test::no_tables());
  const auto account = account_step(spec, machine);
  const auto times = pipeline_times(spec, account, factors_of(spec, account));
  CHECK(run_pipeline(spec, pipeline_order(spec), times, false).end.seconds() ==
        Approx(pipeline_closed_form(spec, times)));
}

TEST_CASE("the waterfall adds up to the step") {
  auto spec = test::job(Schedule::interleaved, 4, 8, 2);
  spec.layout.tensor = 2;
  spec.layout.data = 2;
  spec.batch.global = 16;
  spec.software.overlap_tensor = true;
  spec.software.constants = {{"straggler", 0.02}, {"gemm", 1.1}, {"exposed_tensor", 0.5}};
  const MachineTimes machine(spec.node, 0, test::no_tables());
  const auto step = estimate_step(spec, account_step(spec, machine));
  const auto& w = step.waterfall;
  double total = w.bubble_s + w.send_s + w.gradients_s + w.parameters_s + w.optimizer_s +
                 w.straggler_s + w.host_s;
  for (const double part : w.parts) total += part;
  CHECK(total == Approx(step.seconds));
}

TEST_CASE("where passes overlap in pairs the waterfall adds up as well") {
  auto spec = test::job(Schedule::dualpipe, 4, 16);
  spec.layout.data = 2;
  spec.batch.global = 32;
  spec.layout.tensor = 2;
  const MachineTimes machine(spec.node, 0, test::no_tables());
  const auto account = account_step(spec, machine);
  const auto factors = factors_of(spec, account);
  const auto run =
      run_pipeline(spec, pipeline_order(spec), pipeline_times(spec, account, factors), false);
  const auto step = compose_step(spec, account, factors, run.end.seconds());
  const auto& w = step.waterfall;
  double total = w.bubble_s + w.send_s + w.gradients_s + w.parameters_s + w.optimizer_s +
                 w.straggler_s + w.host_s;
  for (const double part : w.parts) total += part;
  CHECK(total == Approx(step.seconds));
}

TEST_CASE("FLOPs of a token: 6 N and attention") {
  // GPT-3 175B: 96 layers of 12 h^2, h = 12,288, head of 51,200 words; attention 12 l s h
  // (forward 4 s h, three times). Narayanan et al. 2021 give 72 B s l h^2 (1 + s/6h + V/12lh)
  // without recomputation.
  foretoken::models::llm::ModelSpec gpt = test::model(96);
  gpt.hidden = 12288;
  gpt.intermediate = 4 * 12288;
  gpt.gated_mlp = false;
  gpt.attention.heads = gpt.attention.kv_heads = 96;
  gpt.attention.head_dim = 128;
  gpt.vocab = 51200;
  const double h = 12288, l = 96, s = 2048, v = 51200;
  CHECK(flops_per_token(gpt, 2048, false, false) ==
        Approx(72 * l * h * h * (1 + s / (6 * h) + v / (12 * l * h))));
}

TEST_CASE("stragglers count past 512 GPUs, constants scale their parts") {
  auto spec = one_gpu(2);
  const MachineTimes machine(spec.node, 0, test::no_tables());
  const auto account = account_step(spec, machine);
  const double plain = estimate_step(spec, account).seconds;
  spec.software.constants["straggler"] = 0.1;
  CHECK(estimate_step(spec, account).seconds == Approx(plain));
  spec.software.constants["gemm"] = 2;
  const Passes& p = account.positions.at(0).passes;
  const double products =
      2 * (p.forward[Part::gemm] + p.input[Part::gemm] + p.weight[Part::weight_gemm]);
  CHECK(estimate_step(spec, account).seconds == Approx(plain + products));
}

TEST_CASE("reductions hide behind the last backward pass and no further") {
  auto spec = one_gpu(2);
  spec.layout.data = 64;
  spec.batch.global = 128;
  const MachineTimes machine(spec.node, 0, test::no_tables());
  const auto account = account_step(spec, machine);
  REQUIRE(account.reduce_s > 0);
  CHECK(estimate_step(spec, account).waterfall.gradients_s == Approx(account.reduce_s));
  spec.software.overlap_gradients = true;
  spec.software.constants["exposed_gradients"] = 0.1;
  const double exposed = estimate_step(spec, account).waterfall.gradients_s;
  CHECK(exposed >= 0.1 * account.reduce_s * (1 - 1e-12));
  CHECK(exposed < account.reduce_s);
}
