#include <catch2/catch.hpp>
#include <filesystem>

#include "sim/core/error.hpp"
#include "validation/cases/evaluators.hpp"

using namespace foretoken::validation::cases;
using foretoken::scenarios::loader::Catalogue;
using foretoken::scenarios::loader::YamlFile;

namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

void read(const std::string& text, Prediction (*make)(const CaseContext&)) {
  YamlFile file = YamlFile::parse("scenario: scenarios/quickstart.yaml\n" + text, "c.yaml");
  const Catalogue catalogue(kRoot);
  (void)make({file, kRoot, catalogue, {}});
  file.finish();
}

}  // namespace

TEST_CASE("A step is of prompts or of decodes") {
  CHECK_NOTHROW(read("per: gpu\ndecode: {sequences: 128, context: 4096}\n", step_evaluator));
  CHECK_NOTHROW(read("per: node\nprefill: {prompts: 4, tokens: 4096}\n", step_evaluator));
  CHECK_THROWS_AS(read("per: gpu\n", step_evaluator), foretoken::sim::core::InputError);
  CHECK_THROWS_AS(read("per: rack\ndecode: {sequences: 1, context: 1}\n", step_evaluator),
                  foretoken::sim::core::InputError);
}

TEST_CASE("A gain compares two") {
  CHECK_THROWS_WITH(read("per: gpu\ndecode: {sequences: 1, context: 9}\n", step_gain_evaluator),
                    Catch::Contains("a gain compares two"));
  CHECK_NOTHROW(read("per: gpu\ndecode: {sequences: 1, context: 9}\nwithout: ['seed=2']\n",
                     step_gain_evaluator));
}

TEST_CASE("A figure that is no rate needs no unit to share by") {
  for (const char* const figure : {"ms", "watts", "memory"})
    CHECK_NOTHROW(
        read(std::string("figure: ") + figure + "\ndecode: {sequences: 8, context: 4096}\n",
             step_evaluator));
  CHECK_THROWS_AS(read("figure: joules\ndecode: {sequences: 8, context: 4096}\n", step_evaluator),
                  foretoken::sim::core::InputError);
  CHECK_THROWS_WITH(read("decode: {sequences: 8, context: 4096}\n", step_evaluator),
                    Catch::Contains("per"));
}

TEST_CASE("Memory of a step is weights, cache and what is alive at once") {
  // Llama-3.1-8B in bf16: 8,030,261,248 parameters x 2 B = 16.060 GB; cache 2 x 8 heads x 128 x 2 B
  // x 32 layers = 131,072 B a token, 4,096 tokens = 0.537 GB. Of 4,096 rows the widest point is the
  // feed-forward: residual and normed input 2 x 4,096, gate and up 2 x 14,336 and their product
  // 14,336 elements, 2 B each: 0.419 GB; logits of one row are not alive then.
  YamlFile file = YamlFile::parse(
      "scenario: scenarios/validation/h100-llama-3.1-8b.yaml\nfigure: memory\n"
      "prefill: {prompts: 1, tokens: 4096}\n",
      "c.yaml");
  const Catalogue catalogue(kRoot);
  const Prediction predict = step_evaluator({file, kRoot, catalogue, {}});
  file.finish();
  CHECK(predict() == Approx(16.0605 + 0.5369 + 0.4194).epsilon(0.001));
}

TEST_CASE("A point brings its own step and its own changes of the scenario") {
  YamlFile file = YamlFile::parse(
      "scenario: scenarios/validation/h100-llama-3.1-8b.yaml\nset: [seed=3]\nfigure: memory\n"
      "points:\n  - {point: a, decode: {sequences: 1, context: 1}, set: [seed=7]}\n",
      "c.yaml");
  const Catalogue catalogue(kRoot);
  const CaseContext context{file, kRoot,   catalogue,
                            {},   nullptr, file.root().any_child("points").items()[0]};
  CHECK(case_overrides(context) == std::vector<std::string>{"seed=3", "seed=7"});
  CHECK(case_scenario(context).serving.seed == 7);
  CHECK(step_evaluator(context)() == Approx(16.0605).epsilon(0.001));
}
