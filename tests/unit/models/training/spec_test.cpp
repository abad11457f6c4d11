// Rules of layouts: each refusal names what does not divide what.
#include "models/training/spec.hpp"

#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace foretoken::models::training;
using foretoken::models::llm::MoeSpec;

namespace {

std::string first(const TrainingSpec& spec) {
  const auto errors = layout_errors(spec);
  return errors.empty() ? "" : errors.front();
}

}  // namespace

TEST_CASE("a layout that holds has no errors") {
  CHECK(first(test::job(Schedule::one_f_one_b, 4, 8)).empty());
  CHECK(first(test::job(Schedule::dualpipe, 4, 16)).empty());
}

TEST_CASE("what does not divide is named") {
  auto spec = test::job(Schedule::one_f_one_b, 4, 8);
  spec.layout.tensor = 3;
  CHECK(first(spec).find("tensor 3 does not divide the 16 attention heads") == 0);
  spec = test::job(Schedule::one_f_one_b, 4, 8);
  spec.layout.data = 3;
  CHECK(first(spec).find("does not divide the global batch of 8") != std::string::npos);
  spec = test::job(Schedule::one_f_one_b, 4, 8);
  spec.layout.context = 3;
  CHECK(first(spec) == "context 3 does not divide the 2048 tokens of a sequence");
  spec = test::job(Schedule::interleaved, 4, 6, 2);
  CHECK(first(spec) == "interleaved: pipeline 4 does not divide the 6 micro-batches of a step");
}

TEST_CASE("a micro-batch larger than the batch") {
  auto spec = test::job(Schedule::one_f_one_b, 1, 8);
  spec.batch.micro = 16;
  CHECK(first(spec) == "micro batch of 16 is larger than the global batch of 8");
}

TEST_CASE("zero layers in a stage, spread or given") {
  auto spec = test::job(Schedule::one_f_one_b, 8, 8);
  spec.model.layers = 6;
  CHECK(first(spec).find("zero layers in a stage: 6 layers over 8 chunks") == 0);
  spec = test::job(Schedule::one_f_one_b, 4, 8);
  spec.layout.stage_layers = {32, 0, 16, 16};
  CHECK(first(spec).find("zero layers in a stage: chunk 1") == 0);
  spec.layout.stage_layers = {16, 16, 16};
  CHECK(first(spec) == "stage_layers lists 3 chunks; the pipeline has 4");
}

TEST_CASE("DualPipe with odd stages, or too few micro-batches") {
  CHECK(first(test::job(Schedule::dualpipe, 3, 12)) ==
        "dualpipe needs an even number of stages; pipeline is 3");
  CHECK(first(test::job(Schedule::dualpipe, 4, 6)).find("at least 2 x pipeline = 8") !=
        std::string::npos);
}

TEST_CASE("experts over more GPUs than a stage has") {
  auto spec = test::job(Schedule::one_f_one_b, 4, 8);
  spec.model.moe = MoeSpec{};
  spec.model.moe->experts = 64;
  spec.model.moe->top_k = 4;
  spec.model.moe->intermediate = 1024;
  spec.layout.data = 8;
  spec.layout.expert = 16;
  CHECK(first(spec) ==
        "expert 16 does not divide the 8 GPUs of a stage (data 8 x context 1 x tensor 1)");
  spec.layout.expert = 8;
  CHECK(first(spec).empty());
}

TEST_CASE("layers that do not divide go to the middle, then the first stage") {
  auto spec = test::job(Schedule::interleaved, 8, 16, 8);
  spec.model.layers = 126;  // 64 chunks of two, embedding and head counting as one each
  const auto layers = position_layers(spec);
  CHECK(layers.front() == 1);
  CHECK(layers.back() == 1);
  CHECK(layers[1] == 2);
  spec = test::job(Schedule::one_f_one_b, 4, 8);
  spec.model.layers = 61;
  CHECK(position_layers(spec) == std::vector<int>{15, 16, 15, 15});
}

TEST_CASE("constants: the common value times what a GPU and an arithmetic change") {
  Software s;
  const auto gpu = test::node().gpu;
  s.constants = {{"gemm", 1.1}, {"gemm/gpu/test-gpu", 1.2}, {"gemm/arithmetic/fp8", 1.5}};
  CHECK(s.constant("gemm", gpu, Arithmetic::fp8, 1.0) == Approx(1.1 * 1.2 * 1.5));
  CHECK(s.constant("gemm", gpu, Arithmetic::bf16, 1.0) == Approx(1.1 * 1.2));
  CHECK(s.constant("attention", gpu, Arithmetic::bf16, 1.5) == 1.5);
}
