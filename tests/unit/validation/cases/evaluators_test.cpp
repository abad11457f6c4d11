#include "validation/cases/evaluators.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <set>

#include "sim/core/error.hpp"
#include "validation/cases/case_file.hpp"

using namespace foretoken::validation::cases;
using foretoken::scenarios::loader::Catalogue;
using foretoken::scenarios::loader::YamlFile;

namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

}  // namespace

TEST_CASE("Every evaluator has a name of its own, and every case of ours names one of them") {
  std::set<std::string_view> names;
  for (const auto& entry : evaluators()) CHECK(names.insert(entry.name).second);
  for (const auto& path : case_files(kRoot / "validation/cases")) {
    const YamlFile file = YamlFile::open(path);
    CHECK(names.contains(read_case_head(file, path).evaluator));
  }
}

TEST_CASE("A case's scenario takes its overrides, and a scenario that is not there is an error") {
  const Catalogue catalogue(kRoot);
  YamlFile file = YamlFile::parse(
      "scenario: scenarios/quickstart.yaml\nset: ['deployment.replicas=1', 'seed=7']\n", "c.yaml");
  const CaseContext context{file, kRoot, catalogue, {}};
  CHECK(case_scenario(context).serving.seed == 7);
  CHECK(case_scenario(context, {"seed=9"}).serving.seed == 9);
  YamlFile missing = YamlFile::parse("scenario: no/such.yaml\n", "c.yaml");
  (void)case_scenario({missing, kRoot, catalogue, {}});
  CHECK_THROWS_AS(missing.finish(), foretoken::sim::core::InputError);
}
