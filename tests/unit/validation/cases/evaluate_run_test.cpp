#include <catch2/catch.hpp>
#include <filesystem>

#include "sim/core/error.hpp"
#include "validation/cases/evaluators.hpp"

using namespace foretoken::validation::cases;
using foretoken::scenarios::loader::Catalogue;
using foretoken::scenarios::loader::YamlFile;

namespace {

const std::filesystem::path kRoot = FORETOKEN_SOURCE_DIR;

Prediction read(const std::string& figure, const std::shared_ptr<Summaries>& summaries) {
  YamlFile file = YamlFile::parse(
      "scenario: scenarios/quickstart.yaml\nset: [workload.duration=20s]\nfigure: " + figure + "\n",
      "c.yaml");
  const Catalogue catalogue(kRoot);
  auto prediction = run_evaluator(
      {file, kRoot, catalogue, kRoot / "validation" / "calibrate" / "calibration.h5", summaries});
  file.finish();
  return prediction;
}

}  // namespace

TEST_CASE("A figure of a whole run; cases of the same run share it") {
  const auto summaries = std::make_shared<Summaries>();
  const double arrived = read("arrived", summaries)();
  CHECK(arrived > 20);
  REQUIRE(summaries->size() == 1);
  CHECK(read("pools.whole.replicas", summaries)() == 1.0);
  CHECK(summaries->size() == 1);
  CHECK_THROWS_WITH(read("pools.decode.busy", summaries)(),
                    Catch::Contains("no number 'pools.decode.busy'"));
}
