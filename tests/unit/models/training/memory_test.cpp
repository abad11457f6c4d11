#include "models/training/memory.hpp"

#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace foretoken::models::training;

namespace {

struct Accounted {
  TrainingSpec spec;
  StepAccount step;
  MemoryAccount memory;
};

Accounted account(TrainingSpec spec) {
  const MachineTimes machine(spec.node, 0, test::no_tables());
  auto step = account_step(spec, machine);
  auto memory = account_memory(spec, step, pipeline_order(spec));
  return {spec, step, memory};
}

TrainingSpec one_gpu() {
  auto spec = test::job(Schedule::one_f_one_b, 1, 2);
  spec.model = test::model();
  return spec;
}

}  // namespace

TEST_CASE("bytes a parameter, as Megatron-LM states them") {
  Software s;  // bf16 parameters, fp32 gradients, fp32 master copy and moments
  const auto bf16 = Arithmetic::bf16;
  CHECK(bytes_per_parameter(s, bf16, Sharding::none, 1) == 18);
  for (const double d : {2.0, 8.0, 64.0}) {
    CHECK(bytes_per_parameter(s, bf16, Sharding::optimizer, d) == Approx(6 + 12 / d));
    CHECK(bytes_per_parameter(s, Arithmetic::fp32, Sharding::optimizer, d) == Approx(8 + 8 / d));
  }
  CHECK(bytes_per_parameter(s, bf16, Sharding::gradients, 4) == Approx(2 + 16.0 / 4));
  CHECK(bytes_per_parameter(s, bf16, Sharding::parameters, 4) == Approx(18.0 / 4));
  s.gradient_bytes = 2;  // fp16 gradients
  CHECK(bytes_per_parameter(s, bf16, Sharding::none, 1) == 16);
}

TEST_CASE("states of one GPU: 18 bytes for every parameter of the model") {
  const auto a = account(one_gpu());
  const double parameters =
      static_cast<double>(foretoken::models::llm::count_parameters(a.spec.model).total);
  // The final norm (2,048 elements) is left out of the account.
  CHECK(a.memory.parameters + a.memory.gradients + a.memory.optimizer ==
        Approx(18 * parameters).epsilon(1e-4));
}

TEST_CASE("activations of a layer, by hand") {
  // 2,048 tokens, hidden 2,048, 16 heads of 128, feed-forward 5,632, 16 bits:
  // norms 2 x (2 + 2) h, q k v 3 x 2h, out 2h, statistics 4 x 16, gate and up 4 x 5,632, product
  // of both 2 x 5,632 bytes a token.
  const auto a = account(one_gpu());
  const double token = 8.0 * 2048 + 6 * 2048 + 2 * 2048 + 64 + 6.0 * 5632;
  const double head = 4.0 * 2048;  // input and output of the final norm
  CHECK(a.memory.activations == Approx(2048 * (16 * token + head)).epsilon(1e-9));
}

TEST_CASE("full recomputation keeps the inputs of layers") {
  auto spec = one_gpu();
  spec.recompute = Recompute::full;
  const auto a = account(spec);
  CHECK(a.memory.activations == Approx(2048.0 * (16 * 2 * 2048 + 4.0 * 2048)));
  CHECK(a.memory.activations < account(one_gpu()).memory.activations / 5);
}

TEST_CASE("out of memory says by how much") {
  auto spec = one_gpu();
  spec.node.gpu.memory = foretoken::models::hardware::Bytes(10e9);
  const auto a = account(spec);
  CHECK_FALSE(a.memory.fits());
  CHECK(describe(a.memory).find("GB too much") != std::string::npos);
}

TEST_CASE("DualPipe holds two positions of the pipeline") {
  auto dual = test::job(Schedule::dualpipe, 4, 16);
  auto one = test::job(Schedule::one_f_one_b, 4, 16);
  const auto a = account(dual), b = account(one);
  // Ends: embedding beside head on the first and last GPU of DualPipe.
  CHECK(a.memory.parameters > 1.9 * b.memory.parameters);
}

TEST_CASE(
    "an unfused loss holds three fp32 copies of the logits, and needs no less than the fused") {
  // 8 sequences of 2,048 tokens, 32,000 words, 12 B a logit: 6.29 GB, more than any product's
  // gradients (11,264 x 2,048 x 4 B of weight + 16,384 rows x 13,312 x 2 B = 0.53 GB).
  auto spec = one_gpu();
  spec.batch.micro = 8;
  spec.batch.global = 16;
  spec.software.fused_cross_entropy = false;
  CHECK(account(spec).memory.working == Approx(8 * 2048 * 32000 * 12.0));
  spec.software.fused_cross_entropy = true;
  CHECK(account(spec).memory.working == Approx(8 * 2048 * 32000 * 6.0));
}
