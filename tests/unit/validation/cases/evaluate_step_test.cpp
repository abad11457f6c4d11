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
